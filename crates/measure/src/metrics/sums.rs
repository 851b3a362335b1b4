//! All requests and tokens so far as a few numbers, for whoever shows rates and has no Prometheus at hand: two
//! readings, and what lies between them. Classic buckets make its percentiles; exact ones are kept elsewhere.

use super::Outcome;

/// What all shards of all routes and targets say, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Requests that ended, in the order of [`Outcome::ALL`].
    pub ended: [u64; Outcome::ALL.len()],
    /// Requests under way.
    pub in_flight: i64,
    /// From the request's first byte to the end of the answer.
    pub duration: Spread,
    /// Our own time.
    pub overhead: Spread,
    /// Tokens that providers read.
    pub tokens_in: u64,
    /// Tokens that providers wrote.
    pub tokens_out: u64,
}

/// How values are spread over the buckets of a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// The buckets' upper bounds, ascending.
    pub bounds: &'static [f64],
    /// How many values are in each, and beyond the last.
    pub counts: Vec<u64>,
}

impl Sums {
    /// What has come since an earlier reading.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            ended: std::array::from_fn(|at| self.ended[at].saturating_sub(before.ended[at])),
            in_flight: self.in_flight,
            duration: self.duration.since(&before.duration),
            overhead: self.overhead.since(&before.overhead),
            tokens_in: self.tokens_in.saturating_sub(before.tokens_in),
            tokens_out: self.tokens_out.saturating_sub(before.tokens_out),
        }
    }

    /// Requests that ended so.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.ended[outcome as usize]
    }

    /// Requests that ended, however they did.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.ended.iter().sum()
    }

    /// Those that ended badly through no fault of their callers.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.of(Outcome::ProviderError) + self.of(Outcome::GatewayError)
    }
}

impl Spread {
    /// Takes another's counts in.
    pub(super) fn add(&mut self, bounds: &'static [f64], counts: impl Iterator<Item = u64>) {
        self.bounds = bounds;
        self.counts.resize(bounds.len() + 1, 0);
        self.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }

    fn since(&self, before: &Self) -> Self {
        let earlier = before.counts.iter().copied().chain(std::iter::repeat(0));
        let counts = self.counts.iter().zip(earlier).map(|(now, before)| now.saturating_sub(before));
        Self { bounds: self.bounds, counts: counts.collect() }
    }

    /// The value that a share of all are not above, as far as the buckets tell: within one, values are taken to be
    /// spread evenly, and beyond the last bound it is the answer. `None` where there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let count: u64 = self.counts.iter().sum();
        let rank = (count as f64 * share).max(f64::MIN_POSITIVE);
        let mut below = 0.0;
        let lowers = std::iter::once(0.0).chain(self.bounds.iter().copied());
        for ((within, lower), at) in self.counts.iter().zip(lowers).zip(0_usize..) {
            let within = *within as f64;
            if within > 0.0 && below + within >= rank {
                let upper = self.bounds.get(at).copied().unwrap_or(lower);
                return Some(lower + (upper - lower) * (rank - below) / within);
            }
            below += within;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Spread;
    use crate::metrics::{Metrics, Outcome};
    use std::time::Duration;

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let of = |counts: &[u64]| Spread { bounds: &[1.0, 2.0, 4.0], counts: counts.to_vec() };
        for (counts, share, expected) in [
            (&[0, 0, 0, 0], 0.5, None),
            (&[4, 0, 0, 0], 0.5, Some(0.5)),
            (&[0, 10, 0, 0], 0.5, Some(1.5)),
            (&[5, 0, 5, 0], 0.5, Some(1.0)),
            (&[5, 0, 5, 0], 0.9, Some(3.6)),
            (&[0, 0, 0, 3], 0.5, Some(4.0)),
            (&[0, 8, 0, 0], 0.0, Some(1.0)),
        ] {
            let found = of(counts).quantile(share);
            let near = found
                .zip(expected)
                .is_some_and(|(found, expected): (f64, f64)| (found - expected).abs() < 1e-9);
            assert!(near || (found.is_none() && expected.is_none()), "{counts:?} {share}: {found:?}");
        }
        assert_eq!(of(&[5, 3, 1, 0]).since(&of(&[4, 3, 0, 0])).counts, [1, 0, 1, 0]);
        assert_eq!(of(&[5, 3, 1, 0]).since(&Spread::default()).counts, [5, 3, 1, 0]);
    }

    #[test]
    fn totals_are_over_all_routes_targets_and_shards() {
        let metrics = Metrics::new("0", 2);
        for (shard, model, outcome) in [
            (0, "a", Outcome::Ok),
            (1, "a", Outcome::Ok),
            (1, "b", Outcome::Ok),
            (0, "b", Outcome::ProviderError),
            (0, "b", Outcome::CallerError),
        ] {
            let route = metrics.shard(shard).route("chat", model);
            route.begins();
            route.ends(outcome, Duration::from_millis(15), Duration::from_micros(20));
            metrics.shard(shard).target("p", model).used(10, 5, 0);
        }
        let before = metrics.sums();
        assert_eq!((before.of(Outcome::Ok), before.all(), before.failed(), before.in_flight), (3, 5, 1, 0));
        assert_eq!((before.tokens_in, before.tokens_out), (50, 25));
        // The same route resolved again, as a reload does, is not counted twice.
        metrics.shard(0).route("chat", "a").begins();
        metrics.shard(0).route("embeddings", "a").begins();
        let now = metrics.sums().since(&before);
        assert_eq!((now.of(Outcome::Ok), now.in_flight), (0, 2));
        assert_eq!(now.duration.quantile(0.5), None);
        assert!(before.duration.quantile(0.5).is_some_and(|median| (0.01..0.02).contains(&median)));
    }
}
