//! A bounded map of shared entries: one for each key in use, made when it is first asked for, let go
//! when it has nothing to remember. Breakers live here, one for each provider, credential, model and
//! operation.
//!
//! Callers hold an entry for as long as a request takes. One that somebody holds, or that says it is
//! [busy](Entry::is_busy), is never evicted: so no key ever has two entries in use, and a tripped
//! breaker is not forgotten by being crowded out. Where no place can be made, the entry of a
//! [coarser](Key::coarser) key is shared instead: less exact, but bounded.
//!
//! It spawns nothing: somebody calls [`Registry::sweep`] now and then.

use crate::sync::{Arc, AtomicUsize, Mutex, Ordering::Relaxed, lock};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

use self::shard::Shard;

mod shard;

/// What a registry keeps.
pub trait Entry {
    /// Whether it remembers something that must not be lost. Called under a lock: it is quick, and
    /// does not touch the registry.
    fn is_busy(&self, now: Instant) -> bool;
}

/// What an entry is found by.
pub trait Key: Eq + Hash + Clone {
    /// The key whose entry is shared where there is no place for this one's own: the provider's for a
    /// model's. `None` for the coarsest. A few steps must reach it.
    fn coarser(&self) -> Option<Self>;
}

/// How much is kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Entries beyond which a new one takes the place of the longest unused one beside it.
    pub entries: usize,
    /// Entries that there are at most, should all of those beside it be busy. The last tenth is for
    /// keys that have no coarser one.
    pub entries_max: usize,
    /// How long an entry stays unused before a sweep takes it.
    pub idle: Duration,
    /// The time between sweeps.
    pub sweep: Duration,
    /// Whether unused entries are swept out. The bounds hold either way.
    pub enabled: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            entries: 1_000,
            entries_max: 10_000,
            idle: Duration::from_secs(3_600),
            sweep: Duration::from_secs(300),
            enabled: true,
        }
    }
}

/// Locks that the keys are spread over at most, so that workers seldom meet at one.
const SHARDS_MAX: usize = 16;
/// Entries a lock is worth: a small registry has one, and thereby an exact order of age.
const SHARD_ENTRIES: usize = 32;
/// Steps from the finest key to the coarsest, at most.
const STEPS_MAX: usize = 8;

/// One entry for each key in use, within bounds. `S` spreads and finds the keys.
pub struct Registry<K, V, S = RandomState> {
    shards: Box<[Mutex<Shard<K, V, S>>]>,
    hasher: S,
    options: Options,
    len: AtomicUsize,
    swept: Mutex<Option<Instant>>,
    /// Shared by all who find no place at all.
    rest: Arc<V>,
}

impl<K: Key, V: Entry> Registry<K, V> {
    /// Nothing kept yet. `rest` is the entry that all those share for whom there is no place, not even
    /// at their coarsest key; it counts toward no bound.
    pub fn new(options: Options, rest: Arc<V>) -> Self {
        Self::with_hasher(options, rest, RandomState::new())
    }
}

impl<K: Key, V: Entry, S: BuildHasher + Clone> Registry<K, V, S> {
    /// As [`new`](Registry::new), with another hasher. Keys that come from callers need one that they
    /// cannot foresee.
    pub fn with_hasher(options: Options, rest: Arc<V>, hasher: S) -> Self {
        let shards = (options.entries / SHARD_ENTRIES).clamp(1, SHARDS_MAX);
        Self {
            shards: (0..shards).map(|_| Mutex::new(Shard::new(hasher.clone()))).collect(),
            hasher,
            options,
            len: AtomicUsize::new(0),
            swept: Mutex::new(None),
            rest,
        }
    }

