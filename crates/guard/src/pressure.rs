//! How hard pressed the whole process is: by its cores, its memory, and the bytes it buffers for others.
//! From that, what to do: nothing, take on less, or turn work away, the least important first.
//!
//! ```text
//! Reader (/proc, cgroup v1 and v2) ──► Reading ─┐
//! Account (bytes buffered, with a cap) ─────────┼─► Judge (pure, hysteresis) ──► Verdict { level, … }
//! Traffic (in flight, passes, best time) ───────┘
//! ```
//!
//! The parts know nothing of each other but their figures. Only [`Reader`] touches files; everything else
//! is a function of what it is handed, so that a test needs no machine to be out of memory. Nothing here
//! refuses a request: that is for whoever asks the last [`Verdict`]. One judge serves one process, asked
//! by a timer twice a second or so.

use crate::queue::Band;

pub use self::buffered::{Account, Buffered};
pub use self::judge::{Judge, Load, Options, Verdict};
pub use self::reader::Reader;
pub use self::reading::{Memory, Reading, Source};
pub use self::traffic::{Estimate, Passing, Traffic};

mod buffered;
mod judge;
pub mod parse;
mod reader;
mod reading;
mod traffic;

#[cfg(test)]
mod tests;

/// What the pressure asks for; each level asks for all that the one before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing.
    Calm,
    /// Halve how much is done at once.
    Squeeze,
    /// Turn away new requests of some bands as well.
    Shed {
        /// This band and all that are less important.
        from: Band,
    },
}

impl Level {
    /// From calm to where nothing is taken any more.
    const LADDER: [Self; 6] = [
        Self::Calm,
        Self::Squeeze,
        Self::Shed { from: Band::Batch },
        Self::Shed { from: Band::Low },
        Self::Shed { from: Band::Normal },
        Self::Shed { from: Band::High },
    ];

    /// Whether a new request of this band is to be turned away.
    pub fn sheds(self, band: Band) -> bool {
        matches!(self, Self::Shed { from } if band >= from)
    }
}
