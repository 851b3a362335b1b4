//! How many rows are asked at once, and how soon the next: few at first, more while all is well, half as many when the
//! server has too much to do. Additive increase, multiplicative decrease, after a slow start (Chiu and Jain, 1989; RFC
//! 5681).
//!
//! It is not [`guard::limiter`], which protects a provider from many callers and judges by delays: here is one caller
//! who waits for whole answers, of whatever length, and is told by the gateway when it is too much.

use std::time::{Duration, Instant};

/// Rows asked at once at first.
const FIRST: f64 = 8.0;
/// Rows asked at once at most, where nobody says so.
const MOST: f64 = 256.0;

/// How fast rows are asked.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    limit: f64,
    most: f64,
    /// One more for each answer below it.
    slow_start_below: f64,
    /// When the limit was last cut: what began before says nothing new.
    cut: Option<Instant>,
    /// When the server lets us ask again.
    open_from: Option<Instant>,
    /// Between two rows, and when the next is due.
    every: Option<Duration>,
    due: Option<Instant>,
}

impl Pace {
    /// So many at once, or as many as do well; one each so often at most.
    pub(super) fn new(at_once: Option<u16>, every: Option<Duration>) -> Self {
        let most = at_once.map_or(MOST, f64::from);
        Self {
            limit: if at_once.is_some() { most } else { FIRST },
            most,
            slow_start_below: f64::INFINITY,
            cut: None,
            open_from: None,
            every,
            due: None,
        }
    }

    /// How many may be under way.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// When the next request may begin; `None`: now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        let later = |at: &Instant| *at > now;
        self.open_from.max(self.due).filter(later)
    }

    /// A request begins.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Some(every) = self.every {
            // Time lost to slow answers is not made up for by a burst.
            let due = self.due.map_or(now, |due| due.max(now));
            self.due = Some(due + every);
        }
    }

    /// A request was answered well, `under_way` with it. A limit that is not felt proves nothing and stays.
    pub(super) fn well(&mut self, under_way: usize) {
        if under_way >= self.limit() {
            let more = if self.limit < self.slow_start_below { 1.0 } else { 1.0 / self.limit };
            self.limit = (self.limit + more).min(self.most);
        }
    }

    /// A request that began at `began` was too much.
    pub(super) fn too_much(&mut self, began: Instant, now: Instant) {
        if self.cut.is_none_or(|cut| began > cut) {
            self.cut = Some(now);
            self.limit = (self.limit / 2.0).max(1.0);
            self.slow_start_below = self.limit;
        }
    }

    /// Nobody is to be asked for so long.
    pub(super) fn hold(&mut self, wait: Duration, now: Instant) {
        self.open_from = self.open_from.max(Some(now + wait));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_starts_small_and_grows_while_the_limit_is_felt() {
        let mut pace = Pace::new(None, None);
        assert_eq!(pace.limit(), 8);
        pace.well(3);
        assert_eq!(pace.limit(), 8);
        (0..8).for_each(|_| pace.well(pace.limit()));
        assert_eq!(pace.limit(), 16);
        (0..1000).for_each(|_| pace.well(pace.limit()));
        assert_eq!(pace.limit(), 256);
    }

    #[test]
    fn too_much_halves_it_once_for_all_that_was_under_way_and_then_it_grows_slowly() {
        let mut pace = Pace::new(Some(64), None);
        let start = Instant::now();
        assert_eq!(pace.limit(), 64);
        (0..64).for_each(|_| pace.too_much(start, start + SECOND));
        assert_eq!(pace.limit(), 32);
        (0..31).for_each(|_| pace.well(pace.limit()));
        assert_eq!(pace.limit(), 32);
        (0..3).for_each(|_| pace.well(pace.limit()));
        assert_eq!(pace.limit(), 33);
        (2..20).for_each(|at| pace.too_much(start + at * SECOND, start + at * SECOND));
        assert_eq!(pace.limit(), 1);
        (0..9999).for_each(|_| pace.well(pace.limit()));
        assert_eq!(pace.limit(), 64);
    }

    #[test]
    fn the_next_waits_for_the_rate_and_for_the_server() {
        let mut pace = Pace::new(None, Some(SECOND));
        let start = Instant::now();
        assert_eq!(pace.wait(start), None);
        pace.begin(start);
        assert_eq!(pace.wait(start), Some(start + SECOND));
        assert_eq!(pace.wait(start + SECOND), None);
        // Late is late: the one after it is not early.
        pace.begin(start + 5 * SECOND);
        assert_eq!(pace.wait(start + 5 * SECOND), Some(start + 6 * SECOND));
        pace.hold(9 * SECOND, start + 5 * SECOND);
        pace.hold(SECOND, start + 5 * SECOND);
        assert_eq!(pace.wait(start + 6 * SECOND), Some(start + 14 * SECOND));
        assert_eq!(pace.wait(start + 14 * SECOND), None);
    }
}
