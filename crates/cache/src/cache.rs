//! The tiers in their order, and what keeps them honest.
//!
//! A read goes memory → Redis → disk and stops at the first entry that is whole, not expired, not invalidated
//! and still trusted; what is found far away is kept nearer. A write goes to all of them. A tier that fails
//! is a miss and a line in the log, never an error of the caller's.

mod compute;
#[cfg(test)]
mod tests;

use crate::clock::Millis;
use crate::entry::Entry;
use crate::epochs::{Epochs, Stamp, Tag};
use crate::key::Key;
use crate::memory::{self, Memory};
use crate::stats::{Count, Stats};
use crate::tier::{Error, Off, Tier, TierName};
pub use compute::Failed;
use guard::flight::Flights;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a cache is made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The bounds of memory.
    pub memory: memory::Options,
    /// Redis is not kept longer than this; the entry's own life may be shorter.
    pub redis_ttl: Duration,
    /// Nor disk than this.
    pub disk_ttl: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory: memory::Options::default(),
            redis_ttl: Duration::from_secs(3600),
            disk_ttl: Duration::from_secs(24 * 3600),
        }
    }
}

/// Answers by key, in up to three tiers.
pub struct Cache<R = Off, D = Off> {
    options: Options,
    memory: Memory,
    redis: Option<R>,
    disk: Option<D>,
    epochs: Arc<Epochs>,
    stats: Stats,
    flights: Flights<Key, compute::Value, Failed>,
}

/// An entry, and how it was come by.
#[derive(Clone, Debug)]
pub struct Found {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Where it was.
    pub tier: TierName,
    /// Whether it may be served as it is.
    pub freshness: Freshness,
    /// How old it is.
    pub age: Duration,
}

/// Whether an entry may be served as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may.
    Fresh,
    /// It may, while somebody fetches a new one.
    Stale,
}

impl Cache {
    /// A cache in this process alone.
    #[must_use]
    pub fn in_memory(options: Options) -> Self {
        Self::new(options, None, None, Arc::default())
    }
}

impl<R: Tier, D: Tier> Cache<R, D> {
    /// A cache of these tiers; memory is always there. What is invalidated is told by `epochs`, which other
    /// parts may hold too.
    pub fn new(options: Options, redis: Option<R>, disk: Option<D>, epochs: Arc<Epochs>) -> Self {
        Self {
            options,
            memory: Memory::new(options.memory),
            redis,
            disk,
            epochs,
            stats: Stats::default(),
            flights: Flights::new(guard::flight::Options::default()),
        }
    }

