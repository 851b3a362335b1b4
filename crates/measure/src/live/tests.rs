#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accuracy;
mod memory;
mod minutes;
mod time;

use super::{Ended, Figure, Live, Minute, Options, ScopeId, Spent, Window};
use crate::metrics::Outcome;
use crate::moment::Moment;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// A whole hour, days from now; in minutes since 1970.
pub(super) const BEGAN: u32 = 60 * 490_000;

/// Two clocks that go as told, and the figures that are told of them.
pub(super) struct World {
    now: Moment,
    pub(super) live: Live,
}

impl World {
    pub(super) fn new(options: Options) -> Self {
        let wall = UNIX_EPOCH + Duration::from_secs(u64::from(BEGAN) * 60);
        let now = Moment { at: Instant::now(), wall };
        Self { now, live: Live::new(options, now) }
    }

    /// So long passes, at once.
    pub(super) fn pass(&mut self, time: Duration) -> Option<Minute> {
        self.now = self.now.after(time);
        self.live.tick(self.now)
    }

    /// So many seconds pass, a tick each second. Gives the minutes that end.
    pub(super) fn pass_slowly(&mut self, seconds: u64) -> Vec<Minute> {
        (0..seconds).filter_map(|_| self.pass(Duration::from_secs(1))).collect()
    }

    /// The wall goes on by so many seconds, or back, while the other clock stands still.
    fn set_wall(&mut self, seconds: i64) -> Option<Minute> {
        let by = Duration::from_secs(seconds.unsigned_abs());
        self.now.wall = if seconds < 0 { self.now.wall - by } else { self.now.wall + by };
        self.live.tick(self.now)
    }

    /// A request of so many milliseconds.
    pub(super) fn request(&mut self, scope: ScopeId, millis: u64) {
        self.live.record(scope, Figure::Total, Duration::from_millis(millis));
        self.live.count(scope, ok());
    }

    /// How many requests a window shows, by its percentiles and by its rates.
    fn counts(&self, window: Window) -> (u64, u64) {
        let (scope, figure) = (ScopeId::ALL, Figure::Total);
        (self.live.read(scope, figure, window).count, self.live.rates(scope, window).requests)
    }
}

pub(super) fn ok() -> Ended {
    let spent = Spent { tokens_in: 10, tokens_out: 5, cost_micro_usd: 3 };
    Ended { outcome: Outcome::Ok, hit: Some(true), spent }
}
