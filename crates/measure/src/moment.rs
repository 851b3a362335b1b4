//! A moment on two clocks: one that never goes back, for how long something lasted, and the one on the wall, for
//! what people and other machines are told. Whoever reads them hands both in, so that days pass in a test at once.

use std::time::{Duration, Instant, SystemTime};

/// The same moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the clock that never goes back.
    pub at: Instant,
    /// On the wall.
    pub wall: SystemTime,
}

impl Moment {
    /// Reads both clocks.
    #[must_use]
    pub fn now() -> Self {
        Self { at: Instant::now(), wall: SystemTime::now() }
    }

    /// How long ago `earlier` was; nothing where it is yet to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.at.saturating_duration_since(earlier.at)
    }

    /// So much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self { at: self.at + time, wall: self.wall + time }
    }
}
