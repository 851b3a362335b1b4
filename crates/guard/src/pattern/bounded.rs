//! A map of few names: beyond its bound a new one takes the place of one that has not been heard of
//! lately, and shares an entry with others if there is none.

use super::LATELY;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

pub(super) struct Bounded<K, V> {
    named: HashMap<K, Seen<V>>,
    max: usize,
    /// Stands for all that have no entry of their own, by this name.
    others: (K, Option<Seen<V>>),
}

struct Seen<V> {
    last: Instant,
    value: V,
}

impl<K: Hash + Eq, V: Default> Bounded<K, V> {
    pub fn new(others: K, max: usize) -> Self {
        Self { named: HashMap::new(), max, others: (others, None) }
    }

    /// The entry for `name`, which has been heard of now.
    pub fn entry<N>(&mut self, name: &N, now: Instant) -> &mut V
    where
        K: Borrow<N>,
        N: ToOwned<Owned = K> + Hash + Eq + ?Sized,
    {
        if !self.named.contains_key(name) && self.has_place(now) {
            self.named.insert(name.to_owned(), Seen::new(now));
        }
        let seen = match self.named.get_mut(name) {
            Some(seen) => seen,
            None => self.others.1.get_or_insert_with(|| Seen::new(now)),
        };
        seen.last = seen.last.max(now);
        &mut seen.value
    }

    /// Whether there is a place for one more. Makes some if need be.
    fn has_place(&mut self, now: Instant) -> bool {
        if self.named.len() >= self.max {
            self.named.retain(|_, seen| seen.is_active(now));
        }
        self.named.len() < self.max
    }

    /// The entry for `name`, which may be the one it shares with others.
    pub fn get<N>(&self, name: &N) -> Option<&V>
    where
        K: Borrow<N>,
        N: Hash + Eq + ?Sized,
    {
        self.named.get(name).or(self.others.1.as_ref()).map(|seen| &seen.value)
    }

    /// Those heard of lately.
    pub fn active(&self, now: Instant) -> impl Iterator<Item = (&K, &V)> {
        let others = self.others.1.as_ref().map(|seen| (&self.others.0, seen));
        let active = self.named.iter().chain(others).filter(move |(_, seen)| seen.is_active(now));
        active.map(|(name, seen)| (name, &seen.value))
    }

    /// As [`active`](Bounded::active).
    pub fn active_mut(&mut self, now: Instant) -> impl Iterator<Item = (&K, &mut V)> {
        let others = self.others.1.as_mut().map(|seen| (&self.others.0, seen));
        let active = self.named.iter_mut().chain(others).filter(move |(_, seen)| seen.is_active(now));
        active.map(|(name, seen)| (name, &mut seen.value))
    }
}

impl<V: Default> Seen<V> {
    fn new(now: Instant) -> Self {
        Self { last: now, value: V::default() }
    }
}

impl<V> Seen<V> {
    fn is_active(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < LATELY
    }
}
