//! What the cache shows: who was answered from where, and how long a key takes.

use super::Shard;
use super::labels::CacheLabels;
use super::sharded::{CounterShard, HistogramShard};
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
    pub(super) fn new(shard: Shard<'_>) -> Self {
        let metrics = shard.metrics;
        Self {
            results: CacheResult::ALL.map(|result| {
                let (tier, result) = result.names();
                metrics.cache_requests.get_or_create_owned(&CacheLabels { tier, result }).shard(shard.index)
            }),
            key: metrics.cache_key.shard(shard.index),
            saved_tokens: metrics.cache_saved_tokens.shard(shard.index),
            saved_bytes: metrics.cache_saved_bytes.shard(shard.index),
            saved_micro_usd: metrics.cache_saved_micro_usd.shard(shard.index),
        }
    }

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