    /// What an entry must be stamped with: to be taken **before** its making begins.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.epochs.stamp()
    }

    /// The entry in memory, if there is one to be served. Never waits.
    #[must_use]
    pub fn peek(&self, key: &Key, now: Millis) -> Option<Found> {
        let entry = self.memory.peek(key, now)?;
        if !self.epochs.is_valid(&entry) {
            self.memory.forget_this(key, &entry);
            return None;
        }
        self.epochs.is_trusted(&entry, now).then(|| Found::new(entry, TierName::Memory, now))
    }

    /// The entry farther away, if there is one to be served; kept in memory from now on. Waits no longer
    /// than the tiers' own bounds.
    pub async fn look_further(&self, key: &Key, now: Millis) -> Option<Found> {
        let found = match self.ask(self.redis.as_ref(), key, now, self.options.redis_ttl).await {
            Some(entry) => Found::new(entry, TierName::Redis, now),
            None => {
                let entry = self.ask(self.disk.as_ref(), key, now, self.options.disk_ttl).await?;
                Found::new(entry, TierName::Disk, now)
            }
        };
        self.memory.keep(key, &found.entry, now);
        Some(found)
    }

    /// The entry wherever it is.
    pub async fn get(&self, key: &Key, now: Millis) -> Option<Found> {
        match self.peek(key, now) {
            Some(found) => Some(found),
            None => self.look_further(key, now).await,
        }
    }

    async fn ask(
        &self,
        tier: Option<&impl Tier>,
        key: &Key,
        now: Millis,
        ttl: Duration,
    ) -> Option<Arc<Entry>> {
        let tier = tier?;
        let began = Instant::now();
        let answer = tier.get(key, now).await;
        self.stats.took(Count::Reads, Count::ReadNanos, began.elapsed(), now);
        let entry = answer.unwrap_or_else(|error| {
            log(tier.name(), "read", &error);
            None
        })?;
        let serves = entry.age(now) < ttl
            && !entry.is_expired(now)
            && self.epochs.is_valid(&entry)
            && self.epochs.is_trusted(&entry, now);
        serves.then_some(entry)
    }

    /// Keeps `entry` in memory: what [`Cache::store`] does first, for one who has no time for the rest yet.
    pub fn keep(&self, key: &Key, entry: &Arc<Entry>) {
        if self.epochs.is_valid(entry) {
            self.memory.keep(key, entry, Millis::now());
        }
    }

    /// Keeps `entry` in every tier; returns once each has it or has given up. Where it was invalidated
    /// while it was made, nothing is stored.
    pub async fn store(&self, key: &Key, entry: Arc<Entry>) {
        let (began, now) = (Instant::now(), Millis::now());
        if !self.epochs.is_valid(&entry) {
            return;
        }
        // Once for all tiers that would.
        let entry = match entry.body.compress(memory::LARGE_BYTES) {
            Cow::Borrowed(_) => entry,
            Cow::Owned(body) => Arc::new(Entry { body, ..Entry::clone(&entry) }),
        };
        self.memory.keep(key, &entry, now);
        tokio::join!(put(self.redis.as_ref(), key, &entry), put(self.disk.as_ref(), key, &entry));
        self.stats.took(Count::Writes, Count::WriteNanos, began.elapsed(), now);
        self.stats.add(Count::StoredBytes, entry.body.plain_len() as u64, now);
        self.stats.add(Count::HeldBytes, entry.body.held().len() as u64, now);
    }

    /// Invalidates everything that carries one of `tags`, here and, as soon as they hear, on other replicas
    /// and after a restart. What was begun before this was called is never served here once it has returned.
    ///
    /// # Errors
    /// The tiers that could not take it on, with why. It is in force here all the same.
    pub async fn invalidate(&self, tags: &[Tag]) -> Result<Stamp, Vec<(TierName, Error)>> {
        let number = self.epochs.invalidate(tags);
        let redis = carry(self.redis.as_ref(), number, tags);
        let disk = carry(self.disk.as_ref(), number, tags);
        let (redis, disk) = tokio::join!(redis, disk);
        let failed: Vec<_> = [redis, disk].into_iter().filter_map(Result::err).collect();
        if failed.is_empty() { Ok(number) } else { Err(failed) }
    }

    /// Forgets what is expired; gives how many entries that were, as far as tiers can tell.
    pub async fn clear_expired(&self) -> u64 {
        let now = Millis::now();
        let far = tokio::join!(sweep(self.redis.as_ref(), now), sweep(self.disk.as_ref(), now));
        self.memory.sweep(now) + far.0 + far.1
    }

    /// The tiers beyond memory that there are, in their order.
    pub fn far(&self) -> impl Iterator<Item = TierName> {
        let redis = self.redis.as_ref().map(Tier::name);
        redis.into_iter().chain(self.disk.as_ref().map(Tier::name))
    }

    /// What came of it in the last hour.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The nearest tier.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The tier in Redis, if there is one.
    #[must_use]
    pub fn redis(&self) -> Option<&R> {
        self.redis.as_ref()
    }

    /// The tier on disk, if there is one.
    #[must_use]
    pub fn disk(&self) -> Option<&D> {
        self.disk.as_ref()
    }

    /// What has been invalidated.
    #[must_use]
    pub fn epochs(&self) -> &Arc<Epochs> {
        &self.epochs
    }
}

impl Found {
    fn new(entry: Arc<Entry>, tier: TierName, now: Millis) -> Self {
        let freshness = if entry.is_fresh(now) { Freshness::Fresh } else { Freshness::Stale };
        let age = entry.age(now);
        Self { entry, tier, freshness, age }
    }
}

async fn put(tier: Option<&impl Tier>, key: &Key, entry: &Arc<Entry>) {
    if let Some(tier) = tier
        && let Err(error) = tier.put(key, entry).await
    {
        log(tier.name(), "write", &error);
    }
}

async fn carry(tier: Option<&impl Tier>, number: Stamp, tags: &[Tag]) -> Result<(), (TierName, Error)> {
    let Some(tier) = tier else { return Ok(()) };
    tier.invalidated(number, tags).await.map_err(|error| (tier.name(), error))
}

async fn sweep(tier: Option<&impl Tier>, now: Millis) -> u64 {
    let Some(tier) = tier else { return 0 };
    tier.clear_expired(now).await.unwrap_or_else(|error| {
        log(tier.name(), "sweep", &error);
        0
    })
}

/// A tripped tier is told of where it trips, not at every call.
fn log(tier: TierName, what: &str, error: &Error) {
    if *error != Error::Tripped {
        tracing::debug!(tier = tier.name(), %error, "cache {what} failed");
    }
}
