//! What tries at providers show: how they ended, what was tried instead or beside, and what was used.

use super::catalogue::Catalogue;
use super::histogram::{HistogramShard, Histograms, labels};
use super::labels::{AttemptLabels, ProviderLabels, ResultLabels, TokenLabels};
use super::requests::REQUEST_SECONDS;
use super::sharded::{CounterShard, Counters, Shards};
use super::sums::Sums;
use prometheus_client::metrics::family::Family;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How one attempt at a provider ended, as `tidegate_upstream_attempts_total{result}` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// An answer below 400.
    Ok,
    /// 4xx other than 429: the request, or our credential.
    Refused,
    /// 429.
    RateLimited,
    /// 5xx, or a reply that breaks the protocol.
    Failed,
    /// No connection.
    Unreachable,
    /// A time-out of ours.
    TimedOut,
    /// The connection broke before the end of the answer.
    Cut,
    /// The caller left first.
    Cancelled,
    /// As many connections were open as we may have: the provider was not asked.
    Starved,
}

impl AttemptResult {
    /// Every result, in the order of their counters.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Refused,
        Self::RateLimited,
        Self::Failed,
        Self::Unreachable,
        Self::TimedOut,
        Self::Cut,
        Self::Cancelled,
        Self::Starved,
    ];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::RateLimited => "rate_limited",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Cut => "cut",
            Self::Cancelled => "cancelled",
            Self::Starved => "starved",
        }
    }
}

/// What came of an embedding request's waiting for others, as `tidegate_coalesced_requests_total{result}` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Sent with others, and answered.
    Answered,
    /// Sent with others, and none of them was answered.
    Failed,
    /// Sent with others, which did not do, and then by itself.
    Parted,
    /// Nobody came; sent by itself.
    Alone,
}

impl Joined {
    /// Every one, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::Answered, Self::Failed, Self::Parted, Self::Alone];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Parted => "parted",
            Self::Alone => "alone",
        }
    }
}

/// One target's handles: a provider and a configured model of it, or `other`.
#[derive(Clone, Debug)]
pub struct TargetMetrics {
    attempts: [CounterShard; AttemptResult::ALL.len()],
    duration: HistogramShard,
    retries: [CounterShard; 2],
    fallbacks: CounterShard,
    hedges: [CounterShard; 2],
    coalesced: [CounterShard; Joined::ALL.len()],
    joint_requests: HistogramShard,
    waits: HistogramShard,
    first_token: HistogramShard,
    input_tokens: CounterShard,
    output_tokens: CounterShard,
    cached_tokens: CounterShard,
}

impl TargetMetrics {
    /// One attempt has ended, so long after it began.
    pub fn attempted(&self, result: AttemptResult, took: Duration) {
        self.attempts[result as usize].inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// It was asked after another try had failed, at this target or at another, and it answered or did not.
    pub fn retried(&self, answered: bool) {
        self.retries[usize::from(answered)].inc();
    }

    /// It was asked in place of the first choice.
    pub fn stood_in(&self) {
        self.fallbacks.inc();
    }

    /// It was asked beside one that was slow, and its answer was taken or was not.
    pub fn hedged(&self, taken: bool) {
        self.hedges[usize::from(taken)].inc();
    }

    /// So many embedding requests waited for each other, and this came of it.
    pub fn coalesced(&self, joined: Joined, requests: usize) {
        self.coalesced[joined as usize].inc_by(requests as u64);
    }

    /// So many requests were sent as one.
    pub fn sent_as_one(&self, requests: usize) {
        self.joint_requests.observe(requests as f64);
    }

    /// Somebody waited so long for a place, whether there was one in the end or not.
    pub fn waited(&self, time: Duration) {
        self.waits.observe(time.as_secs_f64());
    }

    /// The first content token of a stream arrived, this long after the attempt began.
    pub fn first_token(&self, after: Duration) {
        self.first_token.observe(after.as_secs_f64());
    }

    /// What the provider says was used, in tokens; `cached` is the part of `input` it had cached.
    pub fn used(&self, input: u64, output: u64, cached: u64) {
        self.input_tokens.inc_by(input);
        self.output_tokens.inc_by(output);
        self.cached_tokens.inc_by(cached);
    }
}

/// The families of all targets.
#[derive(Debug)]
pub(super) struct Families {
    attempts: Counters<AttemptLabels>,
    retries: Counters<ResultLabels>,
    fallbacks: Counters<ProviderLabels>,
    hedges: Counters<ResultLabels>,
    coalesced: Counters<ResultLabels>,
    joint_requests: Histograms,
    waits: Histograms,
    pub(super) durations: Histograms,
    pub(super) first_token: Histograms,
    tokens: Counters<TokenLabels>,
    /// Every target that was resolved, by provider and model, to be added up.
    targets: Mutex<BTreeMap<(String, String), TargetMetrics>>,
}

impl Families {
    pub(super) fn new(shards: Shards) -> Self {
        Self {
            attempts: Family::new_with_constructor(shards),
            retries: Family::new_with_constructor(shards),
            fallbacks: Family::new_with_constructor(shards),
            hedges: Family::new_with_constructor(shards),
            coalesced: Family::new_with_constructor(shards),
            joint_requests: Histograms::new(shards, JOINT_REQUESTS),
            waits: Histograms::new(shards, WAIT_SECONDS),
            durations: Histograms::new(shards, &REQUEST_SECONDS),
            first_token: Histograms::new(shards, FIRST_TOKEN_SECONDS),
            tokens: Family::new_with_constructor(shards),
            targets: Mutex::default(),
        }
    }

