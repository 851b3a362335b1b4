//! What came of a cache in the last hour, minute by minute.
//!
//! Counting is one or two additions on atomics; nothing is locked and nothing allocated. A minute's row is
//! emptied by whoever counts first in it, so that an hour without a request costs nothing either. Counts that
//! fall in the very moment of the change may be lost; counters that must not are metrics, not statistics.

#[cfg(test)]
mod tests;

use crate::clock::Millis;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Minutes that are kept.
const MINUTES: usize = 60;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Answers from memory.
    MemoryHits,
    /// Answers from Redis.
    RedisHits,
    /// Answers from disk.
    DiskHits,
    /// Answers to another request that meant the same.
    SemanticHits,
    /// Answers shared with a request that was under way.
    Coalesced,
    /// Nothing was found.
    Misses,
    /// The cache was not asked.
    Bypassed,
    /// Keys made.
    Keys,
    /// Nanoseconds spent on them.
    KeyNanos,
    /// Reads of Redis or disk.
    Reads,
    /// Nanoseconds spent on them.
    ReadNanos,
    /// Writes to all tiers.
    Writes,
    /// Nanoseconds spent on them.
    WriteNanos,
    /// Bytes of answers stored, plain.
    StoredBytes,
    /// Bytes that they took.
    HeldBytes,
    /// Bytes of answers served from the cache.
    SavedBytes,
    /// Tokens that no provider had to read or write for them.
    SavedTokens,
    /// Millionths of a dollar that they would have cost, where the price is known.
    SavedMicroUsd,
}

const COUNTS: usize = Count::SavedMicroUsd as usize + 1;

/// A sliding hour of one cache, or of one alias's part in it.
#[derive(Debug)]
pub struct Stats {
    minutes: Box<[Minute; MINUTES]>,
}

#[derive(Debug, Default)]
struct Minute {
    /// Minutes since 1970 to which the counts belong.
    number: AtomicU64,
    counts: [AtomicU64; COUNTS],
}

/// The sums of the last hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary([u64; COUNTS]);

impl Default for Stats {
    fn default() -> Self {
        Self { minutes: Box::new(std::array::from_fn(|_| Minute::default())) }
    }
}

impl Stats {
    /// Counts `by` more.
    pub fn add(&self, count: Count, by: u64, now: Millis) {
        self.minute(now).add(count, by);
    }

    /// Counts a `thing` that took `time`, told under `nanos`.
    pub fn took(&self, thing: Count, nanos: Count, time: Duration, now: Millis) {
        let minute = self.minute(now);
        minute.add(thing, 1);
        minute.add(nanos, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The hour that ends `now`.
    #[must_use]
    pub fn summary(&self, now: Millis) -> Summary {
        let last = minute_of(now);
        let mut sums = [0_u64; COUNTS];
        for minute in self.minutes.iter() {
            let number = minute.number.load(Ordering::Acquire);
            if number <= last && last - number < MINUTES as u64 {
                for (sum, count) in sums.iter_mut().zip(&minute.counts) {
                    *sum = sum.saturating_add(count.load(Ordering::Relaxed));
                }
            }
        }
        Summary(sums)
    }

    fn minute(&self, now: Millis) -> &Minute {
        let number = minute_of(now);
        let minute = &self.minutes[(number % MINUTES as u64) as usize];
        let found = minute.number.load(Ordering::Acquire);
        if found != number
            && minute.number.compare_exchange(found, number, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            for count in &minute.counts {
                count.store(0, Ordering::Relaxed);
            }
        }
        minute
    }
}

impl Minute {
    fn add(&self, count: Count, by: u64) {
        self.counts[count as usize].fetch_add(by, Ordering::Relaxed);
    }
}

impl Summary {
    /// One of the sums.
    #[must_use]
    pub fn get(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    /// Both hours as one.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(more);
        }
        self
    }

    /// Answers that no provider was asked for.
    #[must_use]
    pub fn hits(&self) -> u64 {
        let hits =
            [Count::MemoryHits, Count::RedisHits, Count::DiskHits, Count::SemanticHits, Count::Coalesced];
        hits.iter().map(|count| self.get(*count)).sum()
    }

    /// The share of requests that asked the cache and were answered by it; `None` before the first.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let asked = self.hits() + self.get(Count::Misses);
        (asked > 0).then(|| self.hits() as f64 / asked as f64)
    }

    /// The mean time of one of the timed things, in seconds.
    #[must_use]
    pub fn mean_seconds(&self, thing: Count, nanos: Count) -> Option<f64> {
        let things = self.get(thing);
        (things > 0).then(|| self.get(nanos) as f64 / things as f64 / 1e9)
    }

    /// Plain bytes stored, over the bytes they took.
    #[must_use]
    pub fn compression_ratio(&self) -> Option<f64> {
        let held = self.get(Count::HeldBytes);
        (held > 0).then(|| self.get(Count::StoredBytes) as f64 / held as f64)
    }
}

fn minute_of(now: Millis) -> u64 {
    now.0 / 60_000
}
