//! How fast the lines of a file are begun.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Most lines a second that may be asked for; more is no limit worth the name.
const PER_SECOND_MAX: f64 = 10_000.0;
/// Fewest: one a day.
const PER_SECOND_MIN: f64 = 1.0 / 86_400.0;

/// So many in a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    per_second: f64,
}

/// Why a text is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number above 0 and a time: 5/s, 0.5/s, 90/m or 1000/h")]
pub(super) struct RateError;

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (number, seconds) = match text.split_once('/') {
            None => (text, 1.0),
            Some((number, "s")) => (number, 1.0),
            Some((number, "m" | "min")) => (number, 60.0),
            Some((number, "h")) => (number, 3600.0),
            Some(_) => return Err(RateError),
        };
        let number: f64 = number.trim().parse().map_err(|_| RateError)?;
        let per_second = number / seconds;
        let is_sound = (PER_SECOND_MIN..=PER_SECOND_MAX).contains(&per_second);
        if is_sound { Ok(Self { per_second }) } else { Err(RateError) }
    }
}

impl Rate {
    /// The time from one to the next.
    pub(super) fn every(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }
}

/// Says when the next line may begin.
pub(super) struct Pace(Option<Interval>);

impl Pace {
    /// Evenly spaced, the first at once; without a rate always. Must be made within a runtime.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(|rate| {
            let mut interval = interval(rate.every());
            // Time lost to slow answers is not made up for by a burst.
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    /// Waits until the next may begin. Nothing is lost where the wait is given up.
    pub(super) async fn next(&mut self) {
        if let Some(interval) = &mut self.0 {
            interval.tick().await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, per_second) in [("5/s", 5.0), ("5", 5.0), ("90/m", 1.5), ("36/h", 0.01), ("0.5/s", 0.5)] {
            assert_eq!(text.parse(), Ok(Rate { per_second }), "{text}");
        }
        for text in ["", "/s", "0/s", "-1/s", "5/d", "x/s", "inf/s", "NaN", "1e9/s", "0.001/h"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lines_begin_evenly_and_never_in_a_burst() {
        let mut pace = Pace::new(Some("4/s".parse().unwrap()));
        let began = Instant::now();
        let mut next = async || {
            pace.next().await;
            began.elapsed().as_millis()
        };
        assert_eq!([next().await, next().await, next().await], [0, 250, 500]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!([next().await, next().await], [1500, 1750]);
    }
}
