//! The tiers that a configuration asks for, and what they do in the background.

use super::Remembered;
use super::late::Late;
use super::notes::Notes;
use crate::config::{self, CacheDisk, CacheRedis};
use cache::disk::{self, Disk, Warming};
use cache::epochs::Epochs;
use cache::redis::{self, Redis};
use cache::tier::TierName;
use cache::{Cache, Options};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The tiers of a gateway.
pub type Tiers = Cache<Redis, Late<Disk>>;

/// Puts them together. Nothing is dialled and nothing opened yet.
pub fn build(settings: &config::Cache) -> Tiers {
    let epochs = Arc::new(Epochs::default());
    let mut options = Options { memory: settings.memory, ..Options::default() };
    let redis = settings.redis.as_ref().filter(|_| settings.enabled).and_then(|redis| {
        options.redis_ttl = redis.ttl;
        // The configuration was checked by this very call.
        Redis::new(redis_options(redis, settings.compress_above), Arc::clone(&epochs))
            .inspect_err(|fault| tracing::error!(%fault, "the cache goes on without Redis"))
            .ok()
    });
    let disk = settings.disk.as_ref().filter(|_| settings.enabled).map(|disk| {
        options.disk_ttl = disk.ttl;
        Late::new(TierName::Disk)
    });
    Cache::new(options, redis, disk, epochs)
}

/// What Redis is told.
pub fn redis_options(settings: &CacheRedis, compress_above: usize) -> redis::Options {
    redis::Options {
        url: settings.url.expose().to_owned(),
        connections: settings.connections,
        namespace: settings.prefix.clone(),
        ttl: settings.ttl,
        compress_above,
        budget: settings.budget,
        age_max_when_away: settings.age_max_when_away,
        ..redis::Options::default()
    }
}

/// Does what the tiers need done in the background, whichever are in force, until `end`.
pub async fn keep(mut remembered: watch::Receiver<Arc<Remembered>>, end: CancellationToken) {
    loop {
        let current = Arc::clone(&remembered.borrow_and_update());
        let replaced = end.child_token();
        let mut run = Box::pin(current.run(replaced.clone()));
        tokio::select! {
            () = &mut run => {}
            changed = remembered.changed() => {
                replaced.cancel();
                // To its end, as the next may want the same folder.
                run.await;
                if changed.is_ok() {
                    continue;
                }
            }
        }
        if end.is_cancelled() {
            return;
        }
    }
}

impl Remembered {
    /// Connects and opens what there is, and lets go of it at the `end`.
    async fn run(&self, end: CancellationToken) {
        let redis = async {
            match self.tiers.redis() {
                Some(redis) => redis.run(end.clone()).await,
                None => end.cancelled().await,
            }
        };
        let disk = async {
            if let (Some(late), Some(settings)) = (self.tiers.disk(), &self.settings.disk) {
                self.keep_disk(late, settings, &end).await;
            }
        };
        tokio::join!(redis, disk);
    }

    async fn keep_disk(&self, late: &Late<Disk>, settings: &CacheDisk, end: &CancellationToken) {
        let options = disk::Options {
            bytes: settings.bytes,
            ttl: settings.ttl,
            compress_above: self.settings.compress_above,
            ..disk::Options::new(&settings.path)
        };
        let path = settings.path.display();
        let disk = match Disk::start(options, Arc::clone(self.tiers.epochs())).await {
            Ok((disk, hindrance)) => {
                if let Some(hindrance) = hindrance {
                    tracing::warn!(%path, %hindrance, "the cache goes on without its disk, and tries again");
                }
                late.set(disk)
            }
            Err(error) => return tracing::warn!(%path, %error, "the cache goes on without its disk"),
        };
        if settings.warm > 0 {
            self.warm(disk, settings.warm, end).await;
        }
        end.cancelled().await;
        disk.close().await;
    }

    /// Reads what was worth most into memory.
    async fn warm(&self, disk: &Disk, entries: usize, end: &CancellationToken) {
        let warming = Warming { entries, ..Warming::default() };
        let warmed = disk.warm(warming, end, |key, entry, _| self.tiers.keep(key, &entry)).await;
        if warmed.planned > 0 {
            let (found, planned, seconds) = (warmed.found, warmed.planned, warmed.took.as_secs_f32());
            tracing::info!(found, planned, seconds, "memory was warmed from disk");
        }
    }

    /// Remembers that an answer was worth something again, for the next start.
    pub fn note_hit(&self, key: &cache::key::Key, notes: &Notes) {
        if let Some(disk) = self.tiers.disk().and_then(Late::get) {
            disk.ledger().note_hit(key, cost(notes));
        }
    }

    /// Remembers what an answer cost, for the next start.
    pub fn note_put(&self, key: &cache::key::Key, notes: &Notes) {
        if let Some(disk) = self.tiers.disk().and_then(Late::get) {
            disk.ledger().note_put(key, cost(notes));
        }
    }
}

/// Tokens, those written four times, as providers have it.
fn cost(notes: &Notes) -> u32 {
    let cost = notes.output_tokens.saturating_mul(4).saturating_add(notes.input_tokens);
    u32::try_from(cost).unwrap_or(u32::MAX).max(1)
}
