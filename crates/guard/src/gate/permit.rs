//! The right to one call.

use super::Inner;
use super::state::{Lease, Return};
use crate::limiter::Outcome;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A place at the target, held until the call's last byte, not only until its head arrives.
///
/// Dropped without [`finish`](Permit::finish), as by a caller who leaves, the place is given back and
/// nothing is judged by it; the tenant stays charged what was expected. Where no call was made at all,
/// [`unused`](Permit::unused) says so.
pub struct Permit {
    inner: Arc<Inner>,
    /// Gone once given back.
    lease: Option<Lease>,
}

impl Permit {
    pub(super) fn new(inner: Arc<Inner>, lease: Lease) -> Self {
        Self { inner, lease: Some(lease) }
    }

    /// The first token has come, after so long (the prompt's size divided out). The limit learns of it now:
    /// streams may last for minutes, and others wait meanwhile.
    pub fn began(&mut self, delay: Duration, now: Instant) {
        let Some(lease) = &mut self.lease else { return };
        let mut state = self.inner.lock(now);
        state.began(lease, delay);
        self.inner.admit(state);
    }

    /// Gives the place back and says how the call ended, and the tokens it used in truth.
    pub fn finish(mut self, result: Outcome, tokens: u64, now: Instant) {
        self.give_back(&Return::Finished { result, tokens }, now);
    }

    /// Gives the place back without a call having been made, as where a breaker has opened during the wait.
    /// The tenant is charged nothing, and the place counts as never taken: neither the limit nor the
    /// estimate of how long calls take learns from it.
    pub fn unused(mut self, now: Instant) {
        self.give_back(&Return::Unused, now);
    }

    fn give_back(&mut self, end: &Return, now: Instant) {
        let Some(lease) = self.lease.take() else { return };
        let mut state = self.inner.lock(now);
        state.take_back(&lease, end);
        self.inner.admit(state);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.lease.is_some() {
            self.give_back(&Return::Dropped, Instant::now());
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("lease", &self.lease).finish_non_exhaustive()
    }
}
