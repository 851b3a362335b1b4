//! What the cache shows: who was answered from where, and how long a key takes.

use super::catalogue::Catalogue;
use super::histogram::{HistogramShard, Histograms};
use super::labels::CacheLabels;
use super::sharded::{self, CounterShard, Counters, Shards};
use prometheus_client::metrics::family::{Family, MetricConstructor as _};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// What came of asking a tier, as `tidegate_cache_requests_total{tier,result}` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheResult {
    /// The answer was there.
    MemoryHit,
    /// It was there, beyond its time, and was served while a new one was fetched.
    MemoryStale,
    /// It was not there.
    MemoryMiss,
    /// As for memory.
    RedisHit,
    /// As for memory.
    RedisMiss,
    /// As for memory.
    DiskHit,
    /// As for memory.
    DiskMiss,
    /// The answer to another question was taken for this one's.
    SemanticHit,
    /// No other question means the same.
    SemanticMiss,
    /// The answer came with another request's.
    Coalesced,
    /// The cache was not asked.
    Bypass,
}

impl CacheResult {
    /// Every result, in the order of their counters.
    pub const ALL: [Self; 11] = [
        Self::MemoryHit,
        Self::MemoryStale,
        Self::MemoryMiss,
        Self::RedisHit,
        Self::RedisMiss,
        Self::DiskHit,
        Self::DiskMiss,
        Self::SemanticHit,
        Self::SemanticMiss,
        Self::Coalesced,
        Self::Bypass,
    ];

    /// The labels' values: tier and result.
    #[must_use]
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::MemoryHit => ("memory", "hit"),
            Self::MemoryStale => ("memory", "stale"),
            Self::MemoryMiss => ("memory", "miss"),
            Self::RedisHit => ("redis", "hit"),
            Self::RedisMiss => ("redis", "miss"),
            Self::DiskHit => ("disk", "hit"),
            Self::DiskMiss => ("disk", "miss"),
            Self::SemanticHit => ("semantic", "hit"),
            Self::SemanticMiss => ("semantic", "miss"),
            Self::Coalesced => ("flight", "coalesced"),
            Self::Bypass => ("none", "bypass"),
        }
    }
}

/// One thread's handles of the cache's metrics.
#[derive(Clone, Debug)]
pub struct CacheMetrics {
    results: [CounterShard; CacheResult::ALL.len()],
    key: HistogramShard,
    saved_tokens: CounterShard,
    saved_bytes: CounterShard,
    saved_micro_usd: CounterShard,
}

impl CacheMetrics {
    /// One tier was asked, or the cache was not.
    pub fn count(&self, result: CacheResult) {
        self.results[result as usize].inc();
    }

    /// A key was made in this time.
    pub fn keyed(&self, time: Duration) {
        self.key.observe(time.as_secs_f64());
    }

    /// An answer was served for which nobody had to pay so many tokens, and so many millionths of a dollar
    /// where the price is known.
    pub fn saved(&self, tokens: u64, bytes: u64, micro_usd: u64) {
        self.saved_tokens.inc_by(tokens);
        self.saved_bytes.inc_by(bytes);
        self.saved_micro_usd.inc_by(micro_usd);
    }
}

/// What requests count.
#[derive(Debug)]
pub(super) struct Families {
    requests: Counters<CacheLabels>,
    /// One without labels.
    key: Histograms,
    saved_tokens: sharded::Counter,
    saved_bytes: sharded::Counter,
    saved_micro_usd: sharded::Counter,
}

impl Families {
    pub(super) fn new(shards: Shards) -> Self {
        Self {
            requests: Family::new_with_constructor(shards),
            key: Histograms::new(shards, KEY_SECONDS),
            saved_tokens: shards.new_metric(),
            saved_bytes: shards.new_metric(),
            saved_micro_usd: shards.new_metric(),
        }
    }

    pub(super) fn register(&self, catalogue: &mut Catalogue) {
        catalogue.durations("tidegate_cache_key", "Time to make a cache key", &self.key);
        let registry = &mut catalogue.registry;
        registry.register(
            "tidegate_cache_requests",
            "Requests by what each tier of the cache had for them",
            self.requests.clone(),
        );
        registry.register(
            "tidegate_cache_saved_tokens",
            "Tokens of answers that came from the cache",
            self.saved_tokens.clone(),
        );
        registry.register_with_unit(
            "tidegate_cache_saved",
            "Bytes of answers that came from the cache",
            Unit::Bytes,
            self.saved_bytes.clone(),
        );
        registry.register(
            "tidegate_cache_saved_micro_usd",
            "Millionths of a US dollar that answers from the cache would have cost, where prices are configured",
            self.saved_micro_usd.clone(),
        );
    }

    /// One thread's handles.
    pub(super) fn handles(&self, shard: usize) -> CacheMetrics {
        CacheMetrics {
            results: CacheResult::ALL.map(|result| {
                let (tier, result) = result.names();
                self.requests.get_or_create_owned(&CacheLabels { tier, result }).shard(shard)
            }),
            key: self.key.of(Vec::new()).shard(shard),
            saved_tokens: self.saved_tokens.shard(shard),
            saved_bytes: self.saved_bytes.shard(shard),
            saved_micro_usd: self.saved_micro_usd.shard(shard),
        }
    }
}

/// What the cache holds, and how often that was what was asked for.
#[derive(Debug, Default)]
pub struct Contents {
    /// The share of the last hour's look-ups that were answered.
    pub hit_rate: Gauge<f64, AtomicU64>,
    /// Answers in memory.
    pub entries: Gauge,
    /// Bytes that they take.
    pub bytes: Gauge,
}

impl Contents {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "cache_hit_rate",
            "The share of the last hour's look-ups that were answered",
            self.hit_rate.clone(),
        );
        registry.register("tidegate_cache_entries", "Answers in memory", self.entries.clone());
        registry.register_with_unit(
            "tidegate_cache_memory",
            "Bytes that the answers in memory take",
            Unit::Bytes,
            self.bytes.clone(),
        );
    }
}

/// 0.5 µs … 10 ms: a key of a short prompt, and of one of many megabytes.
const KEY_SECONDS: &[f64] =
    &[5e-7, 1e-6, 2.5e-6, 5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 10e-3];
