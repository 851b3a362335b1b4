//! Why the store gave no answer, as a caller is told.

use std::time::Duration;
use wire::failure::{Failure, Kind, Retry};

/// When to come again while the store is away.
const COME_AGAIN: Duration = Duration::from_secs(2);

/// When to come again where too much waits.
const COME_AGAIN_TO_ADD: Duration = Duration::from_secs(10);

/// Why a question to the store has no answer.
#[derive(Debug)]
pub enum Fault {
    /// The store itself.
    Store(store::Error),
    /// What was asked.
    Answer(Failure),
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Answer(failure)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Answer(failure) => failure,
            Fault::Store(error) if error.may_pass() => away().with_detail(error.to_string()),
            Fault::Store(error) => {
                Failure::new(Kind::Internal, "The database does not do what was asked; the log says why.")
                    .with_code("store_fault")
                    .with_detail(error.to_string())
            }
        }
    }
}

/// The store is away. What it has acknowledged is not lost; what it has not may have been done.
pub fn away() -> Failure {
    let public = "The database does not answer now; what it has acknowledged is kept. Ask again, with the same \
                  Idempotency-Key if this adds anything.";
    Failure::new(Kind::Overloaded, public).with_code("store_away").with_retry(Retry::After(COME_AGAIN))
}

/// As many jobs of the tenant wait as may.
pub fn backlog_full(most: u64) -> Failure {
    let public = format!(
        "{most} jobs of this tenant wait, and no more may: come again when some are done, or ask the gateway's \
         operator to raise 'jobs.backlog_max'."
    );
    let failure = Failure::new(Kind::RateLimited, public).with_code("backlog_full");
    failure.with_retry(Retry::After(COME_AGAIN_TO_ADD))
}

/// The store is away, and it alone knows whether this key is valid.
pub fn key_unknown() -> Failure {
    let public = "Whether this API key is valid cannot be told now: the database that knows does not answer. Ask again.";
    Failure::new(Kind::Overloaded, public).with_code("store_away").with_retry(Retry::After(COME_AGAIN))
}

/// More is asked of the store than it can answer.
pub fn busy() -> Failure {
    let public = "More is asked of the database than it can answer now; ask again.";
    Failure::new(Kind::Overloaded, public).with_code("store_busy").with_retry(Retry::After(COME_AGAIN))
}
