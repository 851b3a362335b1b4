//! Single flight: identical computations under way at once are done once, and everybody gets every
//! item of them, from the first on. A single value is a flight of one item; a stream is one of many.
//!
//! Whoever boards first gets the [`Pilot`] beside a seat, and hands the pilot to a task of its own;
//! whoever boards later gets a [`Seat`] only. So the first caller may leave without hurting the
//! others. What keeps a flight going is that somebody listens: when the last seat is given up, the
//! pilot hears of it and stops the work.
//!
//! ```text
//! key ──► Flights ──► Cabin (one lock a flight): Tape (the items kept) + Rows (the seats, their wakers)
//!                       ▲ push, finish                ▲ poll_next
//!                     Pilot                         Seat, Seat, Seat …
//! ```
//!
//! It remembers nothing: once a flight has ended, its key is free and whoever comes next starts
//! anew. Remembering is a cache's work, and so is saying which computations are identical. It reads
//! no clock, spawns nothing and needs no runtime; pilot and seats may live on different threads.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::fate::{Abandoned, SeatError};
pub use self::pilot::Pilot;
pub use self::seat::Seat;
pub use self::weigh::Weigh;

use self::cabin::{Cabin, Door};
use self::ledger::Ledger;

mod cabin;
mod fate;
mod ledger;
mod pilot;
mod rows;
mod seat;
mod tape;
mod weigh;

#[cfg(test)]
mod tests;

/// Locks that the keys are spread over, so that workers seldom meet at one.
const SHARDS: usize = 16;

/// How much may be under way, and how much of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Flights under way at once; beyond it, new ones are refused.
    pub flights_max: usize,
    /// Bytes one flight keeps for those who come late or read slowly, plus at most one item. A flight
    /// that grows past it takes nobody new aboard and keeps only what somebody has yet to read.
    pub flight_bytes_max: usize,
    /// Bytes that all flights together should keep. Beyond it new flights are refused, and those under
    /// way keep only what somebody has yet to read as soon as their next item comes.
    pub bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { flights_max: 10_000, flight_bytes_max: 8 << 20, bytes_max: 256 << 20 }
    }
}

/// One computation under way for each key, and everybody who waits for it. A clone is another handle
/// to the same flights.
///
/// `T` is cloned once for every seat, under the flight's lock: it should be cheap to clone and to
/// drop, as shared bytes are, and neither may touch the flight.
pub struct Flights<K, T, E> {
    inner: Arc<Inner<K, T, E>>,
}

struct Inner<K, T, E> {
    shards: [Mutex<Shard<K, T, E>>; SHARDS],
    hasher: RandomState,
    ledger: Arc<Ledger>,
}

type Shard<K, T, E> = HashMap<K, Arc<Cabin<T, E>>>;

/// What came of boarding.
pub enum Boarded<K: Eq + Hash, T, E> {
    /// Nobody computes this yet. The caller sees that a task flies the pilot, and reads from the seat
    /// like everybody else.
    Pilot(Pilot<K, T, E>, Seat<T, E>),
    /// Somebody does. The seat reads from the first item on.
    Seat(Seat<T, E>),
    /// A bound is reached: too many flights, too many bytes, or this flight no longer has its first
    /// items. The caller goes alone.
    Full,
}

impl<K: Eq + Hash + Clone, T, E> Flights<K, T, E> {
    /// No flights yet, within these bounds.
    pub fn new(options: Options) -> Self {
        let inner = Inner {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            ledger: Arc::new(Ledger::new(options)),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Joins the flight for `key`, or begins it. A flight whose last seat was given up is dead even
    /// if its pilot has not noticed yet: it is replaced, never joined.
    pub fn board(&self, key: K) -> Boarded<K, T, E> {
        let ledger = &self.inner.ledger;
        // The shard stays locked until the flight is joined, so that nobody can begin a second one
        // meanwhile. The order is always shard, then cabin; nothing locks them the other way round.
        let mut shard = self.inner.shard(&key);
        match shard.entry(key) {
            Entry::Occupied(mut known) => match known.get().board() {
                Door::Open(row) => Boarded::Seat(Seat::new(Arc::clone(known.get()), row, false)),
                Door::Closed => Boarded::Full,
                Door::Gone if ledger.has_bytes() => {
                    let (cabin, row) = Cabin::depart(ledger);
                    known.insert(Arc::clone(&cabin));
                    self.departed(known.key().clone(), cabin, row)
                }
                Door::Gone => Boarded::Full,
            },
            Entry::Vacant(free) if ledger.has_bytes() && ledger.begin_flight() => {
                let key = free.key().clone();
                let (cabin, row) = Cabin::depart(ledger);
                free.insert(Arc::clone(&cabin));
                self.departed(key, cabin, row)
            }
            Entry::Vacant(_) => Boarded::Full,
        }
    }

    fn departed(&self, key: K, cabin: Arc<Cabin<T, E>>, row: usize) -> Boarded<K, T, E> {
        let seat = Seat::new(Arc::clone(&cabin), row, true);
        Boarded::Pilot(Pilot::new(self.clone(), key, cabin), seat)
    }
}

impl<K, T, E> Flights<K, T, E> {
    /// Flights under way: those whose pilot has not ended them.
    pub fn len(&self) -> usize {
        self.inner.ledger.flights()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes kept by all flights, those that have ended but are still read from included.
    pub fn held_bytes(&self) -> usize {
        self.inner.ledger.bytes()
    }
}

impl<K: Eq + Hash, T, E> Flights<K, T, E> {
    /// Frees the key, unless another flight has taken it over.
    fn free(&self, key: &K, cabin: &Arc<Cabin<T, E>>) {
        let mut shard = self.inner.shard(key);
        if shard.get(key).is_some_and(|current| Arc::ptr_eq(current, cabin)) {
            shard.remove(key);
            self.inner.ledger.end_flight();
        }
    }
}

impl<K: Hash, T, E> Inner<K, T, E> {
    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, T, E>> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T, E> Clone for Flights<K, T, E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}
