//! The nearest tier: answers in this process, ready to send.
//!
//! Eviction is `quick_cache`'s (a Clock-PRO near S3-FIFO: scan-resistant, by weight). Expiry is ours,
//! checked on every read. Both bounds hold at once by one weight: an entry weighs its bytes, and at least
//! the share of the bytes that each of the most entries allowed has.
//!
//! What an entry's size decides (row C4, by its plain length): up to [`LARGE_BYTES`] it is held as it is; up
//! to [`XLARGE_BYTES`] compressed; beyond, compressed, and only on its second visit within the memory of a
//! small sketch, as a long answer read once would push out hundreds of short ones.

#[cfg(test)]
mod tests;

use crate::clock::Millis;
use crate::entry::{Body, Entry};
use crate::key::Key;
use crate::tier::{Error, Tier, TierName};
use foldhash::fast::FixedState;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bodies longer than this are held compressed.
pub const LARGE_BYTES: usize = 5_000;
/// Bodies longer than this are held only once they have been asked for twice.
pub const XLARGE_BYTES: usize = 50_000;

/// Keys whose first visit is remembered.
const SEEN_SLOTS: usize = 4096;

/// The tier's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most entries.
    pub entries: usize,
    /// Most bytes, entries' own overhead included.
    pub bytes: u64,
    /// Longest stay of an entry, whatever its own expiry. Where the entry's own time ends by then it stays on for
    /// as long as it may be served stale.
    pub ttl: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { entries: 10_000, bytes: 256 << 20, ttl: Duration::from_secs(300) }
    }
}

/// Answers in this process.
pub struct Memory {
    held: Cache<Key, Slot, Weight, FixedState>,
    ttl: Duration,
    /// A few bits of very large entries' keys that came by once.
    seen: Box<[AtomicU64]>,
}

#[derive(Clone)]
struct Slot {
    entry: Arc<Entry>,
    until: Millis,
}

#[derive(Clone, Copy)]
struct Weight {
    least: u64,
}

impl Weighter<Key, Slot> for Weight {
    fn weight(&self, _: &Key, slot: &Slot) -> u64 {
        (slot.entry.weight() as u64 + size_of::<(Key, Slot)>() as u64).max(self.least)
    }
}

impl Memory {
    /// An empty tier.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let entries = options.entries.max(1);
        // A single entry gets a little more than half: `quick_cache` takes none that fills all of its room.
        let least = options.bytes.div_ceil(entries as u64).min(options.bytes / 2 + 1);
        let held = Cache::with(
            entries,
            options.bytes,
            Weight { least },
            FixedState::default(),
            DefaultLifecycle::default(),
        );
        let seen = (0..SEEN_SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { held, ttl: options.ttl, seen }
    }

    /// The entry under `key` that may still be served at `now`. The whole of a hit: one look-up, no wait.
    #[must_use]
    pub fn peek(&self, key: &Key, now: Millis) -> Option<Arc<Entry>> {
        let slot = self.held.get(key)?;
        if now >= slot.until {
            self.held.remove_if(key, |held| now >= held.until);
            return None;
        }
        Some(slot.entry)
    }

    /// Keeps `entry` under `key`, where its size lets it.
    pub fn keep(&self, key: &Key, entry: &Arc<Entry>, now: Millis) {
        let until = self.until(entry, now);
        if now >= until {
            return;
        }
        let length = entry.body.plain_len();
        if length > XLARGE_BYTES && !self.came_by(key) {
            // What is under the key is older than what was not taken.
            self.held.remove(key);
            return;
        }
        let entry = match fit(&entry.body) {
            Cow::Borrowed(_) => Arc::clone(entry),
            Cow::Owned(body) => Arc::new(Entry { body, ..Entry::clone(entry) }),
        };
        self.held.insert(*key, Slot { entry, until });
    }

    /// Until when an entry stays.
    fn until(&self, entry: &Entry, now: Millis) -> Millis {
        let stay = now.after(self.ttl);
        // A life of this tier's own length may have been lengthened by a tenth: see `Entry::new`.
        if entry.fresh_until > now.after(self.ttl + self.ttl / 10) {
            return stay;
        }
        stay.min(entry.fresh_until).after(entry.stale_until.since(entry.fresh_until))
    }

    /// Forgets what is under `key`.
    pub fn forget(&self, key: &Key) {
        self.held.remove(key);
    }

    /// Forgets what is under `key` if it is `entry` still, and nothing that came since.
    pub fn forget_this(&self, key: &Key, entry: &Arc<Entry>) {
        self.held.remove_if(key, |held| Arc::ptr_eq(&held.entry, entry));
    }

    /// Forgets what is expired at `now`; gives how many that were.
    pub fn sweep(&self, now: Millis) -> u64 {
        let gone = AtomicU64::new(0);
        self.held.retain(|_, slot| {
            let stays = now < slot.until;
            if !stays {
                gone.fetch_add(1, Ordering::Relaxed);
            }
            stays
        });
        gone.into_inner()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.held.clear();
    }

    /// Entries held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Bytes held, as they count against the bound.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.held.weight()
    }

    /// Whether a key was here before, as far as a table of 4,096 keys remembers.
    fn came_by(&self, key: &Key) -> bool {
        let mut first = [0; 8];
        first.copy_from_slice(&key.as_bytes()[..8]);
        let print = u64::from_le_bytes(first) | 1;
        let slot = self.seen.get((print >> 8) as usize % SEEN_SLOTS);
        slot.is_some_and(|slot| slot.swap(print, Ordering::Relaxed) == print)
    }
}

/// The form in which a body is held: a small one ready to send, though a tier farther away compressed it.
fn fit(body: &Body) -> Cow<'_, Body> {
    if !body.is_compressed() || body.plain_len() > LARGE_BYTES {
        return body.compress(LARGE_BYTES);
    }
    match body.to_plain() {
        Ok(plain) => Cow::Owned(Body::plain(plain)),
        Err(_) => Cow::Borrowed(body),
    }
}

impl Tier for Memory {
    fn name(&self) -> TierName {
        TierName::Memory
    }

    async fn get(&self, key: &Key, now: Millis) -> Result<Option<Arc<Entry>>, Error> {
        Ok(self.peek(key, now))
    }

    async fn put(&self, key: &Key, entry: &Arc<Entry>) -> Result<(), Error> {
        self.keep(key, entry, Millis::now());
        Ok(())
    }

    async fn remove(&self, key: &Key) -> Result<(), Error> {
        self.forget(key);
        Ok(())
    }

    async fn clear_expired(&self, now: Millis) -> Result<u64, Error> {
        Ok(self.sweep(now))
    }
}
