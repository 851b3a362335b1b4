//! How many at once: concurrent requests and concurrent streams. Who waits for a slot is not known here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number of slots. A clone is another handle to the same ones.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    limit: AtomicU64,
    taken: AtomicU64,
}

/// One of the slots, until it is dropped.
#[derive(Debug)]
#[must_use = "dropped, the slot is free again"]
pub struct Slot(Arc<Counts>);

impl Slots {
    /// So many, all of them free.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Counts { limit: AtomicU64::new(limit), taken: AtomicU64::new(0) }))
    }

    /// A free one, if there is any.
    #[must_use]
    pub fn take(&self) -> Option<Slot> {
        let limit = self.limit();
        // Nothing is read on the strength of the counter, so the weakest ordering will do.
        self.0.taken.fetch_update(Relaxed, Relaxed, |taken| (taken < limit).then_some(taken + 1)).ok()?;
        Some(Slot(Arc::clone(&self.0)))
    }

    /// One more, be it free or not: for whoever was allowed it elsewhere, and counts it here.
    pub fn occupy(&self) -> Slot {
        self.0.taken.fetch_add(1, Relaxed);
        Slot(Arc::clone(&self.0))
    }

    /// How many there are.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.limit.load(Relaxed)
    }

    /// How many are taken: more than there are for a while, after the limit was lowered.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Relaxed)
    }

    /// Another number from now on. Slots that are taken stay so.
    pub fn set_limit(&self, limit: u64) {
        self.0.limit.store(limit, Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}
