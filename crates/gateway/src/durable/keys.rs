//! Callers' keys that are kept in the store: made, changed and revoked while the gateway runs.
//!
//! ```text
//! admin plane ─► the store ─► a look ─┐
//! every second: has anything changed? ┴─► Known ─► a new snapshot for each worker, beside the path of requests
//!                                           └────► keys.cache, for the next start
//! ```
//!
//! Requests are judged by what is held in memory, so a store that is away turns no valid key into a stranger's. What a
//! gateway has read last it finds again at its start, in a file of its own that holds hashes and no secret.
//!
//! # Nobody gets in because a store is away
//! * Where a stored key was ever known here, be it revoked by now, callers need a key from then on: a store that was
//!   emptied makes every stored key invalid, and opens nothing. The file remembers that too; one that cannot be
//!   believed counts as if it did.
//! * While the store may hold keys that are not known here (it was not read yet, or is away), a key of valid form that
//!   is not valid here is told to come again: 503, not 401.
//! * Where nothing at all is known, a start waits a moment for the store's first answer. If there is none, callers
//!   without a key are let in only where the configuration lets them in without a store: on loopback, without keys in
//!   the file, without `server.keys = "required"`.

mod copy;
mod keep;
mod known;

pub(super) use keep::Keeper;
pub use known::{Known, Row, settings};

use crate::config::Config;
use copy::{Found, Saved};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Stored keys that are valid at once.
pub const KEYS_MAX: usize = 10_000;
/// Stored keys, the revoked ones among them, whose ids are not given again.
pub const ROWS_MAX: usize = 100_000;
/// The longest that a start waits for the store where nothing else says whether callers need a key.
const SETTLE_MAX: Duration = Duration::from_secs(2);
/// The longest that a change waits until it is in force here.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// How stored keys are known here, and how to have the store looked at. One for the process.
#[derive(Debug)]
pub struct Ring {
    /// The store may hold keys that are not known here.
    unread: Arc<AtomicBool>,
    /// Looks that were asked for, and the last of them that was done.
    asked: watch::Sender<u64>,
    done: watch::Sender<u64>,
    /// The first look is over, well or not, or there is nothing to look at.
    settled: CancellationToken,
}

impl Ring {
    /// The stored keys that were known here when the process before this one left, and the ring for those to come.
    /// A store that is `blank` holds none.
    pub fn open(config: &Config, blank: bool) -> (Self, Known) {
        let (saved, is_blind) = match copy::read(config) {
            Found::Saved(saved) => (saved, false),
            Found::Foreign { ever } => (Saved { ever, rows: Vec::new() }, true),
            Found::Nothing => (Saved::default(), true),
        };
        let settled = CancellationToken::new();
        if blank || !is_blind {
            settled.cancel();
        }
        let unread = Arc::new(AtomicBool::new(!blank));
        let known = Known::new(saved.rows, saved.ever);
        let (asked, done) = (watch::Sender::new(0), watch::Sender::new(0));
        (Self { unread, asked, done, settled }, known)
    }

    /// Whether the store may hold keys that are not known here, as of now.
    pub fn unread(&self) -> &Arc<AtomicBool> {
        &self.unread
    }

    /// Waits until as much is known as can be known soon.
    pub async fn settled(&self) {
        let _ = tokio::time::timeout(SETTLE_MAX, self.settled.cancelled()).await;
    }

    /// The store is there, and was not before: what it holds is not known yet.
    pub(super) fn appears(&self) {
        self.unread.store(true, Relaxed);
    }

    /// The first try to read it is over.
    pub(super) fn settle(&self) {
        self.settled.cancel();
    }

    /// Has the store looked at now. Whether what it held then is in force here.
    pub async fn look(&self) -> bool {
        let mut done = self.done.subscribe();
        let mut number = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        let looked = tokio::time::timeout(LOOK_MAX, done.wait_for(|done| *done >= number));
        matches!(looked.await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests;
