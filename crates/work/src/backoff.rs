//! How long a failed job waits before its next attempt. Whether it has one is the [`verdict`](crate::verdict)'s.

use std::collections::BTreeMap;
use std::time::Duration;

/// What is left to chance, so that those who failed together do not come back together ("Exponential Backoff
/// And Jitter", AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Half of the pause: no attempt comes at once.
    Equal,
    /// All of it: the load is spread best, and some attempts come at once.
    Full,
}

/// A pause that doubles with each attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest pause after the first attempt.
    pub base: Duration,
    /// No pause is longer.
    pub max: Duration,
    /// How much of it is left to chance.
    pub jitter: Jitter,
}

impl Backoff {
    /// The pause after attempt `attempt`, counted from 1. `dice` is evenly distributed.
    #[must_use]
    pub fn delay(&self, attempt: u32, dice: u64) -> Duration {
        let retry = attempt.saturating_sub(1);
        match self.jitter {
            Jitter::Equal => guard::retry::Backoff { base: self.base, max: self.max }.delay(retry, dice),
            Jitter::Full => {
                let most = self.base.saturating_mul(2_u32.saturating_pow(retry)).min(self.max);
                let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
                // A wide multiplication scales the dice without a division and without favour.
                Duration::from_nanos(((u128::from(dice) * u128::from(nanos)) >> 64) as u64)
            }
        }
    }
}

impl Default for Backoff {
    /// Two seconds after the first attempt, up to ten minutes.
    fn default() -> Self {
        Self { base: Duration::from_secs(2), max: Duration::from_secs(600), jitter: Jitter::Equal }
    }
}

/// The backoff of each class of failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoffs {
    /// Of those that have none of their own.
    pub usual: Backoff,
    /// Of those that have.
    pub classes: BTreeMap<String, Backoff>,
    /// The longest that anybody's word for when to come again is followed.
    pub after_max: Duration,
}

impl Default for Backoffs {
    fn default() -> Self {
        Self {
            usual: Backoff::default(),
            classes: BTreeMap::new(),
            after_max: Duration::from_secs(24 * 3600),
        }
    }
}

impl Backoffs {
    /// The pause after attempt `attempt`, counted from 1, that failed with this class. Where somebody has said
    /// when to come again (`Retry-After`), it is never earlier, and later by what a first pause would be, so
    /// that not everybody comes in the same moment.
    #[must_use]
    pub fn delay(&self, class: &str, attempt: u32, after: Option<Duration>, dice: u64) -> Duration {
        let backoff = self.classes.get(class).unwrap_or(&self.usual);
        match after {
            None => backoff.delay(attempt, dice),
            Some(after) => after.min(self.after_max).saturating_add(backoff.delay(1, dice)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Backoff, Backoffs, Jitter};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const FULL: Backoff = Backoff { base: SECOND, max: Duration::from_secs(60), jitter: Jitter::Full };
    const EQUAL: Backoff = Backoff { jitter: Jitter::Equal, ..FULL };

    fn backoffs() -> Backoffs {
        let classes = BTreeMap::from([("rate_limit".to_owned(), Backoff { base: 10 * SECOND, ..EQUAL })]);
        Backoffs { usual: EQUAL, classes, after_max: Duration::from_secs(3600) }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        for (backoff, attempt, least_ms, most_ms) in [
            (EQUAL, 1, 500, 1000),
            (EQUAL, 3, 2000, 4000),
            (EQUAL, 99, 30_000, 60_000),
            (FULL, 1, 0, 1000),
            (FULL, 3, 0, 4000),
            (FULL, u32::MAX, 0, 60_000),
            // Attempts are counted from 1; 0 is taken for the first.
            (FULL, 0, 0, 1000),
        ] {
            assert_eq!(backoff.delay(attempt, 0).as_millis(), least_ms, "{backoff:?} {attempt}");
            let most = backoff.delay(attempt, u64::MAX) + Duration::from_nanos(1);
            assert_eq!(most.as_millis(), most_ms, "{backoff:?} {attempt}");
        }
    }

    #[test]
    fn each_class_has_its_own_and_a_word_for_when_to_come_again_counts() {
        let check = |class, attempt, after: Option<u64>, least_ms| {
            let pause = backoffs().delay(class, attempt, after.map(Duration::from_secs), 0);
            assert_eq!(pause.as_millis(), least_ms, "{class} {attempt} {after:?}");
        };
        check("timeout", 1, None, 500);
        check("rate_limit", 1, None, 5000);
        check("timeout", 5, Some(30), 30_500);
        check("rate_limit", 5, Some(30), 35_000);
        check("rate_limit", 1, Some(86_400), 3_605_000);
    }

    proptest! {
        #[test]
        fn nobody_comes_before_the_time_or_later_than_the_longest(
            attempt in any::<u32>(), after in prop::option::of(0_u64..10_000), dice in any::<u64>(), full in any::<bool>(),
        ) {
            let backoffs = Backoffs { usual: if full { FULL } else { EQUAL }, ..backoffs() };
            let after = after.map(Duration::from_secs);
            let pause = backoffs.delay("timeout", attempt, after, dice);
            let told = after.unwrap_or_default().min(backoffs.after_max);
            prop_assert!(pause >= told);
            prop_assert!(pause <= told + FULL.max);
        }
    }
}
