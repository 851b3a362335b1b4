//! A time that never goes back and still agrees with the wall, in milliseconds.
//!
//! It follows the clock on the wall, so that slots begin at whole minutes and a machine that slept for an hour
//! finds its figures an hour old, though the clock that never goes back stood still meanwhile. Where the wall is
//! set back, it goes on by what the other clock says, and remembers by how much the two differ from then on.

use crate::moment::Moment;
use std::time::{Duration, UNIX_EPOCH};

/// The wall falls behind by more than this only where it is set, not where it is slewed.
const SLEW_MS: u64 = 1000;

/// The time, as far as it was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    last: Moment,
    /// Milliseconds since 1970 where the wall was never set back.
    time: u64,
    /// How far the time is before the wall.
    ahead: u64,
}

impl Steady {
    pub(super) fn new(now: Moment) -> Self {
        Self { last: now, time: wall_ms(now), ahead: 0 }
    }

    /// It is `now`.
    pub(super) fn advance(&mut self, now: Moment) -> u64 {
        let elapsed = millis(now.since(self.last));
        let by_wall = wall_ms(now) + self.ahead;
        let by_steady = self.time + elapsed;
        if by_wall >= self.time && by_wall + SLEW_MS >= by_steady {
            self.time = by_wall;
        } else {
            self.time = by_steady;
            self.ahead = by_steady.saturating_sub(wall_ms(now));
        }
        self.last = now;
        self.time
    }

    pub(super) fn time(&self) -> u64 {
        self.time
    }

    /// What the wall showed, or would have, when it was `time`: milliseconds since 1970.
    pub(super) fn wall(&self, time: u64) -> u64 {
        time.saturating_sub(self.ahead)
    }
}

/// Milliseconds since 1970 on the wall; 0 before.
pub(super) fn wall_ms(moment: Moment) -> u64 {
    millis(moment.wall.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::Steady;
    use crate::moment::Moment;
    use std::time::{Duration, Instant, UNIX_EPOCH};

    /// Plays pairs of (steady, wall) in milliseconds and compares the time told after each.
    fn check(steps: &[(u64, u64, u64)]) {
        let zero = Instant::now();
        let moment = |at, wall| Moment {
            at: zero + Duration::from_millis(at),
            wall: UNIX_EPOCH + Duration::from_millis(1_000_000 + wall),
        };
        let mut clock = Steady::new(moment(0, 0));
        for &(at, wall, told) in steps {
            assert_eq!(clock.advance(moment(at, wall)) - 1_000_000, told, "at {at}, wall {wall}");
            assert_eq!(clock.wall(clock.time()), 1_000_000 + wall, "at {at}, wall {wall}");
        }
    }

    #[test]
    fn it_follows_the_wall() {
        check(&[(100, 100, 100), (200, 199, 199), (300, 301, 301)]);
    }

    #[test]
    fn a_machine_that_slept_finds_time_passed() {
        check(&[(100, 100, 100), (200, 3_600_100, 3_600_100), (300, 3_600_200, 3_600_200)]);
    }

    #[test]
    fn a_wall_set_back_does_not_stop_it() {
        check(&[(100, 10_000, 10_000), (200, 50, 10_100), (5200, 5050, 15_100)]);
        check(&[(5000, 2000, 5000), (6000, 3000, 6000)]);
    }
}
