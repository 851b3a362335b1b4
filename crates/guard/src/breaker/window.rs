//! Successes and failures of the last while.

use crate::ring::Ring;
use std::time::{Duration, Instant};

/// Calls counted.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub good: u64,
    pub bad: u64,
}

impl Counts {
    pub fn calls(self) -> u64 {
        self.good + self.bad
    }
}

/// Calls counted in tenths of a window.
pub(super) struct Window(Ring<Counts, 10>);

impl Window {
    pub fn new(length: Duration) -> Self {
        Self(Ring::new(length))
    }

    pub fn good(&mut self, now: Instant) {
        self.0.newest(now).good += 1;
    }

    pub fn bad(&mut self, now: Instant) {
        self.0.newest(now).bad += 1;
    }

    /// What the window holds.
    pub fn sum(&mut self, now: Instant) -> Counts {
        let add =
            |sum: Counts, bucket: &Counts| Counts { good: sum.good + bucket.good, bad: sum.bad + bucket.bad };
        self.0.buckets(now).fold(Counts::default(), |sum, (_, bucket)| add(sum, bucket))
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}
