//! Which bucket a duration falls into, and which duration a bucket stands for.
//!
//! Buckets grow with what they hold, so that the value one stands for is off by at most [`ERROR`] of any value in
//! it, be that a microsecond or an hour. This is the mapping of DDSketch (Masson, Rim, Lee: *DDSketch: A Fast and
//! Fully-Mergeable Quantile Sketch with Relative-Error Guarantees*, VLDB 2019), whose bucket is the logarithm of
//! the value. A cubic in the place of the logarithm, as in DataDog's implementations, costs 1 % more buckets, is
//! faster, and gives the same on every machine: the numbers of buckets are on disk, in
//! [`history`](super::history), and whoever changes a constant here changes the version there.
//!
//! 647 buckets reach from 100 ns to an hour. A log-linear layout as in HdrHistogram needs about 1,100 for the
//! same promise, as its buckets are twice as narrow at an octave's end as at its beginning; and what is kept of a
//! slot grows with the number of buckets that hold something.

use std::sync::LazyLock;
use std::time::Duration;

/// Most that a bucket's value is off, as a share of the true one.
pub const ERROR: f64 = 0.019;

/// How many buckets there are.
pub(super) const COUNT: usize = 647;

/// Below this, in nanoseconds, everything is in bucket 0 and reads as zero.
const FLOOR_NANOS: f64 = 100.0;

/// The cubic `((A s + B) s + C) s`, which is near log₂(1 + s) from 0 to 1, and equal at both ends.
const A: f64 = 6.0 / 35.0;
const B: f64 = -3.0 / 5.0;
const C: f64 = 10.0 / 7.0;

/// Buckets of an octave: so many that even where the cubic is flattest none is wider than
/// (1 + [`ERROR`]) / (1 − [`ERROR`]). That is at s = 0, where it rises by `C` for each unit of the natural
/// logarithm; the logarithm of that width is 0.038005.
const PER_OCTAVE: f64 = 1.0 / (0.038_004_573_657 * C);

/// What each bucket stands for.
static VALUES: LazyLock<[Duration; COUNT]> = LazyLock::new(|| std::array::from_fn(middle));

/// The bucket of a duration. What is longer than an hour counts as an hour.
#[inline]
pub(super) fn of(value: Duration) -> u16 {
    of_floors((value.as_secs() as f64 * 1e9 + f64::from(value.subsec_nanos())) / FLOOR_NANOS)
}

/// The bucket of so many microseconds: the same one, for a third of the work.
#[inline]
pub(super) fn of_micros(micros: u32) -> u16 {
    of_floors(f64::from(micros) * (1e3 / FLOOR_NANOS))
}

/// The bucket of what is so many times as long as the first one's end.
#[inline]
fn of_floors(floors: f64) -> u16 {
    if floors < 1.0 {
        return 0;
    }
    let above = (nearly_log2(floors) * PER_OCTAVE) as u16;
    above.min(COUNT as u16 - 2) + 1
}

/// The duration a bucket stands for.
pub(super) fn value(bucket: usize) -> Duration {
    VALUES.get(bucket).copied().unwrap_or_default()
}

/// Near the logarithm to base 2 of a number from 1 on: its exponent, which is in its bits, plus the cubic of what
/// follows its point.
fn nearly_log2(number: f64) -> f64 {
    const POINT: u32 = f64::MANTISSA_DIGITS - 1;
    const ONE: u64 = 1.0_f64.to_bits();
    let bits = number.to_bits();
    let exponent = (bits >> POINT) as i32 - (ONE >> POINT) as i32;
    let s = f64::from_bits(bits & ((1 << POINT) - 1) | ONE) - 1.0;
    ((A * s + B) * s + C) * s + f64::from(exponent)
}

/// A value as far, in proportion, from a bucket's lower bound as from the upper one.
fn middle(bucket: usize) -> Duration {
    let Some(steps) = bucket.checked_sub(1) else { return Duration::ZERO };
    let logarithm = steps as f64 / PER_OCTAVE;
    let (exponent, rest) = (logarithm.floor(), logarithm.fract());
    // Newton's method; the cubic is nearly straight, so that four rounds are plenty.
    let mut s = rest;
    for _ in 0..4 {
        s -= (((A * s + B) * s + C) * s - rest) / ((3.0 * A * s + 2.0 * B) * s + C);
    }
    let lower = FLOOR_NANOS * exponent.exp2() * (1.0 + s);
    Duration::from_nanos((lower * (1.0 + ERROR)) as u64)
}

#[cfg(test)]
mod tests {
    use super::{C, COUNT, ERROR, PER_OCTAVE, nearly_log2, of, of_micros, value};
    use std::time::Duration;

    #[test]
    fn the_constant_is_the_logarithm_of_the_widest_bucket() {
        let widest = ((1.0 + ERROR) / (1.0 - ERROR)).ln();
        assert!((1.0 / (PER_OCTAVE * C) / widest - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_last_bucket_is_that_of_an_hour() {
        assert_eq!(1 + (nearly_log2(3.6e12 / 100.0) * PER_OCTAVE) as usize, COUNT - 1);
    }

    #[test]
    fn no_value_is_off_by_more_than_the_error() {
        let mut nanos = 100.0_f64;
        while nanos <= 3.6e12 {
            let duration = Duration::from_nanos(nanos as u64);
            let read = value(usize::from(of(duration))).as_nanos() as f64;
            // A nanosecond for what `Duration` itself cuts off.
            let off = (read - duration.as_nanos() as f64).abs() - 1.0;
            assert!(off <= ERROR * nanos * 1.000_001, "{duration:?} reads as {read} ns");
            nanos *= 1.000_7;
        }
    }

    #[test]
    fn microseconds_are_in_the_bucket_of_that_duration() {
        let near = |power: u32| (1_u32 << power).saturating_sub(50)..=(1_u32 << power).saturating_add(50);
        for micros in (0..32).flat_map(near).chain([u32::MAX - 1, u32::MAX]) {
            assert_eq!(of_micros(micros), of(Duration::from_micros(micros.into())), "{micros}");
        }
    }

    #[test]
    fn what_is_beyond_the_ends_is_in_the_first_and_last_bucket() {
        for (duration, bucket) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(99), 0),
            (Duration::from_nanos(100), 1),
            (Duration::from_secs(3600), COUNT as u16 - 1),
            (Duration::from_secs(36_000), COUNT as u16 - 1),
            (Duration::MAX, COUNT as u16 - 1),
        ] {
            assert_eq!(of(duration), bucket, "{duration:?}");
        }
        assert_eq!(value(0), Duration::ZERO);
    }
}
