//! One thread's part of a pool: idle objects and counters under one lock, which is held for a push or
//! a pop and never while an object is made, reset or dropped.

use super::report::Report;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// What all shards of a pool have in common.
pub(super) struct Rules<T> {
    pub size_max: usize,
    pub make: Box<dyn Fn() -> T + Send + Sync>,
    pub reset: Box<dyn Fn(&mut T) -> usize + Send + Sync>,
}

/// Aligned to two cache lines, as processors fetch them in pairs: with it the owners' count in the
/// `Arc`'s head, which every loan touches, is on lines that no other shard's is on.
#[repr(align(128))]
pub(super) struct Shard<T> {
    stock: Mutex<Stock<T>>,
    room: usize,
    rules: Arc<Rules<T>>,
    /// The other shards; weak, as they have this one.
    others: OnceLock<Box<[Weak<Shard<T>>]>>,
}

struct Stock<T> {
    idle: Vec<T>,
    /// The fewest that lay idle since the last trim.
    idle_low: usize,
    out: usize,
    seen: Report,
}

impl<T> Shard<T> {
    pub fn new(room: usize, rules: &Arc<Rules<T>>) -> Arc<Self> {
        let stock = Stock { idle: Vec::new(), idle_low: 0, out: 0, seen: Report::default() };
        let rules = Arc::clone(rules);
        Arc::new(Self { stock: Mutex::new(stock), room, rules, others: OnceLock::new() })
    }

    /// Makes the other shards known to this one.
    pub fn meet(self: &Arc<Self>, all: &[Arc<Self>]) {
        let others = all.iter().filter(|shard| !Arc::ptr_eq(shard, self)).map(Arc::downgrade);
        let _known_already = self.others.set(others.collect());
    }

    /// An object on loan: an idle one of this shard's, else of another's, else a new one.
    pub fn take(&self) -> T {
        let mut stock = self.stock();
        stock.lend();
        if let Some(object) = stock.pop() {
            return object;
        }
        drop(stock);
        if let Some(object) = self.others().find_map(|other| other.stock().pop()) {
            return object;
        }
        self.stock().seen.made += 1;
        (self.rules.make)()
    }

    /// Takes a loan back: into this shard, else into another one that has room, else nowhere.
    pub fn put_back(&self, mut object: T) {
        let size = (self.rules.reset)(&mut object);
        let mut stock = self.stock();
        stock.out -= 1;
        if size > self.rules.size_max {
            stock.seen.dropped_grown += 1;
            drop(stock);
            return drop(object);
        }
        let Err(object) = stock.push(object, self.room) else { return };
        drop(stock);
        let left_over = self.others().try_fold(object, |object, other| {
            // The error is the object again, with which the next one is asked.
            other.stock().push(object, other.room).err()
        });
        if let Some(object) = left_over {
            self.stock().seen.dropped_full += 1;
            drop(object);
        }
    }

    /// Counts a loan out that will not come back, its borrower having kept it.
    pub fn forget(&self) {
        let mut stock = self.stock();
        stock.out -= 1;
        stock.seen.kept_by_borrower += 1;
    }

    /// Lets go of an object whose borrower panicked.
    pub fn lose(&self, object: T) {
        let mut stock = self.stock();
        stock.out -= 1;
        stock.seen.dropped_in_panic += 1;
        drop(stock);
        drop(object);
    }

    pub fn trim(&self) -> usize {
        let mut stock = self.stock();
        let keep = stock.idle.len() - stock.idle_low;
        let gone = stock.idle.split_off(keep);
        stock.idle_low = keep;
        stock.seen.trimmed += gone.len() as u64;
        drop(stock);
        gone.len()
    }

    pub fn report(&self) -> Report {
        let stock = self.stock();
        let idle = stock.idle.len();
        Report { idle, idle_low: stock.idle_low, out: stock.out, room: self.room, ..stock.seen }
    }

    fn stock(&self) -> MutexGuard<'_, Stock<T>> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn others(&self) -> impl Iterator<Item = Arc<Self>> {
        self.others.get().into_iter().flatten().filter_map(Weak::upgrade)
    }
}

impl<T> Stock<T> {
    /// Counts a loan.
    fn lend(&mut self) {
        self.seen.borrowed += 1;
        self.out += 1;
        self.seen.most_at_once = self.seen.most_at_once.max(self.out);
    }

    /// The object that came back last: its memory is the likeliest to be in a cache.
    fn pop(&mut self) -> Option<T> {
        let object = self.idle.pop();
        self.idle_low = self.idle_low.min(self.idle.len());
        object
    }

    /// Keeps the object if there is room for it.
    fn push(&mut self, object: T, room: usize) -> Result<(), T> {
        if self.idle.len() < room {
            self.idle.push(object);
            self.seen.returned += 1;
            return Ok(());
        }
        Err(object)
    }
}
