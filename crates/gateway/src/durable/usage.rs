//! What was used and what it cost, by day, key, tenant and model: summed in memory, written to the store behind
//! everybody's back.
//!
//! ```text
//! a request's Account ─► its worker's Sheet ─┐ every few seconds           one part at a time
//!                           … another Sheet ──┴─► what is pending, merged ──► Ledger::add(word, rows)
//! ```
//!
//! What several requests waited for, or none, is paid once: by whoever had it asked.
//!
//! A request adds to its own worker's sheet, which nobody else locks but for a moment every few seconds. What is taken
//! from the sheets is kept, merged and bounded, until the store has it. A part goes out under a word of its own and,
//! where no answer comes, again under the same: the store adds it once.
//!
//! A process that is killed loses what it had not written, a few seconds' worth; one that is told to stop loses nothing.
//! Days that are older than `store.keep_usage` are forgotten.

mod keep;
mod pending;
mod sheet;

pub(super) use keep::{finish, keep, sweep};
pub use pending::today;
pub use sheet::Sheet;

use pending::Pending;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use store::usage::{Ledger, Usage};

/// The model under which is counted what has no room of its own, or no name in the configuration.
const OTHER: &str = "other";

/// All sums of this process. One for it, from one configuration to the next.
#[derive(Debug)]
pub struct Books {
    /// One for each worker.
    sheets: Box<[Arc<Sheet>]>,
    pending: Mutex<Pending>,
    /// Whether callers without a key are counted: only where there is a store anyway.
    counts_anyone: Arc<AtomicBool>,
}

impl Books {
    /// Empty ones for so many workers.
    pub fn new(workers: usize) -> Self {
        let counts_anyone = Arc::new(AtomicBool::new(false));
        let sheet = |_| Arc::new(Sheet::new(&counts_anyone));
        Self { sheets: (0..workers.max(1)).map(sheet).collect(), pending: Mutex::default(), counts_anyone }
    }

    /// Where the worker of this number adds.
    pub fn sheet(&self, worker: usize) -> &Arc<Sheet> {
        &self.sheets[worker % self.sheets.len()]
    }

    /// From now on those without a key are counted, too.
    pub(super) fn count_anyone(&self) {
        self.counts_anyone.store(true, Relaxed);
    }

    /// Takes what the sheets hold, as of this day. Says whether anything is pending then.
    pub(super) fn collect(&self, day: i32) -> bool {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for sheet in &self.sheets {
            sheet.take(|payer, model, sum| pending.add(day, payer, model, sum));
        }
        !pending.is_empty()
    }

    /// Whether there is anything that the store has yet to be told.
    pub fn is_owed(&self) -> bool {
        self.collect(today())
    }

    /// Writes what is pending to the store. What another flush has under way is written twice, and counts once.
    ///
    /// # Errors
    /// Where the store does not take it; it stays pending, unless it never will be taken.
    pub async fn flush(&self, ledger: &dyn Ledger) -> store::Result<()> {
        self.collect(today());
        // Bounded: what comes in meanwhile is for the next time.
        for _ in 0..2 {
            let Some((word, rows)) = self.outgoing() else { break };
            match ledger.add(&word, rows).await {
                Ok(()) => self.is_out(&word),
                Err(error @ store::Error::Refused(_)) => {
                    tracing::error!(%error, "a part of what was used cannot be written and is dropped");
                    self.is_out(&word);
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn outgoing(&self) -> Option<(String, Vec<Usage>)> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).outgoing()
    }

    fn is_out(&self, word: &str) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).is_out(word);
    }
}

#[cfg(test)]
mod tests;
