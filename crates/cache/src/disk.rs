//! The farthest tier: answers on this machine's disk, there again after a restart.
//!
//! One process owns a folder. In it a thread of its own runs foyer's block engine, with one more thread for the
//! calls that block, so that no caller's thread ever does: a caller hands a write in or waits for a read, and
//! waits no longer than [`Options::read_max`]. What it asks for is in the queue of writes, in the engine's
//! index (which is in memory, so that a miss costs no read), or on disk.
//!
//! Where the disk fails (read-only, full, too slow) the tier rests: it warns once, answers
//! [`Error::Tripped`], and opens everything anew after [`Options::rest`]. What was to be written meanwhile is
//! removed then, as what the disk has of it is older; a process that ends before that leaves the folder to begin
//! anew.
//!
//! What it keeps over a kill at any moment: every entry that is served is whole and is the last or, of a write
//! that had not reached the system yet, an earlier one put under its key; what was removed stays removed once
//! [`Tier::remove`] has returned; what was invalidated stays so, which is [`Journal`]'s work and also holds
//! where the machine itself stops. Entries are written to the system, not synced.
//!
//! The engine cannot say what it holds. What is expired goes when it is read, or with its block when that is
//! the oldest; [`Tier::clear_expired`] finds nothing.

mod engine;
mod folder;
mod journal;
mod ledger;
mod mend;
mod owner;
mod queue;
mod shared;
mod warm;

#[cfg(test)]
mod tests;

use crate::clock::Millis;
use crate::entry::Entry;
use crate::epochs::{Epochs, Stamp, Tag};
use crate::key::Key;
use crate::tier::{Error, Tier, TierName};
pub use journal::Journal;
pub use ledger::Ledger;
use queue::{Pushed, Write};
use shared::Shared;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::DropGuard;
pub use warm::{Warmed, Warming};

/// Longest wait for a removal to reach the system.
const REMOVE_MAX: Duration = Duration::from_secs(1);
/// Longest wait for everything that was handed in, when asked for or on closing.
const FLUSH_MAX: Duration = Duration::from_secs(10);
/// Longest life of an entry here: [`Journal`] keeps invalidations a little longer, and not for ever.
const TTL_MAX: Duration = Duration::from_secs(28 * 24 * 3600);

/// Where the tier is and how large it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its folder; made where it is missing.
    pub path: PathBuf,
    /// Most bytes of entries. Less is taken where the disk has less. At least 17 MiB.
    pub bytes: u64,
    /// Longest stay of an entry, whatever its own expiry; at most 28 days.
    pub ttl: Duration,
    /// Bodies longer than this are compressed, in bytes.
    pub compress_above: usize,
    /// Longest wait for a read.
    pub read_max: Duration,
    /// How long a disk that failed is left alone.
    pub rest: Duration,
}

impl Options {
    /// The tier in this folder, all else as usual.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            bytes: 4 << 30,
            ttl: Duration::from_secs(24 * 3600),
            compress_above: 1000,
            read_max: Duration::from_millis(100),
            rest: Duration::from_secs(45),
        }
    }
}

/// Why there is no tier on disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or this one, has it open.
    #[error("the folder belongs to another process: give each its own")]
    Owned,
    /// The disk has too little room.
    #[error("the disk has room for {room} bytes, too few: free some, or name another folder")]
    Small {
        /// What could be taken, in bytes.
        room: u64,
    },
    /// The folder cannot be written, or what is in it not be opened.
    #[error("the folder cannot be used: {0}")]
    Refused(#[from] io::Error),
}

/// Whether the tier is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It reads and writes.
    Open,
    /// It is left alone after a failure, or was not opened yet.
    Resting,
    /// It was closed.
    Closed,
}

/// What came of it since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries written.
    pub written: u64,
    /// Entries that were found torn, and removed.
    pub torn: u64,
    /// Entries that were not kept: too large, or too many at once.
    pub given_up: u64,
    /// Reads that took too long.
    pub late: u64,
    /// Times that the disk failed, or could not be opened.
    pub outages: u64,
}

/// Answers on this machine's disk. Dropped without [`Disk::close`] it ends by itself, soon.
pub struct Disk {
    shared: Arc<Shared>,
    _end: DropGuard,
}

