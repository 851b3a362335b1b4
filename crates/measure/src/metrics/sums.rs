//! All requests and tokens so far as a few numbers, for whoever shows rates and has no Prometheus at hand: two
//! readings, and what lies between them. How long things took is the business of [`live`](crate::live).

use super::Outcome;

/// What all shards of all routes and targets say, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests that ended, in the order of [`Outcome::ALL`].
    pub ended: [u64; Outcome::ALL.len()],
    /// Requests under way.
    pub in_flight: i64,
    /// Tokens that providers read.
    pub tokens_in: u64,
    /// Tokens that providers wrote.
    pub tokens_out: u64,
}

impl Sums {
    /// What has come since an earlier reading.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            ended: std::array::from_fn(|at| self.ended[at].saturating_sub(before.ended[at])),
            in_flight: self.in_flight,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use crate::metrics::{Metrics, Outcome};
    use std::time::Duration;

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
    }
}
