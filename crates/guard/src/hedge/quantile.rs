//! Quantiles of the latencies of late: a histogram of fixed size whose buckets grow with what they hold.
//!
//! Sixteen buckets for every doubling (the arrangement of HdrHistogram), from 0.1 ms to an hour, so that an
//! answer is never below the true quantile and at most a sixteenth above it. Time is cut in three slices of
//! ten seconds, each with a histogram; the oldest is emptied when a new one begins.

use super::WINDOW;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const SLICES: usize = 3;
const SLICE_NANOS: u64 = WINDOW.as_nanos() as u64 / SLICES as u64;
/// Buckets of one doubling, as a power of two.
const FINENESS: u32 = 4;
/// Everything below 2¹⁷ ns, 0.13 ms, is in the first bucket.
const LEAST_BITS: u32 = 17;
/// Everything from 2⁴² ns on, 73 minutes, is in the last.
const MOST_BITS: u32 = 42;
const BUCKETS: usize = ((MOST_BITS - LEAST_BITS) as usize) << FINENESS;

/// Latencies of the last twenty to thirty seconds. A clone is another handle to the same ones.
#[derive(Clone)]
pub struct Quantile(Arc<Mutex<Window>>);

struct Window {
    born: Instant,
    /// The latest slice seen.
    latest: u64,
    slices: [Slice; SLICES],
}

struct Slice {
    number: u64,
    total: u64,
    counts: [u32; BUCKETS],
}

impl Quantile {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let slices = [const { Slice { number: 0, total: 0, counts: [0; BUCKETS] } }; SLICES];
        Self(Arc::new(Mutex::new(Window { born: now, latest: 0, slices })))
    }

    /// Counts one latency.
    pub fn record(&self, latency: Duration, now: Instant) {
        let mut window = self.lock();
        let slice = window.advance(now);
        let count = &mut slice.counts[bucket(latency)];
        *count = count.saturating_add(1);
        slice.total += 1;
    }

    /// The latency that a share `q` of all did not exceed, rounded up by a sixteenth at most. `None` where
    /// so few were measured that not even one is to be expected beyond it: 20 are needed for 0.95.
    #[must_use]
    pub fn at(&self, q: f64, now: Instant) -> Option<Duration> {
        let mut window = self.lock();
        window.advance(now);
        let total: u64 = window.recent().map(|slice| slice.total).sum();
        let q = q.clamp(0.0, 1.0);
        // A little less than one, as 20 × (1 − 0.95) is in floating point.
        if total == 0 || total as f64 * (1.0 - q) < 1.0 - 1e-9 {
            return None;
        }
        let rank = ((q * total as f64).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        let found = (0..BUCKETS).find(|&bucket| {
            seen += window.recent().map(|slice| u64::from(slice.counts[bucket])).sum::<u64>();
            seen >= rank
        });
        found.map(upper_edge)
    }

    /// A window is whole at every moment, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// The present slice, empty where it has just begun.
    fn advance(&mut self, now: Instant) -> &mut Slice {
        let nanos = u64::try_from(now.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX);
        self.latest = self.latest.max(nanos / SLICE_NANOS);
        let slice = &mut self.slices[self.latest as usize % SLICES];
        if slice.number != self.latest {
            (slice.number, slice.total) = (self.latest, 0);
            slice.counts.fill(0);
        }
        slice
    }

    fn recent(&self) -> impl Iterator<Item = &Slice> {
        self.slices.iter().filter(|slice| slice.number + SLICES as u64 > self.latest)
    }
}

impl std::fmt::Debug for Quantile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let window = self.lock();
        let total: u64 = window.recent().map(|slice| slice.total).sum();
        f.debug_struct("Quantile").field("measured", &total).finish_non_exhaustive()
    }
}