impl Disk {
    /// Opens the tier. What was invalidated when the folder was last in use is taken into `epochs`.
    ///
    /// # Errors
    /// Where the folder belongs to another process or cannot be used now. A gateway goes on without; see
    /// [`Disk::start`] for one that tries again.
    pub async fn open(options: Options, epochs: Arc<Epochs>) -> Result<Self, OpenError> {
        match Self::start(options, epochs).await? {
            (disk, None) => Ok(disk),
            (_, Some(error)) => Err(error),
        }
    }

    /// Opens the tier, or leaves it resting with what hinders it: it tries again every [`Options::rest`].
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub async fn start(options: Options, epochs: Arc<Epochs>) -> io::Result<(Self, Option<OpenError>)> {
        let options = Options { ttl: options.ttl.min(TTL_MAX), ..options };
        let (shared, outcome) = Shared::start(options, epochs)?;
        let disk = Self { _end: shared.end.clone().drop_guard(), shared };
        let gone = || OpenError::Refused(io::ErrorKind::BrokenPipe.into());
        let hindrance = outcome.await.unwrap_or_else(|_| Some(gone()));
        Ok((disk, hindrance))
    }

    /// Whether it is at work.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// What came of it.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Most bytes it takes on disk; `None` before it was opened.
    #[must_use]
    pub fn capacity_bytes(&self) -> Option<u64> {
        self.shared.capacity()
    }

    /// Which entries are worth most. Whoever knows what an answer costs counts here; it is kept over restarts.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Waits until everything that was put or removed so far has reached the system.
    ///
    /// # Errors
    /// Where that takes longer than ten seconds, or the disk failed meanwhile.
    pub async fn flush(&self) -> Result<(), Error> {
        match self.state() {
            State::Open => self.shared.settle(self.shared.queue.last(), FLUSH_MAX).await,
            State::Resting | State::Closed => Err(self.shared.absence()),
        }
    }

    /// Writes what waits, and lets the folder go; afterwards every call errs. Takes ten seconds at most; what
    /// is not written by then is lost.
    pub async fn close(&self) {
        self.shared.end.cancel();
        let _ = tokio::time::timeout(FLUSH_MAX, self.shared.ended()).await;
    }

    /// What is there and may be served.
    fn servable(&self, entry: Arc<Entry>, now: Millis) -> Option<Arc<Entry>> {
        (!entry.is_expired(now) && entry.age(now) < self.shared.options.ttl).then_some(entry)
    }
}

impl Tier for Disk {
    fn name(&self) -> TierName {
        TierName::Disk
    }

    async fn get(&self, key: &Key, now: Millis) -> Result<Option<Arc<Entry>>, Error> {
        match self.shared.queue.find(key) {
            Some(Write::Put(entry)) => return Ok(self.servable(entry, now)),
            Some(Write::Remove) => return Ok(None),
            None => {}
        }
        let Some(found) = self.shared.read(key).await? else { return Ok(None) };
        let found = self.servable(found, now);
        if found.is_none() {
            self.shared.queue.remove_stored(key);
        }
        Ok(found)
    }

    /// Returns once the write is queued.
    async fn put(&self, key: &Key, entry: &Arc<Entry>) -> Result<(), Error> {
        let write = match self.servable(Arc::clone(entry), Millis::now()) {
            Some(entry) => Write::Put(entry),
            None => Write::Remove,
        };
        match self.shared.queue.push(key, write) {
            Pushed::Queued(_) => Ok(()),
            Pushed::Closed => Err(self.shared.absence()),
            Pushed::Full => {
                self.shared.give_up(1);
                Err(Error::Refused("too much waits to be written".to_owned()))
            }
        }
    }

    /// Returns once the removal has reached the system; it is in force here at once.
    async fn remove(&self, key: &Key) -> Result<(), Error> {
        if self.shared.holds_nothing(key) {
            return Ok(());
        }
        self.shared.ledger.forget(key);
        match self.shared.queue.push(key, Write::Remove) {
            Pushed::Queued(ticket) => self.shared.settle(ticket, REMOVE_MAX).await,
            Pushed::Full | Pushed::Closed => Err(self.shared.absence()),
        }
    }

    /// Gives zero: the engine cannot say what it holds. What is expired goes when it is read.
    async fn clear_expired(&self, _: Millis) -> Result<u64, Error> {
        Ok(0)
    }

    async fn invalidated(&self, number: Stamp, tags: &[Tag]) -> Result<(), Error> {
        self.shared.journal()?.append(number, tags).await
    }
}
