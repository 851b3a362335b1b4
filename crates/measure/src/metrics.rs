//! The gateway's Prometheus metrics: their names, labels and buckets in one place.
//!
//! Labels come from the configuration, never from what a caller sends. Handles are resolved when
//! the configuration loads ([`Shard::route`], [`Shard::target`]); on a request's path a metric
//! is an atomic increment, and no label is looked up or formatted.

mod cache;
mod labels;
pub mod protection;
mod sharded;

pub use cache::{CacheMetrics, CacheResult};
use labels::{
    AttemptLabels, CacheLabels, OperationLabels, ProviderLabels, RequestLabels, ResultLabels, RouteLabels,
    TargetLabels, TokenLabels, WaitLabels,
};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor as _};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use protection::ProtectionMetrics;
use sharded::{Bounds, CounterShard, GaugeShard, HistogramShard, Shards};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// How a request ended, as `tidegate_requests_total{outcome}` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The caller has the whole answer.
    Ok,
    /// The request was at fault (4xx of our own or passed on from the provider).
    CallerError,
    /// The provider was at fault (502, 504, or a stream that was cut).
    ProviderError,
    /// We were at fault or overloaded (500, 503).
    GatewayError,
    /// The caller left before the end (recorded as 499).
    CallerLeft,
}

impl Outcome {
    /// Every outcome, in the order of their counters.
    pub const ALL: [Self; 5] =
        [Self::Ok, Self::CallerError, Self::ProviderError, Self::GatewayError, Self::CallerLeft];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::CallerError => "caller_error",
            Self::ProviderError => "provider_error",
            Self::GatewayError => "gateway_error",
            Self::CallerLeft => "caller_left",
        }
    }
}

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
}

impl AttemptResult {
    /// Every result, in the order of their counters.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Refused,
        Self::RateLimited,
        Self::Failed,
        Self::Unreachable,
        Self::TimedOut,
        Self::Cut,
        Self::Cancelled,
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

/// One route's handles: an operation on one configured model or alias, or on `other`.
#[derive(Clone, Debug)]
pub struct RouteMetrics {
    requests: [CounterShard; Outcome::ALL.len()],
    duration: HistogramShard,
    overhead: HistogramShard,
    in_flight: GaugeShard,
}

impl RouteMetrics {
    /// A request begins.
    pub fn begins(&self) {
        self.in_flight.inc();
    }