    pub(super) fn register(&self, catalogue: &mut Catalogue) {
        let registry = &mut catalogue.registry;
        registry.register(
            "tidegate_upstream_attempts",
            "Attempts at providers by how they ended",
            self.attempts.clone(),
        );
        registry.register(
            "tidegate_retries",
            "Tries made after another had failed, by the provider asked and whether it answered",
            self.retries.clone(),
        );
        registry.register(
            "tidegate_fallbacks",
            "Tries at another target than the first choice, by the provider asked",
            self.fallbacks.clone(),
        );
        registry.register(
            "tidegate_hedges",
            "Tries made beside a slow one, by the provider asked and whether its answer was taken",
            self.hedges.clone(),
        );
        registry.register(
            "tidegate_coalesced_requests",
            "Embedding requests that waited for others, by the provider asked and what came of it",
            self.coalesced.clone(),
        );
        registry.register("tidegate_tokens", "Tokens as the providers counted them", self.tokens.clone());
        catalogue.counts(
            "tidegate_coalesced_batch_size",
            "How many embedding requests were sent as one",
            &self.joint_requests,
        );
        catalogue.durations(
            "tidegate_queue",
            "How long requests waited for a target, of those that did",
            &self.waits,
        );
        catalogue.durations(
            "gen_ai_client_operation_duration",
            "How long attempts at providers took, however they ended",
            &self.durations,
        );
        catalogue.durations(
            "gen_ai_server_time_to_first_token",
            "From the start of an attempt to its first content token, streams only",
            &self.first_token,
        );
    }

    /// One thread's handles of one target.
    pub(super) fn target(&self, provider: &str, model: &str, shard: usize) -> TargetMetrics {
        let of_target = labels([("gen_ai_provider_name", provider), ("gen_ai_request_model", model)]);
        let of_model = |histograms: &Histograms| {
            histograms.of(labels([("provider", provider), ("model", model)])).shard(shard)
        };
        let (provider, model) = (|| provider.to_owned(), || model.to_owned());
        let tokens = |kind| {
            let labels = TokenLabels { provider: provider(), model: model(), kind };
            self.tokens.get_or_create_owned(&labels).shard(shard)
        };
        let of_result = |family: &Counters<ResultLabels>, result| {
            family.get_or_create_owned(&ResultLabels { provider: provider(), result }).shard(shard)
        };
        let of_provider = ProviderLabels { provider: provider() };
        let handles = TargetMetrics {
            attempts: AttemptResult::ALL.map(|result| {
                let labels = AttemptLabels { provider: provider(), model: model(), result: result.name() };
                self.attempts.get_or_create_owned(&labels).shard(shard)
            }),
            retries: ["failed", "ok"].map(|result| of_result(&self.retries, result)),
            fallbacks: self.fallbacks.get_or_create_owned(&of_provider).shard(shard),
            hedges: ["lost", "won"].map(|result| of_result(&self.hedges, result)),
            coalesced: Joined::ALL.map(|joined| of_result(&self.coalesced, joined.name())),
            joint_requests: of_model(&self.joint_requests),
            waits: of_model(&self.waits),
            duration: self.durations.of(of_target.clone()).shard(shard),
            first_token: self.first_token.of(of_target).shard(shard),
            input_tokens: tokens("input"),
            output_tokens: tokens("output"),
            cached_tokens: tokens("cached_input"),
        };
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.entry((provider(), model())).or_insert_with(|| handles.clone());
        handles
    }

    /// What all targets say together.
    pub(super) fn add_to(&self, sums: &mut Sums) {
        for target in self.targets.lock().unwrap_or_else(PoisonError::into_inner).values() {
            sums.tokens_in += target.input_tokens.total();
            sums.tokens_out += target.output_tokens.total();
        }
    }
}

/// From two requests in one to as many as a provider takes.
const JOINT_REQUESTS: &[f64] = &[2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0];

/// 1 ms … 60 s: from a wait that nobody notices to one that few callers bear.
const WAIT_SECONDS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The GenAI conventions' bounds for the time to the first token.
const FIRST_TOKEN_SECONDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{AttemptResult, Joined};
    use crate::metrics::Metrics;
    use std::time::Duration;

    #[test]
    fn an_attempt_and_its_tokens_show_under_their_target() {
        let metrics = Metrics::new("0", 2);
        let target = metrics.shard(1).target("openai", "gpt-4o");
        target.attempted(AttemptResult::RateLimited, Duration::from_millis(700));
        target.used(100, 20, 80);
        target.first_token(Duration::from_millis(300));
        target.retried(true);
        target.stood_in();
        target.hedged(false);
        target.coalesced(Joined::Parted, 3);
        target.sent_as_one(3);
        target.waited(Duration::from_millis(2));
        let text = metrics.encode().unwrap();
        for line in [
            r#"tidegate_upstream_attempts_total{provider="openai",model="gpt-4o",result="rate_limited"} 1"#,
            r#"gen_ai_client_operation_duration_seconds_bucket{le="1.28",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"} 1"#,
            r#"tidegate_tokens_total{provider="openai",model="gpt-4o",type="cached_input"} 80"#,
            r#"tidegate_retries_total{provider="openai",result="ok"} 1"#,
            r#"tidegate_retries_total{provider="openai",result="failed"} 0"#,
            r#"tidegate_fallbacks_total{provider="openai"} 1"#,
            r#"tidegate_hedges_total{provider="openai",result="lost"} 1"#,
            r#"tidegate_coalesced_requests_total{provider="openai",result="parted"} 3"#,
            r#"tidegate_coalesced_batch_size_bucket{le="4.0",provider="openai",model="gpt-4o"} 1"#,
            r#"tidegate_queue_seconds_bucket{le="0.005",provider="openai",model="gpt-4o"} 1"#,
            r#"gen_ai_server_time_to_first_token_seconds_count{gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
