//! Rows in one file, by SQLite, which is built in.
//!
//! ```text
//! write ──► queue (bounded) ──► one thread: BEGIN · savepoint, work · savepoint, work · … · COMMIT ──► answers
//! read  ──► queue (bounded) ──► a few threads, each with a connection that cannot write ──► answers
//! ```
//!
//! What waits to be written is written together, and answered once it is on disk: that is what makes a durable
//! write cheap when there are many. A request that fails is undone alone. A caller's thread never waits for the
//! disk, and no caller longer than [`Options::wait_max`].
//!
//! Several processes may have the same file open: SQLite's own locks keep them apart. The file must be on a disk
//! of this machine, as those locks and the memory that they share do not reach over a network.

mod ask;
mod batches;
mod connect;
mod fault;
mod files;
mod jobs;
mod keys;
mod ledger;
mod migrate;
mod parcels;
mod readers;
mod runs;
mod schedules;
mod text;
mod writer;

#[cfg(test)]
mod tests;

use crate::{Answer, Error, Result};
use ask::Queue;
use rusqlite::Connection;
use std::path::PathBuf;
use std::time::Duration;

/// Where the file is, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The file; made where it is missing, with its folder.
    pub path: PathBuf,
    /// Longest wait for an answer.
    pub wait_max: Duration,
    /// Longest wait for another process that writes to the same file.
    pub busy_max: Duration,
    /// Threads that read.
    pub readers: usize,
    /// Most pages of 4 KiB that the file may have; `None`: as many as the disk has room for.
    pub pages_max: Option<u32>,
}

impl Options {
    /// The file at this path, all else as usual.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            wait_max: Duration::from_secs(10),
            busy_max: Duration::from_secs(5),
            readers: 2,
            pages_max: None,
        }
    }

    /// The file that is named after `sqlite:`, with or without two slashes.
    ///
    /// # Errors
    /// [`Error::Address`] where that is no file.
    pub fn at(place: &str) -> Result<Self> {
        let path = place.strip_prefix("//").unwrap_or(place);
        let fault = match path {
            "" => "`sqlite:` lacks the path of a file",
            ":memory:" => "a database in memory keeps nothing",
            _ if path.contains('?') || path.starts_with("file:") => {
                "`sqlite:` takes a path and no parameters"
            }
            _ => return Ok(Self::new(path)),
        };
        Err(Error::Address(fault.to_owned()))
    }
}

/// A database in one file. Dropped, it writes what was handed in, and closes.
pub struct Sqlite {
    writes: Queue,
    reads: Queue,
}

impl Sqlite {
    /// Opens the file, and brings its schema up to this release's.
    ///
    /// # Errors
    /// Where the file is of a newer release, is none of ours, or cannot be opened now.
    pub async fn open(options: Options) -> Result<Self> {
        let writes = writer::start(options.clone()).await?;
        let reads = readers::start(&options)?;
        Ok(Self { writes, reads })
    }

    /// Does `work` in a transaction. It may be done again where others in the same transaction spoiled it; what
    /// is answered is what the last time gave.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        self.write_large(0, work)
    }

    /// The same for work that holds many `bytes`: so that not too much of that waits at once.
    fn write_large<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnMut(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(self.writes.ask(bytes, work))
    }

    /// Does `work` on one unchanging view of the file.
    fn read<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(self.reads.ask(0, work))
    }
}