    /// A request has ended, for good or ill.
    pub fn ends(&self, outcome: Outcome, total: Duration, overhead: Duration) {
        self.in_flight.dec();
        self.requests[outcome as usize].inc();
        self.duration.observe(total.as_secs_f64());
        self.overhead.observe(overhead.as_secs_f64());
    }
}

/// One target's handles: a provider and a configured model of it, or `other`.
#[derive(Clone, Debug)]
pub struct TargetMetrics {
    attempts: [CounterShard; AttemptResult::ALL.len()],
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
    /// One attempt has ended.
    pub fn attempted(&self, result: AttemptResult) {
        self.attempts[result as usize].inc();
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

/// The metrics as one thread writes them: its own shard of each.
#[derive(Clone, Copy, Debug)]
pub struct Shard<'a> {
    metrics: &'a Metrics,
    index: usize,
}

type Counters<L> = Family<L, sharded::Counter, Shards>;
type Gauges<L> = Family<L, sharded::Gauge, Shards>;
type Histograms<L> = Family<L, sharded::Histogram, Bounds>;

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Counters<RequestLabels>,
    duration: Histograms<RouteLabels>,
    overhead: Histograms<OperationLabels>,
    in_flight: Gauges<OperationLabels>,
    attempts: Counters<AttemptLabels>,
    retries: Counters<ResultLabels>,
    fallbacks: Counters<ProviderLabels>,
    hedges: Counters<ResultLabels>,
    coalesced: Counters<ResultLabels>,
    joint_requests: Histograms<WaitLabels>,
    waits: Histograms<WaitLabels>,
    first_token: Histograms<TargetLabels>,
    tokens: Counters<TokenLabels>,
    cache_requests: Counters<CacheLabels>,
    cache_key: sharded::Histogram,
    cache_saved_tokens: sharded::Counter,
    cache_saved_bytes: sharded::Counter,
    cache_saved_micro_usd: sharded::Counter,
    /// What protects the targets; set before the metrics are read.
    pub protection: ProtectionMetrics,
    /// Callers' connections open now.
    pub connections: Gauge,
    /// Connections refused because `server.connections_max` was reached.
    pub connections_refused: Counter,
    /// The share of the last hour's look-ups that were answered; set before the metrics are read.
    pub cache_hit_rate: Gauge<f64, AtomicU64>,
    /// Answers in memory; set before the metrics are read.
    pub cache_entries: Gauge,
    /// Bytes that they take; set before the metrics are read.
    pub cache_bytes: Gauge,
    /// Configurations applied since the start, the first among them.
    pub reloads: Counter,
    /// Configurations refused since the start.
    pub reloads_refused: Counter,
}

impl Metrics {
    /// An empty set in so many shards; `version` goes to `tidegate_build_info`.
    pub fn new(version: &str, shards: usize) -> Self {
        let shards = Shards(shards);
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::new_with_constructor(shards),
            duration: Family::new_with_constructor(Bounds(shards, REQUEST_SECONDS)),
            overhead: Family::new_with_constructor(Bounds(shards, OVERHEAD_SECONDS)),
            in_flight: Family::new_with_constructor(shards),
            attempts: Family::new_with_constructor(shards),
            retries: Family::new_with_constructor(shards),
            fallbacks: Family::new_with_constructor(shards),
            hedges: Family::new_with_constructor(shards),
            coalesced: Family::new_with_constructor(shards),
            joint_requests: Family::new_with_constructor(Bounds(shards, JOINT_REQUESTS)),
            waits: Family::new_with_constructor(Bounds(shards, WAIT_SECONDS)),
            first_token: Family::new_with_constructor(Bounds(shards, FIRST_TOKEN_SECONDS)),
            tokens: Family::new_with_constructor(shards),
            cache_requests: Family::new_with_constructor(shards),
            cache_key: Bounds(shards, KEY_SECONDS).new_metric(),
            cache_saved_tokens: shards.new_metric(),
            cache_saved_bytes: shards.new_metric(),
            cache_saved_micro_usd: shards.new_metric(),
            protection: ProtectionMetrics::default(),
            cache_hit_rate: Gauge::default(),
            cache_entries: Gauge::default(),
            cache_bytes: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            reloads: Counter::default(),
            reloads_refused: Counter::default(),
        };
        metrics.register(version);
        metrics.protection.register(&mut metrics.registry);
        metrics
    }

