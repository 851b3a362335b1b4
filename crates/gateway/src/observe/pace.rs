//! Which of the requests that come are kept, where more come than anybody could look at, and their numbers.

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
    /// Every how many-th is kept of those that come now. An odd number, so that of two kinds that take turns both are.
    stride: u64,
    /// Those that came so far.
    come: u64,
    thinned: u64,
}

impl Pace {
    /// None have come yet.
    pub fn new(now: Instant) -> Self {
        Self { left: f64::INFINITY, since: now, stride: 1, come: 0, thinned: 0 }
    }

    /// By `now`, so many have come since the last look, and there is `room` for so many in all.
    pub fn look(&mut self, come: usize, room: usize, now: Instant) {
        let a_second = room.max(SECOND_MIN) as f64;
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = self.since.max(now);
        self.left = (self.left + a_second * passed).min(a_second);
        self.stride = (come as f64 / self.left.max(1.0)).ceil() as u64 | 1;
        self.left = (self.left - come as f64 / self.stride as f64).max(0.0);
    }

    /// The number of the next of them, where it is kept: all that are `remarkable` are.
    pub fn number(&mut self, remarkable: bool) -> Option<u64> {
        let number = self.come;
        self.come += 1;
        let is_kept = remarkable || number.is_multiple_of(self.stride);
        self.thinned += u64::from(!is_kept);
        is_kept.then_some(number)
    }

    /// Those that were not kept so far, as too many came.
    pub fn thinned(&self) -> u64 {
        self.thinned
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
            pace.look(come, room, now);
            let of_look = (0..come).filter(|_| pace.number(false).is_some()).count();
            if look > 9 * looks {
                kept += of_look;
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
        let mut stride = |come, now| {
            pace.look(come, 2_000, now);
            pace.stride
        };
        assert_eq!(stride(2_000, began), 1);
        assert_eq!(stride(2_000, began), 2_001, "there was no rest");
        assert_eq!(stride(0, began), 1);
        let later = began + Duration::from_secs(1);
        assert_eq!(stride(2_000, later), 1);
        assert_eq!(stride(2_000, began), 2_001, "time that goes back is no rest");
        assert_eq!(stride(2_000, later), 2_001, "nor is the same second once more");
    }
}
