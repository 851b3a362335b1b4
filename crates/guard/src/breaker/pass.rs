//! The right to make one call.

use super::machine::Ticket;
use super::{Breaker, Verdict};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// One call let through. Its holder [settles](Pass::settle) it when the call has ended; dropped
/// instead, it gives its permit back and nothing is judged.
#[must_use = "a pass that is dropped judges nothing"]
pub struct Pass {
    breaker: Arc<Breaker>,
    /// Gone once settled; absent from the start in a call of last resort, which is never judged.
    ticket: Option<Ticket>,
}

impl Pass {
    pub(super) fn new(breaker: Arc<Breaker>, ticket: Option<Ticket>) -> Self {
        Self { breaker, ticket }
    }

    /// Tells the breaker how the call ended. It counts unless the breaker has changed its state since
    /// the call was let through: what began before a trip says nothing about the time after it.
    pub fn settle(mut self, verdict: Verdict, now: Instant) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.lock().settle(ticket, verdict, now);
        }
    }

    /// Whether this is a trial call, on which a half-open breaker's fate depends.
    pub fn is_trial(&self) -> bool {
        self.ticket.is_some_and(|ticket| ticket.trial.is_some())
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_trial()
            && let Some(ticket) = self.ticket.take()
        {
            self.breaker.lock().give_back(ticket);
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("is_trial", &self.is_trial()).finish_non_exhaustive()
    }
}
