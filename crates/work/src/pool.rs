//! How many workers a queue has: more while claims bring all that is asked for, fewer while most are idle.
//!
//! A worker is no thread and no task but the right to have one more job under way. A pool that is no larger than
//! its work asks leaves jobs to other replicas, and does not greet an idle provider with a hundred calls at
//! once.

use std::time::{Duration, Instant};

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At least; no less than 1.
    pub min: u32,
    /// At most.
    pub max: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { min: 2, max: 100 }
    }
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Workers there are.
    pub size: u32,
    /// Workers that had something to do, what the claim has brought included.
    pub busy: u32,
    /// Jobs that the claim asked for.
    pub asked: u32,
    /// Jobs that it brought.
    pub got: u32,
    /// For how long no more than half of the workers had something to do.
    pub slack: Duration,
}

/// How many workers there should be: twice as many after a claim that brought all it asked for, half as many
/// (and no fewer than are busy) after `patience` of slack.
#[must_use]
pub fn size(bounds: Bounds, load: Load, patience: Duration) -> u32 {
    let wanted = if load.got > 0 && load.got >= load.asked {
        load.size.saturating_mul(2)
    } else if load.slack >= patience {
        load.busy.max(load.size / 2)
    } else {
        load.size
    };
    let min = bounds.min.max(1);
    wanted.clamp(min, bounds.max.max(min))
}

/// A pool, and how long it has been too large.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    bounds: Bounds,
    patience: Duration,
    size: u32,
    slack_since: Option<Instant>,
}

impl Pool {
    /// The smallest pool within bounds, which shrinks after `patience` of slack.
    #[must_use]
    pub fn new(bounds: Bounds, patience: Duration) -> Self {
        Self { bounds, patience, size: bounds.min.max(1), slack_since: None }
    }

    /// Workers there are.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// A claim asked for `asked` jobs and brought `got`; `busy` workers are busy now.
    pub fn claimed(&mut self, asked: u32, got: u32, busy: u32, now: Instant) {
        let is_slack = busy <= self.size / 2;
        let since = is_slack.then(|| self.slack_since.unwrap_or(now));
        let slack = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let before = self.size;
        self.size = size(self.bounds, Load { size: before, busy, asked, got, slack }, self.patience);
        // A pool that has changed is looked at anew.
        self.slack_since = since.map(|since| if self.size == before { since } else { now });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Bounds, Load, Pool, size};
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    const PATIENCE: Duration = Duration::from_secs(10);
    const BOUNDS: Bounds = Bounds { min: 2, max: 100 };

    #[test]
    fn the_pool_follows_the_work() {
        let check = |load: (u32, u32, u32, u32, u64), expected, why| {
            let (size_now, busy, asked, got, slack) = load;
            let load = Load { size: size_now, busy, asked, got, slack: Duration::from_secs(slack) };
            assert_eq!(size(BOUNDS, load, PATIENCE), expected, "{why}: {load:?}");
        };
        //     size busy asked got slack
        check((2, 2, 2, 2, 0), 4, "a claim that brings all doubles it");
        check((64, 64, 1, 1, 0), 100, "up to the bound");
        check((100, 100, 5, 5, 0), 100, "and no further");
        check((8, 5, 4, 1, 0), 8, "a claim that brings less leaves it");
        check((8, 0, 8, 0, 9), 8, "so does slack, for a while");
        check((8, 0, 8, 0, 10), 4, "and not for longer");
        check((8, 7, 8, 0, 10), 7, "nobody who works is sent away");
        check((3, 0, 3, 0, 60), 2, "the least remains");
        check((8, 4, 4, 4, 60), 16, "work comes first");
        check((0, 0, 0, 0, 0), 2, "nothing asked is no sign of work");
    }

    #[test]
    fn bounds_that_make_no_sense_leave_one_worker() {
        let load = Load { size: 1, busy: 0, asked: 1, got: 0, slack: PATIENCE };
        assert_eq!(size(Bounds { min: 0, max: 0 }, load, PATIENCE), 1);
        assert_eq!(size(Bounds { min: 5, max: 3 }, load, PATIENCE), 5);
    }

    #[test]
    fn it_shrinks_by_halves_each_after_as_much_patience() {
        let start = Instant::now();
        let mut pool = Pool::new(BOUNDS, PATIENCE);
        for _ in 0..9 {
            pool.claimed(1, 1, pool.size(), start);
        }
        assert_eq!(pool.size(), 100);
        let mut sizes = Vec::new();
        for second in 0..=60 {
            pool.claimed(100, 0, 0, start + Duration::from_secs(second));
            sizes.push(pool.size());
        }
        sizes.dedup();
        assert_eq!(sizes, [100, 50, 25, 12, 6, 3, 2]);
    }

    #[test]
    fn work_in_between_ends_the_slack() {
        let start = Instant::now();
        let mut pool = Pool::new(Bounds { min: 2, max: 8 }, PATIENCE);
        (0..3).for_each(|_| pool.claimed(1, 1, 8, start));
        for (second, busy) in [(0, 0), (9, 5), (10, 0), (19, 0)] {
            pool.claimed(8, 0, busy, start + Duration::from_secs(second));
            assert_eq!(pool.size(), 8, "second {second}");
        }
        pool.claimed(8, 0, 0, start + Duration::from_secs(20));
        assert_eq!(pool.size(), 4);
    }

    proptest! {
        #[test]
        fn it_stays_within_bounds_and_reaches_the_most_under_a_backlog(
            steps in prop::collection::vec((0_u32..50, 0_u32..50, 0_u32..120, 0_u64..30), 0..100),
        ) {
            let mut now = Instant::now();
            let mut pool = Pool::new(BOUNDS, PATIENCE);
            for (asked, got, busy, seconds) in steps {
                now += Duration::from_secs(seconds);
                let before = pool.size();
                pool.claimed(asked, got.min(asked), busy.min(before), now);
                prop_assert!((BOUNDS.min..=BOUNDS.max).contains(&pool.size()));
                prop_assert!(pool.size() >= busy.min(before));
            }
            (0..6).for_each(|_| pool.claimed(1, 1, 1, now));
            prop_assert_eq!(pool.size(), BOUNDS.max);
        }
    }
}
