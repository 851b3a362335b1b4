//! The order itself. A shelf holds the entries of one band. On it, tenants stand by their counters; a
//! tenant's entries on it, its flow, by their deadlines.
//!
//! Beside it, for each band: the entries in the order of arrival, all of them and each tenant's, and the
//! tenants by how many entries they have in it.

use super::Band;
use super::slab::Id;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Instant;

const BANDS: usize = Band::ALL.len();
/// Tenants remembered beside those who wait, before it is looked who may be forgotten.
const IDLE_TENANTS: usize = 1024;

/// Where an entry stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub band: Band,
    pub tenant: u64,
    pub due: Due,
}

/// Entries in the order of arrival.
type Line = BTreeSet<(u64, Id)>;

/// An entry's place among those of its tenant: the earliest deadline first, none at all last, and of
/// equals who came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    never: bool,
    deadline: Option<Instant>,
    arrival: u64,
    id: Id,
}

impl Due {
    pub fn new(deadline: Option<Instant>, arrival: u64, id: Id) -> Self {
        Self { never: deadline.is_none(), deadline, arrival, id }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn in_line(&self) -> (u64, Id) {
        (self.arrival, self.id)
    }
}

/// A tenant's place among others: the least counter first, and of equals who has been there longest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    counter: u64,
    since: u64,
}

#[derive(Debug, Default)]
struct Tenant {
    turn: Turn,
    waiting: usize,
    flows: [BTreeSet<Due>; BANDS],
    lines: [Line; BANDS],
}

impl Tenant {
    fn in_band(&self, band: Band) -> usize {
        self.flows[band as usize].len()
    }
}

#[derive(Debug)]
pub(super) struct Shelves {
    tenants: HashMap<u64, Tenant, BuildHasherDefault<Spread>>,
    tenants_max: usize,
    /// Where the others stand: the counter of whoever was served last, and never less than before.
    clock: u64,
    /// Numbers the changes of turns.
    turns: u64,
    ready: [BTreeSet<(Turn, u64)>; BANDS],
    lines: [Line; BANDS],
    crowds: [BTreeSet<(usize, u64)>; BANDS],
}

impl Shelves {
    pub fn new(size: usize) -> Self {
        Self {
            tenants: HashMap::default(),
            tenants_max: tenants_max(size),
            clock: 0,
            turns: 0,
            ready: Default::default(),
            lines: Default::default(),
            crowds: Default::default(),
        }
    }

    pub fn set_size(&mut self, size: usize) {
        self.tenants_max = tenants_max(size);
    }

    /// Tenants remembered.
    #[cfg(test)]
    pub fn tenants(&self) -> usize {
        self.tenants.len()
    }

    pub fn in_band(&self, band: Band) -> usize {
        self.lines[band as usize].len()
    }

    /// Who is next in a band.
    pub fn head(&self, band: Band) -> Option<Id> {
        let &(_, tenant) = self.ready[band as usize].first()?;
        self.tenants.get(&tenant)?.flows[band as usize].first().map(|due| due.id)
    }

    /// The highest band down to `lowest` with anybody in it.
    pub fn highest(&self, lowest: Band) -> Option<Band> {
        let mut bands = Band::ALL.into_iter().take_while(|&band| band <= lowest);
        bands.find(|&band| self.in_band(band) > 0)
    }

    /// Who has been in a band for longest.
    pub fn oldest(&self, band: Band) -> Option<Id> {
        self.lines[band as usize].first().map(|&(_, id)| id)
    }

    /// Of the tenant that has most in a band, and more than one, who has been in it for longest.
    pub fn oldest_of_crowd(&self, band: Band) -> Option<Id> {
        let (_, crowd) = self.crowds[band as usize].last().filter(|&&(most, _)| most > 1)?;
        self.tenants.get(crowd)?.lines[band as usize].first().map(|&(_, id)| id)
    }

    fn lowest(&self) -> Option<Band> {
        Band::ALL.into_iter().rev().find(|&band| self.in_band(band) > 0)
    }

    /// Who leaves a full queue so that a newcomer may enter: the newest entry of a lower band; where
    /// there is none, the last entry in this band of the tenant who has most, by at least two.
    pub fn gives_way(&self, band: Band, tenant: u64) -> Option<Id> {
        let lowest = self.lowest()?;
        if lowest > band {
            return self.lines[lowest as usize].last().map(|&(_, id)| id);
        }
        if lowest < band {
            return None;
        }
        let &(most, crowd) = self.crowds[band as usize].last()?;
        let own = self.tenants.get(&tenant).map_or(0, |tenant| tenant.in_band(band));
        if most < own + 2 {
            return None;
        }
        self.tenants.get(&crowd)?.flows[band as usize].last().map(|due| due.id)
    }

