//! What is read of a figure.

use super::buckets;
use super::slot::Sums;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// How long something took, over many times. All durations are off by at most [`ERROR`](super::ERROR) of the
/// true one, from 100 ns to an hour; what was shorter is zero, what was longer an hour. In JSON they are
/// milliseconds with a fraction.
///
/// A percentile is the sample at the nearest rank: of 100 sorted samples, p95 is the 95th.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many samples there are; where there is none, all else is zero.
    pub count: u64,
    /// The arithmetic mean.
    #[serde(rename = "mean_ms", serialize_with = "milliseconds")]
    pub mean: Duration,
    /// Half of all took no longer.
    #[serde(rename = "p50_ms", serialize_with = "milliseconds")]
    pub p50: Duration,
    /// 95 of 100 took no longer.
    #[serde(rename = "p95_ms", serialize_with = "milliseconds")]
    pub p95: Duration,
    /// 99 of 100 took no longer.
    #[serde(rename = "p99_ms", serialize_with = "milliseconds")]
    pub p99: Duration,
    /// The longest.
    #[serde(rename = "max_ms", serialize_with = "milliseconds")]
    pub max: Duration,
}

impl Quantiles {
    pub(super) fn of(sums: &Sums) -> Self {
        let count = sums.pairs().fold(0_u64, |sum, (_, count)| sum.saturating_add(count));
        let ranks = [50, 95, 99, 100].map(|percent| rank(count, percent));
        let mut found = [Duration::ZERO; 4];
        let (mut next, mut passed, mut seconds) = (0, 0_u64, 0.0);
        for (bucket, count) in sums.pairs() {
            let value = buckets::value(bucket.into());
            seconds += value.as_secs_f64() * count as f64;
            passed = passed.saturating_add(count);
            while next < ranks.len() && ranks[next] <= passed {
                found[next] = value;
                next += 1;
            }
        }
        let [p50, p95, p99, max] = found;
        Self { count, mean: Duration::from_secs_f64(seconds / count.max(1) as f64), p50, p95, p99, max }
    }
}

/// Which of so many sorted samples, from 1, is the percentile.
fn rank(count: u64, percent: u64) -> u64 {
    (u128::from(count) * u128::from(percent)).div_ceil(100) as u64
}

/// Milliseconds to the nanosecond.
pub(super) fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_nanos() as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Quantiles;
    use crate::live::buckets;
    use crate::live::slot::Sums;
    use std::time::Duration;

    fn of(millis: impl IntoIterator<Item = u64>) -> Quantiles {
        let mut sums = Sums::new();
        sums.add(millis.into_iter().map(|value| (buckets::of(Duration::from_millis(value)), 1)));
        Quantiles::of(&sums)
    }

    fn near(read: Duration, millis: u64) -> bool {
        (read.as_secs_f64() * 1000.0 / millis as f64 - 1.0).abs() < 0.02
    }

    #[test]
    fn percentiles_are_the_samples_at_the_nearest_ranks() {
        let read = of(1..=100);
        assert_eq!(read.count, 100);
        for (value, millis) in [(read.p50, 50), (read.p95, 95), (read.p99, 99), (read.max, 100)] {
            assert!(near(value, millis), "{value:?} is not {millis} ms");
        }
        assert!((read.mean.as_secs_f64() - 0.0505).abs() < 0.001, "{:?}", read.mean);
    }

    #[test]
    fn a_lone_sample_is_all_of_them() {
        let read = of([7]);
        assert!([read.mean, read.p50, read.p95, read.p99, read.max].iter().all(|value| near(*value, 7)));
    }

    #[test]
    fn nothing_reads_as_nothing() {
        assert_eq!(of([]), Quantiles::default());
    }

    #[test]
    fn the_json_is_in_milliseconds() {
        let read = Quantiles { count: 1, p50: Duration::from_micros(1500), ..Quantiles::default() };
        let json = serde_json::to_value(read).unwrap();
        assert_eq!((json["count"].as_u64(), json["p50_ms"].as_f64()), (Some(1), Some(1.5)));
    }
}
