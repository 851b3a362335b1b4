//! What comes of the cache, counted: in metrics, and in the sliding hour of the alias.

use super::replay::Replay;
use cache::clock::Millis;
use cache::stats::{Count, Stats};
use cache::tier::TierName;
use measure::metrics::{CacheMetrics, CacheResult};
use std::time::Duration;

/// Where one request is counted.
#[derive(Clone, Copy, Debug)]
pub struct Tally<'a> {
    /// This worker's counters.
    pub metrics: &'a CacheMetrics,
    /// The alias' last hour.
    pub stats: &'a Stats,
}

impl Tally<'_> {
    /// The cache was not asked.
    pub fn bypassed(&self) {
        self.metrics.count(CacheResult::Bypass);
        self.stats.add(Count::Bypassed, 1, Millis::now());
    }

    /// A key was made.
    pub fn keyed(&self, time: Duration, now: Millis) {
        self.metrics.keyed(time);
        self.stats.took(Count::Keys, Count::KeyNanos, time, now);
    }

    /// A request was answered from memory.
    pub fn remembered(&self, stale: bool, replay: &Replay, now: Millis) {
        self.metrics.count(if stale { CacheResult::MemoryStale } else { CacheResult::MemoryHit });
        self.stats.add(Count::MemoryHits, 1, now);
        self.saved(replay, now);
    }

    /// Memory had nothing.
    pub fn memory_missed(&self) {
        self.metrics.count(CacheResult::MemoryMiss);
    }

    /// The request waits with another.
    pub fn coalesced(&self, now: Millis) {
        self.metrics.count(CacheResult::Coalesced);
        self.stats.add(Count::Coalesced, 1, now);
    }

    /// No tier had anything.
    pub fn missed(&self, now: Millis) {
        self.stats.add(Count::Misses, 1, now);
    }

    /// Another tier was asked and had the answer, or had not.
    pub fn asked(&self, tier: TierName, found: bool, now: Millis) {
        let (result, count) = match (tier, found) {
            (TierName::Redis, true) => (CacheResult::RedisHit, Some(Count::RedisHits)),
            (TierName::Redis, false) => (CacheResult::RedisMiss, None),
            (TierName::Disk, true) => (CacheResult::DiskHit, Some(Count::DiskHits)),
            (TierName::Disk, false) => (CacheResult::DiskMiss, None),
            (TierName::Memory, true) => (CacheResult::MemoryHit, Some(Count::MemoryHits)),
            (TierName::Memory, false) => (CacheResult::MemoryMiss, None),
        };
        self.metrics.count(result);
        if let Some(count) = count {
            self.stats.add(count, 1, now);
        }
    }

    /// Other questions were looked through.
    pub fn compared(&self, found: bool, now: Millis) {
        self.metrics.count(if found { CacheResult::SemanticHit } else { CacheResult::SemanticMiss });
        if found {
            self.stats.add(Count::SemanticHits, 1, now);
        }
    }

    /// An answer went out that nobody had to be paid for.
    pub fn saved(&self, replay: &Replay, now: Millis) {
        let tokens = replay.notes.input_tokens.saturating_add(replay.notes.output_tokens);
        let bytes = replay.segments.iter().map(bytes::Bytes::len).sum::<usize>() as u64;
        let cost = replay.notes.cost_micro_usd;
        self.metrics.saved(tokens, bytes, cost);
        self.stats.add(Count::SavedMicroUsd, cost, now);
        self.stats.add(Count::SavedTokens, tokens, now);
        self.stats.add(Count::SavedBytes, bytes, now);
    }
}
