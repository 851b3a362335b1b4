//! The jobs that this process holds leases of.

use crate::context::{Context, Stop};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use store::jobs::{JobId, Lease};

/// By lease, not by job: one whose lease was lost may be claimed anew before its first attempt has stopped.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<HashMap<Lease, One>>);

#[derive(Debug)]
struct One {
    context: Context,
    until: Instant,
}

impl Held {
    pub fn add(&self, context: Context, until: Instant) {
        self.lock().insert(context.lease(), One { context, until });
    }

    pub fn remove(&self, leases: impl IntoIterator<Item = Lease>) {
        let mut held = self.lock();
        let removed: Vec<_> = leases.into_iter().filter_map(|lease| held.remove(&lease)).collect();
        drop(held);
        // They are dropped here, outside the lock: payloads may be large.
        drop(removed);
    }

    /// Until when the lease is ours, as far as we know; `None` where it is not held.
    pub fn until(&self, lease: Lease) -> Option<Instant> {
        self.lock().get(&lease).map(|one| one.until)
    }

    /// The lease was renewed.
    pub fn renew(&self, lease: Lease, until: Instant) {
        if let Some(one) = self.lock().get_mut(&lease) {
            one.until = until;
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Context> {
        self.lock().values().map(|one| one.context.clone()).collect()
    }

    /// Those whose lease ends before `at`.
    pub fn ending(&self, at: Instant) -> Vec<Context> {
        self.lock().values().filter(|one| one.until <= at).map(|one| one.context.clone()).collect()
    }

    /// The job's attempts here; one at most whose lease is not lost.
    pub fn of(&self, id: JobId) -> Vec<Context> {
        self.lock().values().map(|one| &one.context).filter(|context| context.id() == id).cloned().collect()
    }

    /// Tells every attempt to stop.
    pub fn stop_all(&self, why: Stop) {
        self.all().iter().for_each(|context| context.stop(why));
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// The table is whole at every moment, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
