//! How often a row is tried, and how long after.

use std::time::Duration;

use guard::retry::Backoff;

/// Between two tries, where the server does not say.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), max: Duration::from_secs(30) };
/// How often a row that is told to come back does so. It is not the row's fault, so that it may be often.
const WAITS_MAX: u32 = 20;
/// So much longer one or another waits, so that not all come at the same moment.
const STRAY_MS: u64 = 100;

/// How often a row was tried in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// And something was wrong.
    faults: u32,
    /// And it was told to come back later.
    waits: u32,
}

impl Tries {
    /// How long to wait for the next try, after one that was told to come back `after` so long, or was told nothing.
    /// `None`: there is none; of the latter there are `retries`.
    pub(super) fn next(&mut self, after: Option<Duration>, retries: u32) -> Option<Duration> {
        match after {
            Some(after) => {
                self.waits += 1;
                let stray = Duration::from_millis(fastrand::u64(..STRAY_MS));
                (self.waits <= WAITS_MAX).then_some(after + stray)
            }
            None => {
                self.faults += 1;
                (self.faults <= retries).then(|| BACKOFF.delay(self.faults - 1, fastrand::u64(..)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_row_is_tried_so_often_and_waits_for_as_long_as_it_is_told() {
        let second = Duration::from_secs(1);
        let mut tries = Tries::default();
        assert!((0..2).all(|_| tries.next(None, 2).is_some()));
        assert!((0..WAITS_MAX).all(|_| tries.next(Some(second), 2).unwrap() >= second));
        assert_eq!((tries.next(None, 2), tries.next(Some(second), 2)), (None, None));
        assert_eq!(Tries::default().next(None, 0), None);
    }
}
