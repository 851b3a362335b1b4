//! What the process takes of the machine: one [`Reading`] of everything, and how it went over the last day, [`Trend`].
//!
//! ```text
//! Reader (/proc, statvfs) ──► Reading ──► metrics::resources   (a scrape: what there is now)
//!                                    └──► Trend                (a timer: how it went; leak::Detector beside it)
//! ```
//!
//! Processors and memory, with the limits of control groups, are read by [`guard::pressure`], which judges them; here
//! they are put beside open files, threads, disk and network. Only [`Reader`] touches files. What the system does not
//! know, tasks and the allocator's own figures, is handed in by whoever shows them.

pub mod parse;
mod reader;
mod trend;

pub use reader::Reader;
pub use trend::{Point, Trend};

use guard::pressure;
use std::time::Duration;

/// What one look showed; what is missing could not be found out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Processors and memory, and how much of either may be used.
    pub pressure: pressure::Reading,
    /// Bytes of address space.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// When the process began, since 1970.
    pub started: Option<Duration>,
    /// File descriptors open, sockets among them.
    pub open_files: Option<u64>,
    /// How many may be open: the soft limit.
    pub open_files_max: Option<u64>,
    /// Bytes that went to and came from storage.
    pub storage: Option<Traffic>,
    /// Bytes that the process' network namespace received and sent by IP, loopback included.
    pub network: Option<Traffic>,
    /// The file system that holds the data folder.
    pub disk: Option<Disk>,
}

/// Bytes in both directions since the counting began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Read, or received.
    pub in_bytes: u64,
    /// Written, or sent.
    pub out_bytes: u64,
}

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that this process may still write.
    pub free_bytes: u64,
    /// Bytes in all.
    pub size_bytes: u64,
}

/// What the allocator says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocator {
    /// Bytes committed: in use, or kept to be used again.
    pub committed_bytes: u64,
    /// Bytes of address space reserved.
    pub reserved_bytes: u64,
}

#[cfg(test)]
mod tests;
