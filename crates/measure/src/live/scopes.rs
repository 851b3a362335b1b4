//! Who is known: scopes by their names and by their numbers, as many of a kind as there may be.

use super::budget::Budget;
use super::names::Kind;
use super::scope::Scope;
use foldhash::HashMap;

/// The scope of everybody beyond the bound.
pub const OTHER: &str = "other";
/// The name of the one scope of [`Kind::All`].
const EVERYTHING: &str = "all";
/// Longer names are cut, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Most scopes of a kind, whatever the options say, as numbers have 16 bits.
const SCOPES_MAX: usize = 10_000;

/// A scope that was named. It stands for that scope until nothing was recorded for 24 hours and it is freed;
/// afterwards for none, even when its place is taken by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScopeId(u32);

impl ScopeId {
    /// All requests. It is never freed.
    pub const ALL: Self = Self(0);

    fn new(index: u16, generation: u16) -> Self {
        Self(u32::from(generation) << 16 | u32::from(index))
    }

    fn index(self) -> usize {
        usize::from(self.0 as u16)
    }

    fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

/// All scopes.
#[derive(Clone, Debug)]
pub(super) struct Scopes {
    places: Vec<Place>,
    free: Vec<u16>,
    names: [HashMap<Box<str>, ScopeId>; Kind::ALL.len()],
    scopes_max: usize,
}

/// Where a scope is, or was: the generation says which of those that were here one after the other.
#[derive(Clone, Debug, Default)]
struct Place {
    generation: u16,
    scope: Option<Box<Scope>>,
}

impl Scopes {
    /// Only the scope of all requests; of other kinds there may be so many each, and [`OTHER`].
    pub(super) fn new(scopes_max: usize, budget: &mut Budget) -> Self {
        let scopes_max = scopes_max.clamp(1, SCOPES_MAX);
        let mut scopes = Self { places: Vec::new(), free: Vec::new(), names: Default::default(), scopes_max };
        budget.reserve((Kind::ALL.len() - 1) * Scope::bytes_of(OTHER));
        budget.reserve(Scope::bytes_of(EVERYTHING));
        budget.insist(Scope::bytes_of(EVERYTHING));
        scopes.add(Kind::All, EVERYTHING, 0);
        scopes
    }

    pub(super) fn find(&self, kind: Kind, name: &str) -> Option<ScopeId> {
        if kind == Kind::All {
            return Some(ScopeId::ALL);
        }
        self.names[kind as usize].get(cut(name)).copied()
    }

    /// The scope of this name. It is made where it is new, and [`OTHER`] where there are too many.
    pub(super) fn find_or_add(&mut self, kind: Kind, name: &str, now: u32, budget: &mut Budget) -> ScopeId {
        let name = cut(name);
        if let Some(id) = self.find(kind, name) {
            return id;
        }
        if name == OTHER {
            // Room was reserved for one of each kind.
            budget.insist(Scope::bytes_of(name));
        } else if self.names[kind as usize].len() >= self.scopes_max || !budget.take(Scope::bytes_of(name)) {
            return self.find_or_add(kind, OTHER, now, budget);
        }
        self.add(kind, name, now)
    }

