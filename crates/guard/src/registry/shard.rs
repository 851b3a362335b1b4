//! The entries under one lock, and which of them may go. The count of all entries is kept above.

use super::Entry;
use crate::sync::Arc;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

pub(super) struct Shard<K, V, S> {
    slots: HashMap<K, Slot<V>, S>,
}

struct Slot<V> {
    entry: Arc<V>,
    used: Instant,
}

impl<V: Entry> Slot<V> {
    /// Whether nobody holds the entry and it has nothing to remember. Who has no handle gets one only
    /// under the lock that the caller holds, so this stays true until the lock is released.
    fn is_free(&mut self, now: Instant) -> bool {
        Arc::get_mut(&mut self.entry).is_some_and(|entry| !entry.is_busy(now))
    }
}

impl<K: Eq + Hash + Clone, V: Entry, S: BuildHasher> Shard<K, V, S> {
    pub fn new(hasher: S) -> Self {
        Self { slots: HashMap::with_hasher(hasher) }
    }

    /// The entry, which is thereby in use.
    pub fn touch(&mut self, key: &K, now: Instant) -> Option<Arc<V>> {
        let slot = self.slots.get_mut(key)?;
        slot.used = slot.used.max(now);
        Some(Arc::clone(&slot.entry))
    }

    pub fn find(&self, key: &K) -> Option<Arc<V>> {
        self.slots.get(key).map(|slot| Arc::clone(&slot.entry))
    }

    pub fn insert(&mut self, key: K, entry: Arc<V>, used: Instant) {
        self.slots.insert(key, Slot { entry, used });
    }

    /// Takes out the free entry that has been unused the longest.
    pub fn take_oldest(&mut self, now: Instant) -> Option<Arc<V>> {
        let mut oldest: Option<(&K, Instant)> = None;
        for (key, slot) in &mut self.slots {
            if oldest.is_none_or(|(_, used)| slot.used < used) && slot.is_free(now) {
                oldest = Some((key, slot.used));
            }
        }
        let key = oldest?.0.clone();
        self.slots.remove(&key).map(|slot| slot.entry)
    }

    /// Takes out all free entries that have been unused for `idle`.
    pub fn take_unused(&mut self, idle: Duration, now: Instant) -> Vec<Arc<V>> {
        let is_old = |slot: &Slot<V>| now.saturating_duration_since(slot.used) >= idle;
        self.slots
            .extract_if(|_, slot| is_old(slot) && slot.is_free(now))
            .map(|(_, slot)| slot.entry)
            .collect()
    }

    /// Takes out all entries that `keep` does not want.
    pub fn take_unless(&mut self, mut keep: impl FnMut(&K, &V) -> bool) -> Vec<Arc<V>> {
        self.slots.extract_if(|key, slot| !keep(key, &slot.entry)).map(|(_, slot)| slot.entry).collect()
    }

    /// All of them, to be looked at without the lock.
    pub fn entries(&self) -> Vec<(K, Arc<V>)> {
        self.slots.iter().map(|(key, slot)| (key.clone(), Arc::clone(&slot.entry))).collect()
    }
}