    fn register(&mut self, version: &str) {
        let build = Info::new([("version", version.to_owned())]);
        let registry = &mut self.registry;
        registry.register("tidegate_build", "The version that runs", build);
        registry.register(
            "tidegate_requests",
            "Requests by operation, model and how they ended",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "From the request's first byte to the end of the answer",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register_with_unit(
            "tidegate_overhead",
            "Our own time: the total less the union of the upstream calls",
            Unit::Seconds,
            self.overhead.clone(),
        );
        registry.register("tidegate_requests_in_flight", "Requests under way", self.in_flight.clone());
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
        registry.register(
            "tidegate_coalesced_batch_size",
            "How many embedding requests were sent as one",
            self.joint_requests.clone(),
        );
        registry.register_with_unit(
            "tidegate_queue",
            "How long requests waited for a target, of those that did",
            Unit::Seconds,
            self.waits.clone(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_to_first_token",
            "From the start of an attempt to its first content token, streams only",
            Unit::Seconds,
            self.first_token.clone(),
        );
        registry.register("tidegate_tokens", "Tokens as the providers counted them", self.tokens.clone());
        registry.register(
            "tidegate_cache_requests",
            "Requests by what each tier of the cache had for them",
            self.cache_requests.clone(),
        );
        registry.register_with_unit(
            "tidegate_cache_key",
            "Time to make a cache key",
            Unit::Seconds,
            self.cache_key.clone(),
        );
        registry.register(
            "tidegate_cache_saved_tokens",
            "Tokens of answers that came from the cache",
            self.cache_saved_tokens.clone(),
        );
        registry.register_with_unit(
            "tidegate_cache_saved",
            "Bytes of answers that came from the cache",
            Unit::Bytes,
            self.cache_saved_bytes.clone(),
        );
        registry.register(
            "tidegate_cache_saved_micro_usd",
            "Millionths of a US dollar that answers from the cache would have cost, where prices are configured",
            self.cache_saved_micro_usd.clone(),
        );
        registry.register(
            "cache_hit_rate",
            "The share of the last hour's look-ups that were answered",
            self.cache_hit_rate.clone(),
        );
        registry.register("tidegate_cache_entries", "Answers in memory", self.cache_entries.clone());
        registry.register_with_unit(
            "tidegate_cache_memory",
            "Bytes that the answers in memory take",
            Unit::Bytes,
            self.cache_bytes.clone(),
        );
        registry.register("tidegate_connections", "Callers' connections open", self.connections.clone());
        registry.register(
            "tidegate_connections_refused",
            "Connections refused at the limit",
            self.connections_refused.clone(),
        );
        registry.register("tidegate_config_reloads", "Configurations applied", self.reloads.clone());
        registry.register(
            "tidegate_config_reloads_refused",
            "Configurations refused",
            self.reloads_refused.clone(),
        );
    }

    /// The shard that the thread of this number writes.
    pub fn shard(&self, index: usize) -> Shard<'_> {
        Shard { metrics: self, index }
    }

    /// The OpenMetrics text of everything, as `GET /metrics` answers.
    ///
    /// # Errors
    /// Only where a metric cannot be written as text, which is a fault of this module.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// The media type of [`Self::encode`].
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

impl Shard<'_> {
    /// The handles of the cache.
    pub fn cache(self) -> CacheMetrics {
        CacheMetrics::new(self)
    }

    /// The handles of one operation on one model as the configuration names it.
    pub fn route(self, operation: &'static str, model: &str) -> RouteMetrics {
        let of = OperationLabels { operation };
        let route = RouteLabels { operation, model: model.to_owned() };
        RouteMetrics {
            requests: Outcome::ALL.map(|outcome| {
                let labels = RequestLabels { operation, model: model.to_owned(), outcome: outcome.name() };
                self.metrics.requests.get_or_create_owned(&labels).shard(self.index)
            }),
            duration: self.metrics.duration.get_or_create_owned(&route).shard(self.index),
            overhead: self.metrics.overhead.get_or_create_owned(&of).shard(self.index),
            in_flight: self.metrics.in_flight.get_or_create_owned(&of).shard(self.index),
        }
    }

    /// The handles of one provider's model as the configuration names it.
    pub fn target(self, provider: &str, model: &str) -> TargetMetrics {
        let tokens = |kind| {
            let labels = TokenLabels { provider: provider.to_owned(), model: model.to_owned(), kind };
            self.metrics.tokens.get_or_create_owned(&labels).shard(self.index)
        };
        let of_result = |family: &Counters<ResultLabels>, result| {
            let labels = ResultLabels { provider: provider.to_owned(), result };
            family.get_or_create_owned(&labels).shard(self.index)
        };
        TargetMetrics {
            attempts: AttemptResult::ALL.map(|result| {
                let labels = AttemptLabels {
                    provider: provider.to_owned(),
                    model: model.to_owned(),
                    result: result.name(),
                };
                self.metrics.attempts.get_or_create_owned(&labels).shard(self.index)
            }),
            retries: ["failed", "ok"].map(|result| of_result(&self.metrics.retries, result)),
            fallbacks: self
                .metrics
                .fallbacks
                .get_or_create_owned(&ProviderLabels { provider: provider.to_owned() })
                .shard(self.index),
            hedges: ["lost", "won"].map(|result| of_result(&self.metrics.hedges, result)),
            coalesced: Joined::ALL.map(|joined| of_result(&self.metrics.coalesced, joined.name())),
            joint_requests: self
                .metrics
                .joint_requests
                .get_or_create_owned(&WaitLabels { provider: provider.to_owned(), model: model.to_owned() })
                .shard(self.index),
            waits: self
                .metrics
                .waits
                .get_or_create_owned(&WaitLabels { provider: provider.to_owned(), model: model.to_owned() })
                .shard(self.index),
            first_token: self
                .metrics
                .first_token
                .get_or_create_owned(&TargetLabels {
                    gen_ai_provider_name: provider.to_owned(),
                    gen_ai_request_model: model.to_owned(),
                })
                .shard(self.index),
            input_tokens: tokens("input"),
            output_tokens: tokens("output"),
            cached_tokens: tokens("cached_input"),
        }
    }
}

/// 10 µs … 50 ms and beyond: the range in which a gateway's own time is good, tolerable or bad.
const OVERHEAD_SECONDS: &[f64] =
    &[10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3];

/// 0.5 µs … 10 ms: a key of a short prompt, and of one of many megabytes.
const KEY_SECONDS: &[f64] =
    &[5e-7, 1e-6, 2.5e-6, 5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 10e-3];

/// From two requests in one to as many as a provider takes.
const JOINT_REQUESTS: &[f64] = &[2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0];

/// 1 ms … 60 s: from a wait that nobody notices to one that few callers bear.
const WAIT_SECONDS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The GenAI conventions' bounds for an operation's duration: 0.01 × 2ⁿ up to 81.92 s.
const REQUEST_SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// The GenAI conventions' bounds for the time to the first token.
const FIRST_TOKEN_SECONDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{AttemptResult, Joined, Metrics, Outcome};
    use std::time::Duration;

