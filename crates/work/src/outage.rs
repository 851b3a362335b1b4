//! Whether the store answers, said once when it ceases to and once when it does again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use store::Error;

/// What is known of the store.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// Whether anything is amiss: so that a good answer costs no lock.
    amiss: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    away_since: Option<Instant>,
    /// What the store refuses: each is said once.
    refused: HashSet<&'static str>,
}

impl Outage {
    /// The store did not do `what`.
    pub fn failed(&self, what: &'static str, error: &Error) {
        let mut state = self.lock();
        self.amiss.store(true, Ordering::Relaxed);
        if !error.may_pass() {
            if state.refused.insert(what) {
                tracing::error!(%error, "jobs: cannot {what}; trying on");
            }
        } else if state.away_since.is_none() {
            state.away_since = Some(Instant::now());
            tracing::warn!(%error, "jobs: cannot {what}; they wait until the database is back");
        }
    }

    /// The store did `what`.
    pub fn answered(&self, what: &'static str) {
        if !self.amiss.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.lock();
        state.refused.remove(what);
        if let Some(since) = state.away_since.take() {
            tracing::info!(seconds = since.elapsed().as_secs(), "jobs: the database is back");
        }
        self.amiss.store(!state.refused.is_empty(), Ordering::Relaxed);
    }

    /// Whether the store is away, as far as anybody has noticed.
    pub fn is_away(&self) -> bool {
        self.amiss.load(Ordering::Relaxed) && self.lock().away_since.is_some()
    }

    /// The state is whole at every moment, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
