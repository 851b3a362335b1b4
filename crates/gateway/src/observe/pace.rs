//! How many of those that come are kept, where more come than anybody could look at.

use std::time::Instant;

/// As many may come within a second and be kept, however little room there is.
const SECOND_MIN: usize = 2000;

/// All are kept as long as no more come in a second than there is room for, or than [`SECOND_MIN`]. Of more it is every so
/// many-th, so that those that are kept reach back about a second: of fifty thousand a second, the newest two thousand
/// are gone before anybody has looked at one, and to put each of them in its place takes of the processor's cache what
/// requests need. Who is kept for another reason, as those that were slow or failed, is not counted here.
#[derive(Debug)]
pub struct Pace {
    /// How many may be kept by now.
    left: f64,
    since: Instant,
}

impl Pace {
    /// None have come yet.
    pub fn new(now: Instant) -> Self {
        Self { left: f64::INFINITY, since: now }
    }

    /// By `now`, so many have come since the last look, and there is `room` for so many in all: tells every how many-th
    /// is kept. It is an odd number, so that of two kinds that take turns both are.
    pub fn stride(&mut self, come: usize, room: usize, now: Instant) -> usize {
        let a_second = room.max(SECOND_MIN) as f64;
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = self.since.max(now);
        self.left = (self.left + a_second * passed).min(a_second);
        let stride = (come as f64 / self.left.max(1.0)).ceil() as usize | 1;
        self.left = (self.left - come as f64 / stride as f64).max(0.0);
        stride
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Pace;
    use std::time::{Duration, Instant};

    /// How many of so many a second are kept of those of the tenth second, looked at so often in each.
    fn kept(a_second: usize, looks: usize, room: usize) -> usize {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        let mut kept = 0;
        for look in 1..=10 * looks {
            let come = a_second / looks;
            let now = began + Duration::from_secs(10).mul_f64(look as f64 / (10 * looks) as f64);
            let stride = pace.stride(come, room, now);
            if look > 9 * looks {
                kept += come.div_ceil(stride);
            }
        }
        kept
    }

    #[test]
    fn all_are_kept_that_can_be() {
        assert_eq!(kept(1_000, 10, 2_000), 1_000);
        assert_eq!(kept(2_000, 10, 2_000), 2_000);
        assert_eq!(kept(2_000, 10, 1), 2_000, "few that are kept are the newest");
        assert_eq!(kept(9_000, 10, 10_000), 9_000);
    }

    #[test]
    fn of_more_it_is_about_as_many_as_there_are_to_be_kept() {
        for (a_second, looks) in [(3_000, 10), (50_000, 100), (1_000_000, 200)] {
            let kept = kept(a_second, looks, 2_000);
            assert!((1_000..=2_200).contains(&kept), "{kept} of {a_second}");
            assert!(kept < a_second);
        }
    }

    #[test]
    fn a_rush_after_a_rest_is_kept() {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        assert_eq!(pace.stride(2_000, 2_000, began), 1);
        assert_eq!(pace.stride(2_000, 2_000, began), 2_001, "there was no rest");
        assert_eq!(pace.stride(0, 2_000, began), 1);
        let later = began + Duration::from_secs(1);
        assert_eq!(pace.stride(2_000, 2_000, later), 1);
        assert_eq!(pace.stride(2_000, 2_000, began), 2_001, "time that goes back is no rest");
        assert_eq!(pace.stride(2_000, 2_000, later), 2_001, "nor is the same second once more");
    }
}