    /// How many in this band would be served before a newcomer, were all costs equal: tenants take
    /// turns, so each may be ahead with as many as the newcomer's tenant has, and one more.
    pub fn ahead_in_band(&self, band: Band, tenant: u64) -> usize {
        let own = self.tenants.get(&tenant).map_or(0, |tenant| tenant.in_band(band));
        let others = self.crowds[band as usize].len() - usize::from(own > 0);
        self.in_band(band).min(own + others * (own + 1))
    }

    pub fn add(&mut self, place: &Place) {
        self.wake(place.tenant);
        let band = place.band as usize;
        let tenant = self.tenants.entry(place.tenant).or_default();
        let before = tenant.in_band(place.band);
        if before == 0 {
            self.ready[band].insert((tenant.turn, place.tenant));
        }
        tenant.flows[band].insert(place.due);
        tenant.lines[band].insert(place.due.in_line());
        tenant.waiting += 1;
        self.crowds[band].remove(&(before, place.tenant));
        self.crowds[band].insert((before + 1, place.tenant));
        self.lines[band].insert(place.due.in_line());
    }

    pub fn remove(&mut self, place: &Place) {
        let band = place.band as usize;
        let Some(tenant) = self.tenants.get_mut(&place.tenant) else { return };
        let before = tenant.in_band(place.band);
        tenant.flows[band].remove(&place.due);
        tenant.lines[band].remove(&place.due.in_line());
        tenant.waiting -= 1;
        self.crowds[band].remove(&(before, place.tenant));
        if before > 1 {
            self.crowds[band].insert((before - 1, place.tenant));
        } else {
            self.ready[band].remove(&(tenant.turn, place.tenant));
        }
        self.lines[band].remove(&place.due.in_line());
    }

    /// Charges a tenant whose turn it is.
    pub fn serve(&mut self, tenant: u64, cost: u64) {
        let counter = self.wake(tenant).turn.counter;
        self.clock = self.clock.max(counter);
        self.recount(tenant, counter.saturating_add(cost.max(1)));
    }

    /// Adds what was used beyond what was charged, or gives back what was not used. A tenant forgotten
    /// meanwhile stands where all do, and has nothing to be given back.
    pub fn correct(&mut self, tenant: u64, expected: u64, used: u64) {
        let expected = expected.max(1);
        if used == expected {
            return;
        }
        let counter = match self.tenants.get(&tenant) {
            Some(tenant) => tenant.turn.counter,
            None if used > expected => self.wake(tenant).turn.counter,
            None => return,
        };
        self.recount(tenant, counter.saturating_add(used).saturating_sub(expected));
    }

    /// Finds a tenant, or makes it known. One who has nothing waiting is lifted to where the others
    /// stand.
    fn wake(&mut self, tenant: u64) -> &mut Tenant {
        if self.tenants.len() >= self.tenants_max && !self.tenants.contains_key(&tenant) {
            self.forget();
        }
        self.turns += 1;
        let tenant = self.tenants.entry(tenant).or_default();
        if tenant.waiting == 0 {
            tenant.turn = Turn { counter: tenant.turn.counter.max(self.clock), since: self.turns };
        }
        tenant
    }

    /// Forgets tenants whom nobody waits for: those who would be lifted anyway, and all if that is not
    /// many. What they owe beyond the others is forgotten with them.
    fn forget(&mut self) {
        let clock = self.clock;
        self.tenants.retain(|_, tenant| tenant.waiting > 0 || tenant.turn.counter > clock);
        if self.tenants.len() > self.tenants_max / 2 {
            self.tenants.retain(|_, tenant| tenant.waiting > 0);
        }
    }

    /// Sets a counter, and moves the tenant on every shelf it stands on.
    fn recount(&mut self, id: u64, counter: u64) {
        let Some(tenant) = self.tenants.get_mut(&id) else { return };
        self.turns += 1;
        let old = std::mem::replace(&mut tenant.turn, Turn { counter, since: self.turns });
        if tenant.waiting == 0 {
            return;
        }
        for (flow, shelf) in tenant.flows.iter().zip(&mut self.ready) {
            if !flow.is_empty() {
                shelf.remove(&(old, id));
                shelf.insert((tenant.turn, id));
            }
        }
    }
}

/// More than twice those who can wait, so that forgetting the others makes room for as many.
fn tenants_max(size: usize) -> usize {
    size.saturating_mul(2).saturating_add(2 * IDLE_TENANTS)
}

/// Spreads tenants over a table by one multiplication (Fibonacci hashing, Knuth 6.4). Tenants are
/// numbers that the operator's own configuration gave: nobody chooses them so that they collide.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}
