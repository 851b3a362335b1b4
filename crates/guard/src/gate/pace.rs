//! How fast permits come back, and so how long a wait would be.
//!
//! Little's law: with `n` permits out for `hold` on average, one comes back every `hold / n`. To count
//! those that come back in a second would tell how many callers there were, not how many there could be.

use std::time::{Duration, Instant};

/// Weight of a new hold in the average.
const WEIGHT: f64 = 0.05;
/// No wait is thought to be longer.
const WAIT_MAX: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Pace {
    /// How long a permit is held on average, in seconds, once one has come back.
    hold: Option<f64>,
    /// When a permit last went out or came back.
    moved: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self { hold: None, moved: now }
    }

    pub fn granted(&mut self, now: Instant) {
        self.moved = now;
    }

    pub fn returned(&mut self, held: Duration, now: Instant) {
        let new = held.as_secs_f64();
        self.hold = Some(self.hold.map_or(new, |old| old + WEIGHT * (new - old)));
        self.moved = now;
    }

    /// How long a permit is held on average; zero before one has come back.
    pub fn hold(&self) -> Duration {
        Duration::try_from_secs_f64(self.hold.unwrap_or(0.0)).unwrap_or(WAIT_MAX).min(WAIT_MAX)
    }

    /// How long until `turns` of the `out` permits have come back.
    pub fn wait(&self, turns: usize, out: u32, now: Instant) -> Duration {
        // Whatever is out has been for as long as nothing moved: a target that hangs is noticed before
        // its calls time out.
        let still = now.saturating_duration_since(self.moved).as_secs_f64();
        let hold = self.hold.unwrap_or(0.0).max(still);
        let wait = hold * turns as f64 / f64::from(out.max(1));
        Duration::try_from_secs_f64(wait).unwrap_or(WAIT_MAX).min(WAIT_MAX)
    }
}
