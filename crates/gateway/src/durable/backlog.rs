//! A bound on what one tenant may have waiting. Counted in the store at most every few seconds for a tenant, and in
//! between by what was added here: over all replicas the bound is passed by what they add in that time.

use super::Open;
use super::fault::{self, Fault};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How old a count may be.
const FRESH: Duration = Duration::from_secs(5);
/// Tenants that are known of at once; those that come beyond are all counted anew.
const TENANTS_MAX: usize = 10_000;

/// What tenants have waiting, as far as it is known here.
#[derive(Debug, Default)]
pub struct Backlogs(Mutex<HashMap<String, Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    count: u64,
}

impl Backlogs {
    /// Whether the tenant may add something, which counts as one: up to `most` may wait.
    ///
    /// # Errors
    /// 429 where it may not; 503 where the store does not say.
    pub async fn admit(&self, open: &Open, tenant: &str, most: u64) -> Result<(), Fault> {
        if self.must_count(tenant) {
            let count = open.jobs.backlog(tenant, most).await?;
            self.lock().insert(tenant.to_owned(), Seen { at: Instant::now(), count });
        }
        let mut seen = self.lock();
        match seen.get_mut(tenant) {
            Some(seen) if seen.count >= most => Err(Fault::Answer(fault::backlog_full(most))),
            Some(seen) => {
                seen.count += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What was admitted was not added: it was there before, or was refused.
    pub fn take_back(&self, tenant: &str) {
        if let Some(seen) = self.lock().get_mut(tenant) {
            seen.count = seen.count.saturating_sub(1);
        }
    }

    /// Whether it is this caller's turn to count: others go by the count before meanwhile, if there is one.
    fn must_count(&self, tenant: &str) -> bool {
        let mut all = self.lock();
        match all.get_mut(tenant) {
            Some(seen) if seen.at.elapsed() < FRESH => false,
            Some(seen) => {
                seen.at = Instant::now();
                true
            }
            None => {
                if all.len() >= TENANTS_MAX {
                    all.clear();
                }
                true
            }
        }
    }

    /// The counts are whole at every moment, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
