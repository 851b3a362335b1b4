//! The buckets of Prometheus' native histograms, as its specification has them: exponential ones, of which only those
//! are told that hold something.
//!
//! In schema 3 each power of two is divided into eight: bucket *i* holds what is more than 2^((*i* − 1) / 8) and at
//! most 2^(*i* / 8), which no value in it is further from than 9 %. What is at most [`ZERO_THRESHOLD`] is in the zero
//! bucket. Told are runs of buckets ([`Span`]) and, of each bucket, by how much it holds more than the one before.

/// The schema: buckets grow by 2^(2^−3).
pub const SCHEMA: i32 = 3;

/// Buckets of an octave.
const PER_OCTAVE: i32 = 1 << SCHEMA;

/// The octave above which buckets begin: what is less, 60 ns of a duration, is zero.
const LOWEST_OCTAVE: i32 = -24;

/// The octave up to which they reach: four and a half hours of a duration. What is more is in one bucket beyond.
const HIGHEST_OCTAVE: i32 = 14;

/// The first bucket.
pub const FIRST: i32 = LOWEST_OCTAVE * PER_OCTAVE + 1;

/// The last one of those that grow alike.
pub const LAST: i32 = HIGHEST_OCTAVE * PER_OCTAVE;

/// The highest value in the zero bucket.
pub const ZERO_THRESHOLD: f64 = power_of_two(LOWEST_OCTAVE);

/// Buckets without content that are told rather than left out: as long as a further span.
const GAP_MAX: i32 = 2;

/// 2^((*n* − 8) / 8), from 0.5 on, in the digits that Prometheus and its clients use, so that nobody who computes
/// a bound anew gets a neighbour of it.
const FRACTIONS: [f64; PER_OCTAVE as usize] = [
    0.5,
    0.5452538663326288,
    0.5946035575013605,
    0.6484197773255048,
    0.7071067811865475,
    0.7711054127039704,
    0.8408964152537144,
    0.9170040432046711,
];

/// The highest value in the bucket of this number.
pub fn upper_bound(index: i32) -> f64 {
    let fraction = FRACTIONS[index.rem_euclid(PER_OCTAVE) as usize];
    fraction * power_of_two(index.div_euclid(PER_OCTAVE) + 1)
}

/// By its bits: the function of floating-point numbers need not be exact.
const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// Buckets that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Buckets between the last span and this one; of the first span, the number of its first bucket.
    pub offset: i32,
    /// How many.
    pub length: u32,
}

/// The buckets that hold something, as they are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Which.
    pub spans: Vec<Span>,
    /// How many values each holds, less those of the one before it.
    pub deltas: Vec<i64>,
}

impl Buckets {
    /// From each bucket's number and how many values it holds, in ascending order.
    pub fn of(counts: impl IntoIterator<Item = (i32, u64)>) -> Self {
        let mut told = Told::default();
        for (index, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            told.reaches(index);
            told.push(count);
        }
        told.buckets
    }
}

/// Buckets so far.
#[derive(Default)]
struct Told {
    buckets: Buckets,
    /// The number of the bucket that comes next in the last span.
    next: i32,
    before: i64,
}

impl Told {
    /// The next bucket is that of this number.
    fn reaches(&mut self, index: i32) {
        let gap = index - self.next;
        if self.buckets.spans.is_empty() || gap > GAP_MAX {
            self.buckets.spans.push(Span { offset: gap, length: 0 });
            self.next = index;
        } else {
            (0..gap).for_each(|_| self.push(0));
        }
    }

    fn push(&mut self, count: u64) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.buckets.deltas.push(count - self.before);
        (self.before, self.next) = (count, self.next + 1);
        if let Some(span) = self.buckets.spans.last_mut() {
            span.length += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn bounds_are_the_powers_of_the_eighth_root_of_two() {
        for (index, bound) in [(-8, 0.5), (0, 1.0), (8, 2.0), (16, 4.0), (80, 1024.0), (-80, 1.0 / 1024.0)] {
            assert_eq!(upper_bound(index), bound, "{index}");
        }
        for index in FIRST - 1..=LAST {
            let exact = (f64::from(index) / 8.0).exp2();
            assert!((upper_bound(index) / exact - 1.0).abs() < 4.0 * f64::EPSILON, "{index}");
            assert!(upper_bound(index) < upper_bound(index + 1), "{index}");
        }
        assert_eq!((upper_bound(FIRST - 1), upper_bound(LAST)), (ZERO_THRESHOLD, 16_384.0));
    }

    #[test]
    fn buckets_are_told_as_spans_and_differences() {
        let check = |counts: &[(i32, u64)], spans: &[(i32, u32)], deltas: &[i64]| {
            let buckets = Buckets::of(counts.iter().copied());
            let told: Vec<_> = buckets.spans.iter().map(|span| (span.offset, span.length)).collect();
            assert_eq!((told.as_slice(), buckets.deltas.as_slice()), (spans, deltas), "{counts:?}");
        };
        check(&[], &[], &[]);
        check(&[(3, 0)], &[], &[]);
        check(&[(3, 7)], &[(3, 1)], &[7]);
        check(&[(-2, 1), (-1, 4), (0, 2)], &[(-2, 3)], &[1, 3, -2]);
        // A gap of two is filled, one of three is a span.
        check(&[(0, 5), (3, 1)], &[(0, 4)], &[5, -5, 0, 1]);
        check(&[(0, 5), (4, 1)], &[(0, 1), (3, 1)], &[5, -4]);
        // As the Go client's tests have it.
        check(&[(-10, 1), (-7, 7), (-5, 7), (2, 8)], &[(-10, 6), (6, 1)], &[1, -1, 0, 7, -7, 7, 1]);
    }
}