    #[test]
    fn a_request_shows_under_its_configured_labels() {
        let metrics = Metrics::new("1.2.3", 2);
        let route = metrics.shard(0).route("chat", "smart");
        route.begins();
        route.begins();
        route.ends(Outcome::CallerLeft, Duration::from_millis(30), Duration::from_micros(40));
        let text = metrics.encode().unwrap();
        for line in [
            r#"tidegate_build_info{version="1.2.3"} 1"#,
            r#"tidegate_requests_total{operation="chat",model="smart",outcome="caller_left"} 1"#,
            r#"tidegate_requests_total{operation="chat",model="smart",outcome="ok"} 0"#,
            r#"tidegate_requests_in_flight{operation="chat"} 1"#,
            r#"tidegate_overhead_seconds_bucket{le="0.00005",operation="chat"} 1"#,
            r#"http_request_duration_seconds_count{operation="chat",model="smart"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn an_attempt_and_its_tokens_show_under_their_target() {
        let metrics = Metrics::new("0", 2);
        let target = metrics.shard(1).target("openai", "gpt-4o");
        target.attempted(AttemptResult::RateLimited);
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

    #[test]
    fn the_shards_of_a_metric_are_read_as_one() {
        let metrics = Metrics::new("0", 2);
        for (shard, seconds) in [(0, 1), (1, 2), (1, 2000)] {
            metrics.shard(shard).target("p", "m").attempted(AttemptResult::Ok);
            let route = metrics.shard(shard).route("chat", "m");
            route.begins();
            route.ends(Outcome::Ok, Duration::from_secs(seconds), Duration::ZERO);
        }
        // A request may end on another thread than the one it began on.
        metrics.shard(0).route("embeddings", "m").begins();
        metrics.shard(1).route("embeddings", "m").ends(Outcome::Ok, Duration::ZERO, Duration::ZERO);
        let text = metrics.encode().unwrap();
        for line in [
            r#"tidegate_upstream_attempts_total{provider="p",model="m",result="ok"} 3"#,
            r#"tidegate_requests_in_flight{operation="embeddings"} 0"#,
            r#"http_request_duration_seconds_sum{operation="chat",model="m"} 2003.0"#,
            r#"http_request_duration_seconds_count{operation="chat",model="m"} 3"#,
            r#"http_request_duration_seconds_bucket{le="1.28",operation="chat",model="m"} 1"#,
            r#"http_request_duration_seconds_bucket{le="2.56",operation="chat",model="m"} 2"#,
            r#"http_request_duration_seconds_bucket{le="81.92",operation="chat",model="m"} 2"#,
            r#"http_request_duration_seconds_bucket{le="+Inf",operation="chat",model="m"} 3"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
