//! Trying again: how often in all, and how long after. Whether a call may be tried again at all is for
//! whoever knows what it does.
//!
//! A [`Budget`] bounds what retries add to a load, so that they cannot bring down what is merely slow:
//! under a total outage a fifth is added, not a multiple. A [`Backoff`] spreads them over time.

mod backoff;
mod budget;

pub use backoff::Backoff;
pub use budget::{Budget, Options};
