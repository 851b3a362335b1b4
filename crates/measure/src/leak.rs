//! Whether the process loses memory: the slope of its own memory, which is what is resident but for pages of files, less
//! what is known to explain it.
//!
//! ```text
//! its own − 2 × growth of what is held on purpose       (a filling cache and its slack are no leak)
//!     ──► Theil–Sen slope over the window               (outliers, purges and bursts do not move it)
//!     ──► Mann–Kendall test; both halves must rise alike (a step, and what levels off, are no leak)
//!     ──► less 1.5 × what more load explains             (memory in proportion to how busy it got)
//!     ──► Verdict: none, suspected or found, with the figures and a sentence
//! ```
//!
//! Two windows are judged and the worse counts: ten minutes, which find a leak that is soon fatal, and six hours,
//! which find a slow one. Where load grows so much that it may explain everything, nothing is said: such a process is
//! judged when its load has settled. What leaks is not said either, as the allocator does not know; see
//! `/admin/profile/heap` for who holds how much.
//!
//! Sources: Sen 1968, *Estimates of the regression coefficient based on Kendall's tau*; Mann 1945 and Kendall 1975 for
//! the test. It reads no clock and no file.

mod judge;
mod statistics;

pub use judge::{Evidence, Level, Verdict};

use std::collections::VecDeque;
use std::time::Duration;

/// What a process begins with, code touched for the first time and pools filled, is not looked at.
const WARM_UP: Duration = Duration::from_secs(120);

/// What is known at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Time since the process began.
    pub at: Duration,
    /// Bytes resident that are the process's own: pages of files come with use, and go again.
    pub own: u64,
    /// Bytes of them that are held on purpose and known: caches, bodies read ahead.
    pub held: u64,
    /// Requests a second since the sample before.
    pub requests_per_second: f64,
    /// Callers' connections.
    pub connections: u64,
}

/// Watches one process. Bounded: a few hundred samples in all.
#[derive(Debug)]
pub struct Detector {
    recent: Series,
    long: Series,
}

impl Default for Detector {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            recent: Series::new(Duration::from_secs(15), minutes(10), minutes(6)),
            long: Series::new(minutes(5), minutes(360), minutes(120)),
        }
    }
}

impl Detector {
    /// Takes in a sample; they come in the order of their times, every 15 s or more often.
    pub fn note(&mut self, sample: Sample) {
        if sample.at >= WARM_UP {
            self.recent.note(sample);
            self.long.note(sample);
        }
    }

    /// What the samples of late show.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (recent, long) = (self.recent.judge(), self.long.judge());
        match (recent, long) {
            (Some(recent), Some(long)) if long.level > recent.level => long,
            (Some(recent), _) => recent,
            (None, Some(long)) => long,
            (None, None) => Verdict::too_early(self.recent.span(), self.recent.enough),
        }
    }
}

/// Samples at least `step` apart, over `length` at most.
#[derive(Debug)]
struct Series {
    step: Duration,
    length: Duration,
    /// From here on they are judged.
    enough: Duration,
    samples: VecDeque<Sample>,
}

impl Series {
    fn new(step: Duration, length: Duration, enough: Duration) -> Self {
        Self { step, length, enough, samples: VecDeque::new() }
    }

    fn note(&mut self, sample: Sample) {
        // A timer is a little late now, and a little less late next time.
        let due = |last: &Sample| sample.at + self.step / 10 >= last.at + self.step;
        if !self.samples.back().is_none_or(due) {
            return;
        }
        self.samples.push_back(sample);
        while self.span() > self.length {
            self.samples.pop_front();
        }
    }

    fn span(&self) -> Duration {
        let ends = self.samples.front().zip(self.samples.back());
        ends.map_or(Duration::ZERO, |(first, last)| last.at.saturating_sub(first.at))
    }

    /// None where there is too little to judge.
    fn judge(&self) -> Option<Verdict> {
        let samples: Vec<Sample> = self.samples.iter().copied().collect();
        (self.span() >= self.enough).then(|| judge::judge(&samples)).flatten()
    }
}

#[cfg(test)]
mod tests;
