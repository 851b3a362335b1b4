//! What has been counted, as it was at past moments: so that what happened in any window of time is a difference of
//! two readings.
//!
//! It is kept in tiers, each coarser and longer than the one before it, so that three days fit into some 420
//! readings. A window is as exact as the steps of the finest tier that reaches back that far: one second within a
//! minute, a thirtieth of the window or better beyond.

use crate::moment::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Steps and readings of each tier: a minute by the second, 10 minutes by 10 s, an hour by the minute, a day by 10
/// minutes, three days by the hour. Each holds one more than it spans, so that its whole span can be asked for.
const TIERS: [(Duration, usize); 5] = [
    (Duration::from_secs(1), 61),
    (Duration::from_secs(10), 61),
    (Duration::from_secs(60), 61),
    (Duration::from_secs(600), 145),
    (Duration::from_secs(3600), 73),
];

/// Readings are taken by a timer that may be late, and are not to be a step apart for that.
const SLACK: Duration = Duration::from_millis(200);

/// The longest window that can be asked for: three days.
pub const WINDOW_MAX: Duration = Duration::from_secs(3 * 86_400);

/// Readings of what only grows.
#[derive(Clone, Debug)]
pub struct Past<T> {
    tiers: [VecDeque<(Moment, T)>; TIERS.len()],
}

impl<T> Default for Past<T> {
    fn default() -> Self {
        Self { tiers: Default::default() }
    }
}

impl<T: Clone> Past<T> {
    /// Keeps a reading in every tier whose step has passed. More than one a second are not kept.
    pub fn keep(&mut self, reading: &T, now: Moment) {
        for (tier, (step, most)) in self.tiers.iter_mut().zip(TIERS) {
            let is_due = tier.back().is_none_or(|(last, _)| now.since(*last) + SLACK >= step);
            if !is_due {
                continue;
            }
            if tier.len() == most {
                tier.pop_front();
            }
            tier.push_back((now, reading.clone()));
        }
    }

    /// What was read at the beginning of the window that ends now, and when. Where nothing is known from so long
    /// ago: the oldest that is known.
    #[must_use]
    pub fn before(&self, window: Duration, now: Moment) -> Option<(Moment, &T)> {
        let is_old = |(at, _): &(Moment, T)| now.since(*at) + SLACK >= window;
        let reaching = self.tiers.iter().find(|tier| tier.front().is_some_and(is_old));
        let found = match reaching {
            Some(tier) => tier.get(tier.partition_point(is_old) - 1),
            None => self.tiers.last().and_then(VecDeque::front),
        };
        found.map(|(at, reading)| (*at, reading))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Past, TIERS, WINDOW_MAX};
    use crate::moment::Moment;
    use std::time::Duration;

    /// Read each second for so long: the reading is the second.
    fn read_for(seconds: u64) -> (Past<u64>, Moment) {
        let (mut past, start) = (Past::default(), Moment::now());
        for second in 0..=seconds {
            past.keep(&second, start.after(Duration::from_secs(second)));
        }
        (past, start.after(Duration::from_secs(seconds)))
    }

    #[test]
    fn a_window_is_as_exact_as_its_tier() {
        let (past, now) = read_for(4 * 86_400);
        for (window, off_max) in
            [(1, 0), (60, 0), (61, 10), (300, 10), (600, 10), (1800, 60), (3600, 60), (21_600, 600)]
        {
            let (_, found) = past.before(Duration::from_secs(window), now).unwrap();
            let off = 4 * 86_400 - window - found;
            assert!(off <= off_max, "a window of {window} s began {off} s early");
        }
        let (_, found) = past.before(WINDOW_MAX, now).unwrap();
        assert!(86_400 - found <= 3600, "three days began at {found}");
    }

    #[test]
    fn a_window_that_is_longer_than_anything_known_begins_with_the_first_reading() {
        let (past, now) = read_for(100);
        assert_eq!(past.before(Duration::from_secs(3600), now).map(|(_, found)| *found), Some(0));
        assert_eq!(Past::<u64>::default().before(Duration::from_secs(1), now), None);
    }

    #[test]
    fn no_tier_grows_beyond_its_bound() {
        let (past, _) = read_for(5 * 86_400);
        let lengths = past.tiers.each_ref().map(std::collections::VecDeque::len);
        assert_eq!(lengths, TIERS.map(|(_, most)| most));
    }
}
