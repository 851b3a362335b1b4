//! What a process has done to batches since it began, to be shown elsewhere.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug, Default)]
pub(crate) struct Stats {
    good: AtomicU64,
    bad: AtomicU64,
}

/// What was done since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that were answered well.
    pub good: u64,
    /// Lines that ended among the errors: refused, failed, late, cancelled or lost.
    pub bad: u64,
}

impl Stats {
    /// So many lines have ended.
    pub fn ended(&self, good: bool, lines: u64) {
        if good { &self.good } else { &self.bad }.fetch_add(lines, Relaxed);
    }

    pub fn report(&self) -> Report {
        Report { good: self.good.load(Relaxed), bad: self.bad.load(Relaxed) }
    }
}
