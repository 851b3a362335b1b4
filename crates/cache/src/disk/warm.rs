//! Reading back what is worth having in memory, after a start.

use super::Disk;
use crate::clock::Millis;
use crate::entry::Entry;
use crate::key::Key;
use crate::tier::Tier;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How much is read back, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warming {
    /// Most entries.
    pub entries: usize,
    /// Most entries a second. Requests come first.
    pub per_second: u32,
}

impl Default for Warming {
    fn default() -> Self {
        Self { entries: 1000, per_second: 500 }
    }
}

/// What became of it, so far or in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warmed {
    /// Entries that were to be read.
    pub planned: usize,
    /// Entries that were handed over.
    pub found: usize,
    /// Entries that are there no more, or are expired.
    pub missing: usize,
    /// Entries that could not be read in time.
    pub failed: usize,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// How long it took.
    pub took: Duration,
}

impl Disk {
    /// Hands the entries whose hits saved most to `keep`, the first most, with how far it has come. Whether
    /// they were invalidated is for `keep` to ask. Ends early once `stop` is cancelled.
    pub async fn warm(
        &self,
        warming: Warming,
        stop: &CancellationToken,
        mut keep: impl FnMut(&Key, Arc<Entry>, &Warmed),
    ) -> Warmed {
        let began = Instant::now();
        let keys = self.ledger().top(warming.entries);
        let mut warmed = Warmed { planned: keys.len(), ..Warmed::default() };
        let pause = Duration::from_secs(1) / warming.per_second.max(1);
        for (key, number) in keys.iter().zip(0..) {
            let due = began + pause * number;
            let read = async {
                tokio::time::sleep_until(due).await;
                self.get(key, Millis::now()).await
            };
            let Some(found) = stop.run_until_cancelled(read).await else {
                warmed.stopped = true;
                break;
            };
            match found {
                Ok(Some(entry)) => {
                    warmed.found += 1;
                    keep(key, entry, &warmed);
                }
                Ok(None) => warmed.missing += 1,
                Err(_) => warmed.failed += 1,
            }
        }
        warmed.took = began.elapsed();
        warmed
    }
}
