//! How soon an idle queue is asked again. Whoever adds a job in the same process wakes the queue; this is for
//! jobs that others add.

use guard::retry::Backoff;
use std::time::Duration;
use store::jobs::Rate;

/// How often to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest pause after a claim that brought something.
    pub least: Duration,
    /// The longest pause of all.
    pub most: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { least: Duration::from_millis(50), most: Duration::from_millis(1500) }
    }
}

/// What a claim brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// As many jobs as were asked for: there may be more.
    All,
    /// Fewer.
    Few,
    /// None.
    Nothing,
}

impl Brought {
    /// So many of so many.
    pub fn of(got: u32, asked: u32) -> Self {
        match got {
            0 => Self::Nothing,
            _ if got >= asked => Self::All,
            _ => Self::Few,
        }
    }
}

/// The pauses between a queue's claims: none while they bring all that is asked for, and then longer and longer.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    backoff: Backoff,
    /// Claims in succession that brought nothing.
    empty: u32,
}

impl Pace {
    /// The pace of a queue. One with a rate is asked at least as often as it may start a job.
    #[must_use]
    pub fn new(bounds: Bounds, rate: Option<Rate>) -> Self {
        let one_start =
            |rate: Rate| Duration::try_from_secs_f64(1.0 / rate.per_second).unwrap_or(bounds.most);
        let most = rate.map_or(bounds.most, one_start).clamp(bounds.least, bounds.most.max(bounds.least));
        Self { backoff: Backoff { base: bounds.least, max: most }, empty: 0 }
    }

    /// The pause after a claim; `dice` is evenly distributed.
    pub fn after(&mut self, brought: Brought, dice: u64) -> Duration {
        self.empty = match brought {
            Brought::All | Brought::Few => 0,
            Brought::Nothing => self.empty.saturating_add(1),
        };
        match brought {
            Brought::All => Duration::ZERO,
            Brought::Few | Brought::Nothing => self.backoff.delay(self.empty.saturating_sub(1), dice),
        }
    }

    /// Somebody said that there is something: the pauses begin anew.
    pub fn wake(&mut self) {
        self.empty = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Bounds, Brought, Pace};
    use proptest::prelude::*;
    use std::time::Duration;
    use store::jobs::Rate;

    /// The longest pauses, in milliseconds, after a succession of claims.
    fn check(rate: Option<f64>, claims: &[(Brought, u128)]) {
        let rate = rate.map(|per_second| Rate { per_second, burst: 1.0 });
        let mut pace = Pace::new(Bounds::default(), rate);
        for (index, (brought, most_ms)) in claims.iter().enumerate() {
            let pause = pace.after(*brought, u64::MAX) + Duration::from_nanos(1);
            assert_eq!(pause.as_millis(), *most_ms, "claim {index}");
        }
    }

    #[test]
    fn pauses_grow_while_nothing_comes_and_begin_anew_when_something_does() {
        use Brought::{All, Few, Nothing};
        check(
            None,
            &[(All, 0), (All, 0), (Few, 50), (Nothing, 50), (Nothing, 100), (Nothing, 200), (Few, 50)],
        );
        check(None, &[(Nothing, 50), (Nothing, 100), (Nothing, 200), (Nothing, 400), (Nothing, 800)]);
        check(None, &[(Nothing, 50), (All, 0), (Nothing, 50), (Nothing, 100)]);
    }

    #[test]
    fn a_queue_with_a_rate_is_asked_as_often_as_it_may_start_a_job() {
        use Brought::Nothing;
        check(Some(10.0), &[(Nothing, 50), (Nothing, 100), (Nothing, 100)]);
        check(Some(1000.0), &[(Nothing, 50), (Nothing, 50)]);
        let rare =
            &[(Nothing, 50), (Nothing, 100), (Nothing, 200), (Nothing, 400), (Nothing, 800), (Nothing, 1500)];
        check(Some(0.001), rare);
        check(Some(0.0), rare);
        check(Some(f64::NAN), rare);
    }

    #[test]
    fn a_hint_begins_anew() {
        let mut pace = Pace::new(Bounds::default(), None);
        let most = (0..9).map(|_| pace.after(Brought::Nothing, 0)).max();
        assert_eq!(most, Some(Duration::from_millis(750)));
        pace.wake();
        assert_eq!(pace.after(Brought::Nothing, 0), Duration::from_millis(25));
    }

    proptest! {
        #[test]
        fn an_idle_queue_is_neither_hammered_nor_forgotten(
            claims in prop::collection::vec((0_u32..4, any::<u64>()), 1..200),
        ) {
            let bounds = Bounds::default();
            let mut pace = Pace::new(bounds, None);
            for (got, dice) in claims {
                let brought = Brought::of(got, 3);
                let pause = pace.after(brought, dice);
                prop_assert!(pause <= bounds.most);
                prop_assert_eq!(brought == Brought::All, pause.is_zero());
                prop_assert!(brought == Brought::All || pause >= bounds.least / 2);
            }
        }
    }
}
