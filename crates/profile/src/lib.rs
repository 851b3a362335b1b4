//! Where a process spends its processor time, by function: a sampling profiler for the process that it is part of, and
//! three forms of what it finds.
//!
//! ```text
//! SIGPROF, so many times a second of processor time, on a thread that is running:
//!     the handler sends registers and stack to a socket: one system call, and nothing else  (recording/signal.rs)
//! the recording's own thread:
//!     receives them, walks the stack by the program's unwind tables, counts   (recording.rs)
//! at the end: addresses → names → Profile ─► collapsed lines · a flame graph (SVG) · pprof
//! ```
//!
//! A handler that interrupts the program anywhere, in the allocator or with a lock held, may do next to nothing. Other
//! profilers walk the stack in it, with a library that takes locks of its own; this one copies, and the kernel checks
//! the addresses while it does: what cannot be read is an error, never a fault. The rest is done elsewhere, at leisure.
//! (Offline unwinding from saved registers and stack bytes is what framehop is made for, and how `perf record
//! --call-graph dwarf` works.)
//!
//! It needs Linux on x86-64 or AArch64, and says so elsewhere. Names need the program's symbol table: of a stripped
//! program a frame is its file and offset, which another build of the same source can name. Inlined functions are part
//! of those that they were inlined into.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod recording;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "elsewhere.rs"]
mod recording;

mod collapsed;
mod flame;
mod pprof;

pub use recording::Recording;

use std::time::Duration;

/// Why nothing is recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another recording is under way.
    #[error("a profile is being recorded; ask again when it is done")]
    Busy,
    /// There is no profiler for this system or processor.
    #[error("profiles are recorded on Linux alone, on x86-64 and AArch64")]
    Unsupported,
    /// The system refuses.
    #[error("the system refuses to profile: {0}")]
    System(#[from] std::io::Error),
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Samples a second of processor time.
    pub hertz: u32,
    /// How long was recorded.
    pub span: Duration,
    /// Samples that were counted.
    pub samples: u64,
    /// Samples that were lost: too many at once, or too many different stacks.
    pub lost: u64,
    /// Whether the program's own functions have names.
    pub named: bool,
    /// Each stack that was found, the most frequent first.
    pub stacks: Vec<Stack>,
}

/// One stack, and how often it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// The thread's name.
    pub thread: String,
    /// The functions, the outermost first.
    pub frames: Vec<Frame>,
    /// How often.
    pub count: u64,
}

/// One function on a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame {
    /// Its name, or file and offset.
    pub name: String,
    /// The address within it.
    pub address: u64,
}

impl Profile {
    /// One line a stack, `thread;outermost;…;innermost count`, as Brendan Gregg's tools and speedscope read it.
    #[must_use]
    pub fn collapsed(&self) -> String {
        collapsed::of(self)
    }

    /// A flame graph as one SVG document: no script, nothing from elsewhere; each box says its figures when it is
    /// pointed at.
    #[must_use]
    pub fn flame_graph(&self, title: &str) -> String {
        flame::of(self, title)
    }

    /// As `pprof` and Pyroscope read it: a gzipped `perftools.profiles.Profile`.
    ///
    /// # Errors
    /// Where memory cannot be compressed, which does not happen.
    pub fn pprof(&self) -> std::io::Result<Vec<u8>> {
        pprof::of(self)
    }
}

#[cfg(test)]
mod tests;
