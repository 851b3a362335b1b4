//! What is counted of requests: how many, how they ended, what the cache gave, tokens and cost.

use super::slot::Sums;
use crate::metrics::Outcome;
use serde::Serialize;
use std::time::Duration;

/// How many counters a tally has: one for each outcome, and those below.
const COUNTERS: usize = LOOKUPS + 5;
/// The first counter after the outcomes. Their order is on disk, in [`history`](super::history).
const LOOKUPS: usize = Outcome::ALL.len();
const HITS: usize = LOOKUPS + 1;
const TOKENS_IN: usize = LOOKUPS + 2;
const TOKENS_OUT: usize = LOOKUPS + 3;
const COST: usize = LOOKUPS + 4;

/// Shorter spans count as this long, so that the first request after a start is not a thousand a second.
const SPAN_MIN: Duration = Duration::from_secs(1);

/// What there is to count of a request that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the cache had the answer; `None` where it was not asked.
    pub hit: Option<bool>,
    /// What it used.
    pub spent: Spent,
}

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens of the prompt.
    pub tokens_in: u64,
    /// Tokens of the answer.
    pub tokens_out: u64,
    /// What it cost, in millionths of a US dollar.
    pub cost_micro_usd: u64,
}

/// The counters of the slot under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally([u64; COUNTERS]);

impl Tally {
    pub(super) fn add(&mut self, ended: &Ended) {
        self.count(ended.outcome as usize, 1);
        self.count(LOOKUPS, u64::from(ended.hit.is_some()));
        self.count(HITS, u64::from(ended.hit == Some(true)));
        self.spend(&ended.spent);
    }

    /// Tokens and cost alone.
    pub(super) fn spend(&mut self, spent: &Spent) {
        self.count(TOKENS_IN, spent.tokens_in);
        self.count(TOKENS_OUT, spent.tokens_out);
        self.count(COST, spent.cost_micro_usd);
    }

    fn count(&mut self, counter: usize, count: u64) {
        self.0[counter] = self.0[counter].saturating_add(count);
    }

    /// As a slot is written.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u16, u64)> {
        (0..).zip(self.0).filter(|(_, count)| *count > 0)
    }
}

/// Requests by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// The caller had the whole answer.
    pub ok: u64,
    /// The request was at fault.
    pub caller_error: u64,
    /// The provider was at fault.
    pub provider_error: u64,
    /// We were at fault, or overloaded.
    pub gateway_error: u64,
    /// The caller left before the end.
    pub caller_left: u64,
}

/// What was counted over some time, and how much of it there was a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// The time that was counted over: the window, whole slots of it, or since the start if that is less.
    #[serde(rename = "span_ms", serialize_with = "super::quantiles::milliseconds")]
    pub span: Duration,
    /// Requests that ended.
    pub requests: u64,
    /// Those a second.
    pub requests_per_second: f64,
    /// How they ended.
    pub outcomes: Outcomes,
    /// The share that the provider or we failed, from 0 to 1; 0 where nothing was asked.
    pub error_rate: f64,
    /// Of those for which the cache was asked, the share that it had, from 0 to 1; `None` where it was not asked.
    pub cache_hit_rate: Option<f64>,
    /// Tokens of prompts.
    pub tokens_in: u64,
    /// Tokens of answers.
    pub tokens_out: u64,
    /// Both, a second.
    pub tokens_per_second: f64,
    /// Millionths of a US dollar.
    pub cost_micro_usd: u64,
}

impl Rates {
    pub(super) fn of(sums: &Sums, span: Duration) -> Self {
        let count = |counter: usize| sums.counts()[counter];
        let of = |outcome: Outcome| count(outcome as usize);
        let requests = requests(sums.pairs());
        let seconds = span.max(SPAN_MIN).as_secs_f64();
        let outcomes = Outcomes {
            ok: of(Outcome::Ok),
            caller_error: of(Outcome::CallerError),
            provider_error: of(Outcome::ProviderError),
            gateway_error: of(Outcome::GatewayError),
            caller_left: of(Outcome::CallerLeft),
        };
        let failed = outcomes.provider_error.saturating_add(outcomes.gateway_error);
        let (tokens_in, tokens_out) = (count(TOKENS_IN), count(TOKENS_OUT));
        Self {
            span,
            requests,
            requests_per_second: requests as f64 / seconds,
            outcomes,
            error_rate: share(failed, requests).unwrap_or_default(),
            cache_hit_rate: share(count(HITS), count(LOOKUPS)),
            tokens_in,
            tokens_out,
            tokens_per_second: tokens_in.saturating_add(tokens_out) as f64 / seconds,
            cost_micro_usd: count(COST),
        }
    }
}

/// How many requests a tally has counted.
pub(super) fn requests(tally: impl Iterator<Item = (u16, u64)>) -> u64 {
    let outcomes = tally.take_while(|(counter, _)| usize::from(*counter) < LOOKUPS);
    outcomes.fold(0, |sum, (_, count)| sum.saturating_add(count))
}

/// So many samples a second.
pub(super) fn per_second(count: u64, span: Duration) -> f64 {
    count as f64 / span.max(SPAN_MIN).as_secs_f64()
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::{Ended, Outcome, Outcomes, Rates, Spent, Tally};
    use crate::live::slot::Sums;
    use std::time::Duration;

    #[test]
    fn rates_are_counts_over_their_span() {
        let mut tally = Tally::default();
        let spent = Spent { tokens_in: 30, tokens_out: 10, cost_micro_usd: 500 };
        for (outcome, hit) in [
            (Outcome::Ok, Some(true)),
            (Outcome::Ok, Some(false)),
            (Outcome::CallerError, None),
            (Outcome::ProviderError, Some(false)),
            (Outcome::GatewayError, None),
            (Outcome::CallerLeft, None),
            (Outcome::Ok, None),
            (Outcome::Ok, None),
        ] {
            tally.add(&Ended { outcome, hit, spent });
        }
        let mut sums = Sums::new();
        sums.add(tally.pairs());
        let rates = Rates::of(&sums, Duration::from_secs(4));
        assert_eq!(rates.requests, 8);
        assert_eq!(
            rates.outcomes,
            Outcomes { ok: 4, caller_error: 1, provider_error: 1, gateway_error: 1, caller_left: 1 }
        );
        assert_eq!((rates.requests_per_second, rates.tokens_per_second), (2.0, 80.0));
        assert_eq!((rates.error_rate, rates.cache_hit_rate), (0.25, Some(1.0 / 3.0)));
        assert_eq!((rates.tokens_in, rates.tokens_out, rates.cost_micro_usd), (240, 80, 4000));
    }

    #[test]
    fn nothing_has_no_hit_rate_and_no_errors() {
        let rates = Rates::of(&Sums::new(), Duration::ZERO);
        assert_eq!((rates.cache_hit_rate, rates.error_rate, rates.requests_per_second), (None, 0.0, 0.0));
    }
}