    /// The entry for `key`: its own, made by `make` if there is none, or the nearest coarser one that
    /// there is a place for. `make` may be called in vain where two ask at once; it may ask the
    /// registry itself.
    pub fn get(&self, key: &K, now: Instant, make: impl Fn(&K) -> Arc<V>) -> Arc<V> {
        if let Some(found) = lock(self.shard(key)).touch(key, now) {
            return found;
        }
        let mut wanted = Some(key.clone());
        for _ in 0..STEPS_MAX {
            let Some(key) = wanted else { break };
            let known = lock(self.shard(&key)).touch(&key, now);
            if let Some(entry) = known.or_else(|| self.add(&key, now, make(&key))) {
                return entry;
            }
            wanted = key.coarser();
        }
        Arc::clone(&self.rest)
    }

    /// The entry of exactly this key, if there is one. It does not count as a use.
    pub fn find(&self, key: &K) -> Option<Arc<V>> {
        lock(self.shard(key)).find(key)
    }

    /// Evicts what has been unused for too long and is not busy; says how many. Does nothing if it is
    /// switched off, or if the last sweep is less than `sweep` ago.
    pub fn sweep(&self, now: Instant) -> usize {
        if !self.options.enabled || !self.is_due(now) {
            return 0;
        }
        let mut count = 0;
        for shard in &self.shards {
            let gone = lock(shard).take_unused(self.options.idle, now);
            self.len.fetch_sub(gone.len(), Relaxed);
            count += gone.len();
        }
        count
    }

    /// Lets go of every entry that `keep` does not want, busy or held as it may be, and says how many
    /// those were. Whoever holds one goes on with it, but nobody finds it any more: this is for keys that
    /// have lost their meaning, a target's that is configured no longer. `keep` is called under a lock: it
    /// is quick, and does not touch the registry.
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) -> usize {
        let mut count = 0;
        for shard in &self.shards {
            let gone = lock(shard).take_unless(&mut keep);
            self.len.fetch_sub(gone.len(), Relaxed);
            count += gone.len();
        }
        count
    }

    /// Calls `visit` for each entry that there was at some time during the call. No lock is held
    /// meanwhile.
    pub fn for_each(&self, mut visit: impl FnMut(&K, &Arc<V>)) {
        for shard in &self.shards {
            let entries = lock(shard).entries();
            entries.iter().for_each(|(key, entry)| visit(key, entry));
        }
    }

    /// Entries kept.
    pub fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bounds it goes by.
    pub fn options(&self) -> Options {
        self.options
    }

    /// Keeps `entry` for `key`, unless somebody was quicker: then theirs. `None` if there is no place.
    fn add(&self, key: &K, now: Instant, entry: Arc<V>) -> Option<Arc<V>> {
        let mut shard = lock(self.shard(key));
        if let Some(found) = shard.touch(key, now) {
            drop(shard);
            return Some(found);
        }
        let is_full = self.len() >= self.options.entries.min(self.options.entries_max);
        let evicted = if is_full { shard.take_oldest(now) } else { None };
        if evicted.is_none() && !self.take_place(key.coarser().is_some()) {
            return None;
        }
        shard.insert(key.clone(), Arc::clone(&entry), now);
        drop(shard);
        // Dropped outside the lock, whatever else hangs on it.
        drop(evicted);
        Some(entry)
    }

    /// Counts one more entry in, or says that there are as many as there may be.
    fn take_place(&self, has_coarser: bool) -> bool {
        let max = self.options.entries_max;
        let max = if has_coarser { max - max / 10 } else { max };
        self.len.fetch_update(Relaxed, Relaxed, |len| (len < max).then_some(len + 1)).is_ok()
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut swept = lock(&self.swept);
        let is_due = swept.is_none_or(|last| now.saturating_duration_since(last) >= self.options.sweep);
        if is_due {
            *swept = Some(now);
        }
        is_due
    }

    fn shard(&self, key: &K) -> &Mutex<Shard<K, V, S>> {
        // The map below takes its place from the hash's low bits and its tag from the high ones: this
        // takes those between.
        let hash = if self.shards.len() > 1 { self.hasher.hash_one(key) >> 32 } else { 0 };
        &self.shards[hash as usize % self.shards.len()]
    }
}