    fn add(&mut self, kind: Kind, name: &str, now: u32) -> ScopeId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            (self.places.len() - 1) as u16
        });
        let place = &mut self.places[usize::from(index)];
        place.scope = Some(Box::new(Scope::new(kind, name, now)));
        let id = ScopeId::new(index, place.generation);
        self.names[kind as usize].insert(name.into(), id);
        id
    }

    pub(super) fn get(&self, id: ScopeId) -> Option<&Scope> {
        let place = self.places.get(id.index())?;
        place.scope.as_deref().filter(|_| place.generation == id.generation())
    }

    pub(super) fn get_mut(&mut self, id: ScopeId) -> Option<&mut Scope> {
        let place = self.places.get_mut(id.index())?;
        place.scope.as_deref_mut().filter(|_| place.generation == id.generation())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.places.iter().filter_map(|place| place.scope.as_deref())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Scope> {
        self.places.iter_mut().filter_map(|place| place.scope.as_deref_mut())
    }

    /// Those of one kind, in no order.
    pub(super) fn named(&self, kind: Kind) -> impl Iterator<Item = (ScopeId, &str)> {
        self.names[kind as usize].iter().map(|(name, id)| (*id, &**name))
    }

    /// Frees those that were last used before `since`.
    pub(super) fn free_idle(&mut self, since: u32, budget: &mut Budget) {
        for (index, place) in self.places.iter_mut().enumerate() {
            let idle = |scope: &mut Box<Scope>| scope.used < since && scope.kind != Kind::All;
            let Some(scope) = place.scope.take_if(idle) else { continue };
            budget.give(scope.bytes());
            if &*scope.name == OTHER {
                budget.reserve(Scope::bytes_of(OTHER));
            }
            self.names[scope.kind as usize].remove(&scope.name);
            place.generation = place.generation.wrapping_add(1);
            self.free.push(index as u16);
        }
    }
}

/// A name as it is kept.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::{NAME_BYTES_MAX, OTHER, ScopeId, Scopes};
    use crate::live::budget::Budget;
    use crate::live::names::Kind;

    #[test]
    fn beyond_the_bound_everybody_is_other() {
        let mut budget = Budget::new(1 << 20);
        let mut scopes = Scopes::new(3, &mut budget);
        let ids: Vec<_> =
            (0..100).map(|n| scopes.find_or_add(Kind::Key, &format!("key {n}"), 0, &mut budget)).collect();
        let other = scopes.find(Kind::Key, OTHER);
        assert!(ids[..3].iter().all(|id| Some(*id) != other) && ids[3..].iter().all(|id| Some(*id) == other));
        assert_eq!(scopes.named(Kind::Key).count(), 4);
        assert_ne!(scopes.find_or_add(Kind::Route, "key 7", 0, &mut budget), ids[7]);
    }

    #[test]
    fn without_room_everybody_is_other() {
        let mut budget = Budget::new(0);
        let mut scopes = Scopes::new(3, &mut budget);
        let id = scopes.find_or_add(Kind::Key, "key", 0, &mut budget);
        assert_eq!(Some(id), scopes.find(Kind::Key, OTHER));
    }

    #[test]
    fn an_idle_scope_is_freed_and_its_number_stands_for_no_other() {
        let mut budget = Budget::new(1 << 20);
        let mut scopes = Scopes::new(3, &mut budget);
        let before = budget.held();
        let id = scopes.find_or_add(Kind::Key, "old", 5, &mut budget);
        scopes.free_idle(5, &mut budget);
        assert!(scopes.get(id).is_some());
        scopes.free_idle(6, &mut budget);
        assert!(scopes.get(id).is_none() && scopes.find(Kind::Key, "old").is_none());
        assert_eq!(budget.held(), before);
        let new = scopes.find_or_add(Kind::Key, "new", 7, &mut budget);
        assert!(scopes.get(id).is_none() && scopes.get(new).is_some());
        assert_eq!(new.index(), id.index());
    }

    #[test]
    fn all_requests_are_one_scope_for_ever() {
        let mut budget = Budget::new(1 << 20);
        let mut scopes = Scopes::new(3, &mut budget);
        scopes.free_idle(u32::MAX, &mut budget);
        assert_eq!(scopes.find_or_add(Kind::All, "whatever", 0, &mut budget), ScopeId::ALL);
        assert!(scopes.get_mut(ScopeId::ALL).is_some());
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let mut budget = Budget::new(1 << 20);
        let mut scopes = Scopes::new(3, &mut budget);
        let long = "é".repeat(100) + "x";
        let id = scopes.find_or_add(Kind::Key, &format!("a{long}"), 0, &mut budget);
        assert_eq!(scopes.get(id).map(|scope| scope.name.len()), Some(NAME_BYTES_MAX - 1));
        assert_eq!(scopes.find(Kind::Key, &format!("a{long}y")), Some(id));
    }
}
