//! What a process has done to batches since it began, to be shown elsewhere.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug, Default)]
pub(crate) struct Stats {
    good: AtomicU64,
    bad: AtomicU64,
    sent: AtomicU64,
    fetched: AtomicU64,
    returned: AtomicU64,
    uncounted: AtomicU64,
}

/// How far a parcel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// The provider has taken it.
    Sent,
    /// All is here that there will be.
    Fetched,
    /// The provider does not run it.
    Returned,
}

/// What was done since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that were answered well.
    pub good: u64,
    /// Lines that ended among the errors: refused, failed, late, cancelled or lost.
    pub bad: u64,
    /// Parcels that providers have taken as batches of their own.
    pub sent: u64,
    /// Parcels that were sent and of which all is here that there will be.
    pub fetched: u64,
    /// Parcels that providers did not run.
    pub returned: u64,
    /// Good lines of parcels whose use and cost nobody knows.
    pub uncounted: u64,
}

impl Stats {
    /// So many lines have ended.
    pub fn ended(&self, good: bool, lines: u64) {
        if good { &self.good } else { &self.bad }.fetch_add(lines, Relaxed);
    }

    /// A parcel has come so far.
    pub fn carried(&self, came: Came) {
        let count = match came {
            Came::Sent => &self.sent,
            Came::Fetched => &self.fetched,
            Came::Returned => &self.returned,
        };
        count.fetch_add(1, Relaxed);
    }

    /// So many good lines could not be counted.
    pub fn uncounted(&self, lines: u64) {
        self.uncounted.fetch_add(lines, Relaxed);
    }

    pub fn report(&self) -> Report {
        let Self { good, bad, sent, fetched, returned, uncounted } = self;
        let [good, bad, sent, fetched, returned, uncounted] =
            [good, bad, sent, fetched, returned, uncounted].map(|count| count.load(Relaxed));
        Report { good, bad, sent, fetched, returned, uncounted }
    }
}
