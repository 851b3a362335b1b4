//! How long to wait before the next try.

use std::time::Duration;

/// Exponential backoff with equal jitter: half of the pause is kept, the other half is left to chance, so
/// that no try comes at once and no two callers come together ("Exponential Backoff And Jitter", AWS
/// Architecture Blog, 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest pause before the first retry; it doubles with each further one.
    pub base: Duration,
    /// No pause is longer.
    pub max: Duration,
}

impl Backoff {
    /// The pause before retry `retry`, counted from 0. `dice` is evenly distributed.
    #[must_use]
    pub fn delay(&self, retry: u32, dice: u64) -> Duration {
        let doubled = 2_u32.saturating_pow(retry);
        let half = self.base.saturating_mul(doubled).min(self.max) / 2;
        // A wide multiplication scales the dice without a division and without favour.
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        let stray = ((u128::from(dice) * u128::from(nanos)) >> 64) as u64;
        half + Duration::from_nanos(stray)
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    const BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(5) };

    /// The shortest and the longest pause before a retry, in milliseconds, the longest rounded up.
    fn check(backoff: Backoff, retry: u32, least_ms: u64, most_ms: u64) {
        assert_eq!(backoff.delay(retry, 0), Duration::from_millis(least_ms), "retry {retry}");
        let most = backoff.delay(retry, u64::MAX);
        let missing = Duration::from_millis(most_ms).saturating_sub(most);
        assert!(missing <= Duration::from_nanos(1), "retry {retry}: {most:?}");
        assert!(most <= Duration::from_millis(most_ms), "retry {retry}: {most:?}");
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_left_to_chance() {
        check(BACKOFF, 0, 50, 100);
        check(BACKOFF, 1, 100, 200);
        check(BACKOFF, 5, 1600, 3200);
        check(BACKOFF, 6, 2500, 5000);
        check(BACKOFF, u32::MAX, 2500, 5000);
    }

    #[test]
    fn extremes_stay_in_bounds() {
        check(Backoff { base: Duration::ZERO, ..BACKOFF }, 40, 0, 0);
        let forever = Backoff { base: Duration::MAX, max: Duration::MAX };
        assert!(forever.delay(u32::MAX, 0) >= Duration::MAX / 2);
        assert!(forever.delay(u32::MAX, u64::MAX) <= Duration::MAX);
    }
}
