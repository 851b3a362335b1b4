//! What every tier promises, and the suite that holds them to it.

#[cfg(test)]
pub(crate) mod conformance;
mod off;

use crate::clock::Millis;
use crate::entry::Entry;
use crate::epochs::{Stamp, Tag};
use crate::key::Key;
pub use off::Off;
use std::sync::Arc;

/// Where an answer was found, from the nearest to the farthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TierName {
    /// This process.
    Memory,
    /// Redis, shared by replicas.
    Redis,
    /// This machine's disk.
    Disk,
}

impl TierName {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Redis, Self::Disk];

    /// Its name in headers, metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Disk => "disk",
        }
    }
}

/// Why a tier could not do what it was asked. A cache goes on without it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It did not answer in the time allowed.
    #[error("no answer in time")]
    Timeout,
    /// It is not asked for now, as it has failed too often of late.
    #[error("left alone after failures")]
    Tripped,
    /// It is there and refuses: read-only, out of memory, disk full.
    #[error("refused: {0}")]
    Refused(String),
    /// It cannot be reached, or the connection broke.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// A place where entries are kept.
///
/// * `get` after `put` of the same key gives an equal entry, or nothing: a tier may forget at any time,
///   and never errs by giving what was not put under that very key. A body may have been compressed.
/// * `get` gives nothing that is expired at `now`, and nothing torn: what is not whole is treated as
///   absent, removed, and counted.
/// * A second `put` under a key replaces the first. A `put` of what is expired is no error and stores nothing.
/// * After `remove` has returned, `get` gives nothing until the next `put`.
/// * What it holds is bounded, and so is the time that every call takes.
/// * A call that is dropped half-way leaves the tier whole.
///
/// Whether an entry was invalidated is not a tier's business: [`crate::Cache`] asks
/// [`crate::epochs::Epochs`].
pub trait Tier: Send + Sync {
    /// Which it is.
    fn name(&self) -> TierName;

    /// The entry under `key` that may still be served at `now`.
    fn get(&self, key: &Key, now: Millis) -> impl Future<Output = Result<Option<Arc<Entry>>, Error>> + Send;

    /// Keeps `entry` under `key`.
    fn put(&self, key: &Key, entry: &Arc<Entry>) -> impl Future<Output = Result<(), Error>> + Send;

    /// Forgets what is under `key`.
    fn remove(&self, key: &Key) -> impl Future<Output = Result<(), Error>> + Send;

    /// Forgets what is expired at `now`; says how many entries that were, where the tier can tell.
    fn clear_expired(&self, now: Millis) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Everything that carries one of `tags` and is stamped before `number` was invalidated here: tells
    /// others, or keeps it for after a restart. The entries themselves may stay.
    fn invalidated(&self, number: Stamp, tags: &[Tag]) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (number, tags);
        async { Ok(()) }
    }
}