/// The bucket of a latency: its highest bit, and the four below.
fn bucket(latency: Duration) -> usize {
    let nanos =
        u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).clamp(1 << LEAST_BITS, (1 << MOST_BITS) - 1);
    let doubling = nanos.ilog2();
    let within = (nanos >> (doubling - FINENESS)) & ((1 << FINENESS) - 1);
    (((doubling - LEAST_BITS) as usize) << FINENESS) + within as usize
}

/// The least latency that is in no bucket up to this one.
fn upper_edge(bucket: usize) -> Duration {
    let doubling = LEAST_BITS + (bucket >> FINENESS) as u32;
    let within = (bucket & ((1 << FINENESS) - 1)) as u64;
    Duration::from_nanos(((1 << FINENESS) + within + 1) << (doubling - FINENESS))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{BUCKETS, Quantile, SLICES, bucket, upper_edge};
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn nothing_is_said_from_too_few() {
        for (q, needed) in [(0.5, 2), (0.9, 10), (0.95, 20), (0.99, 100)] {
            let now = Instant::now();
            let quantile = Quantile::new(now);
            (1..needed).for_each(|_| quantile.record(SECOND, now));
            assert_eq!(quantile.at(q, now), None, "{q} of {}", needed - 1);
            quantile.record(SECOND, now);
            assert!(quantile.at(q, now).is_some(), "{q} of {needed}");
        }
    }

    #[test]
    fn what_was_measured_is_forgotten_after_the_window() {
        let now = Instant::now();
        let quantile = Quantile::new(now);
        (0..100).for_each(|_| quantile.record(SECOND, now));
        (0..100).for_each(|_| quantile.record(10 * SECOND, now + 20 * SECOND));
        let at = |seconds: u32| quantile.at(0.5, now + seconds * SECOND);
        assert!(at(29).unwrap() < 2 * SECOND);
        assert!(at(30).unwrap() >= 10 * SECOND);
        assert!(at(49).unwrap() >= 10 * SECOND);
        assert_eq!(at(50), None);
        // A clock that goes backwards brings nothing back.
        assert_eq!(at(0), None);
    }

    #[test]
    fn every_length_has_a_bucket_and_buckets_are_in_order() {
        assert_eq!((bucket(Duration::ZERO), bucket(Duration::MAX)), (0, BUCKETS - 1));
        for number in 0..BUCKETS - 1 {
            let edge = upper_edge(number);
            assert_eq!(bucket(edge), number + 1, "{edge:?}");
            assert_eq!(bucket(edge - Duration::from_nanos(1)), number, "{edge:?}");
        }
    }

    proptest! {
        /// Beside a sorted list of everything that was measured in the window.
        #[test]
        fn it_is_never_below_the_true_quantile_and_at_most_a_sixteenth_above(
            steps in prop::collection::vec((0_u64..2000, 200_u64..3_000_000_000), 1..200),
            q in 0.0_f64..0.995,
        ) {
            let born = Instant::now();
            let quantile = Quantile::new(born);
            let (mut at_ms, mut history) = (0, Vec::new());
            for (step_ms, micros) in steps {
                at_ms += step_ms;
                quantile.record(Duration::from_micros(micros), born + Duration::from_millis(at_ms));
                history.push((at_ms / 10_000, micros));
            }
            let latest = at_ms / 10_000;
            let mut recent: Vec<u64> = history.into_iter()
                .filter(|(slice, _)| slice + SLICES as u64 > latest).map(|(_, micros)| micros).collect();
            recent.sort_unstable();
            let rank = ((q * recent.len() as f64).ceil() as usize).max(1);
            let exact = Duration::from_micros(recent[rank - 1]);
            if let Some(told) = quantile.at(q, born + Duration::from_millis(at_ms)) {
                prop_assert!(told > exact && told <= exact.mul_f64(17.0 / 16.0) + Duration::from_nanos(2));
            } else {
                prop_assert!((recent.len() as f64) * (1.0 - q) < 1.0);
            }
        }
    }
}
