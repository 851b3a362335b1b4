//! All partitions, and the bounds that they share.
//!
//! Where a bound is passed, the partition that was used longest ago gives way: whole, where there are too
//! many partitions; by one little-used question, where there are too many questions or bytes.

#[cfg(test)]
mod tests;

use super::partition::{Near, Partition};
use super::vector::Vector;
use crate::key::Key;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// What questions must have in common to be compared at all: tenant, model, policy, protocol, the embedder's
/// id, and the whole canonical body with the last user text left out. Opaque here; a
/// [`Key`] made with a [`hole`](crate::key::Parts::hole) is one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The fingerprint of a key with a hole, within one embedder: vectors of two are not compared.
    #[must_use]
    pub fn new(key: &Key, embedder: &str) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key.as_bytes());
        Self(*hasher.update(b"semantic").update(embedder.as_bytes()).finalize().as_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", Key::from_bytes(self.0))
    }
}

/// The most that is held. A question takes its text, four bytes for each of its vector's values, and about 250
/// bytes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Partitions.
    pub partitions: usize,
    /// Questions of one partition. Above [`EXACT_MAX`](super::EXACT_MAX) the scan is approximate.
    pub partition_questions: usize,
    /// Questions in all.
    pub questions: usize,
    /// Bytes of their texts.
    pub text_bytes: usize,
    /// Texts that are known to mean what another does.
    pub aliases: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            partitions: 1_000,
            partition_questions: 50_000,
            questions: 100_000,
            text_bytes: 32 << 20,
            aliases: 100_000,
        }
    }
}

/// Partitions by fingerprint.
#[derive(Debug)]
pub(super) struct Store {
    bounds: Bounds,
    partitions: Mutex<HashMap<Fingerprint, Arc<Shelf>, FixedState>>,
    /// Counts uses, so that the longest unused is known.
    clock: AtomicU64,
    questions: AtomicUsize,
    text_bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shelf {
    rows: RwLock<Partition>,
    used: AtomicU64,
}

impl Store {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            partitions: Mutex::default(),
            clock: AtomicU64::new(1),
            questions: AtomicUsize::new(0),
            text_bytes: AtomicUsize::new(0),
        }
    }

    /// Questions held.
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    /// Partitions held.
    pub fn partitions(&self) -> usize {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn nearest(&self, fingerprint: &Fingerprint, vector: &Vector, least: f32, most: usize) -> Vec<Near> {
        let Some(shelf) = self.shelf(fingerprint) else { return Vec::new() };
        let rows = shelf.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.nearest(vector, least, most, self.tick())
    }

    pub fn insert(&self, fingerprint: &Fingerprint, text: &str, vector: &Vector, key: Key) {
        let shelf = {
            let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
            if partitions.len() >= self.bounds.partitions.max(1) && !partitions.contains_key(fingerprint) {
                let oldest = oldest(&partitions);
                if let Some(gone) = oldest.and_then(|oldest| partitions.remove(&oldest)) {
                    let rows = gone.rows.read().unwrap_or_else(PoisonError::into_inner);
                    self.count((rows.len(), rows.text_bytes()), (0, 0));
                }
            }
            Arc::clone(partitions.entry(*fingerprint).or_default())
        };
        let clock = self.tick();
        shelf.used.store(clock, Ordering::Relaxed);
        self.change(&shelf, |rows| {
            rows.insert(text, vector, key, self.bounds.partition_questions, clock);
        });
        self.keep_bounds();
    }

    pub fn learn(&self, fingerprint: &Fingerprint, text: &str, key: &Key, cosine: f32, right: bool) {
        let Some(shelf) = self.shelf(fingerprint) else { return };
        self.change(&shelf, |rows| rows.learn(text, key, cosine, right));
    }

    /// Forgets the questions that `key` answers.
    pub fn forget(&self, fingerprint: &Fingerprint, key: &Key) -> usize {
        let Some(shelf) = self.shelf(fingerprint) else { return 0 };
        self.change(&shelf, |rows| rows.forget(key))
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, shelf) in partitions.drain() {
            self.change(&shelf, |rows| *rows = Partition::default());
        }
    }

    fn shelf(&self, fingerprint: &Fingerprint) -> Option<Arc<Shelf>> {
        let partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = partitions.get(fingerprint)?;
        shelf.used.store(self.tick(), Ordering::Relaxed);
        Some(Arc::clone(shelf))
    }

    fn change<T>(&self, shelf: &Shelf, change: impl FnOnce(&mut Partition) -> T) -> T {
        let mut rows = shelf.rows.write().unwrap_or_else(PoisonError::into_inner);
        let before = (rows.len(), rows.text_bytes());
        let result = change(&mut rows);
        self.count(before, (rows.len(), rows.text_bytes()));
        result
    }

    /// Counters wrap around zero between two steps of two threads, and are right once both are done.
    fn count(&self, before: (usize, usize), after: (usize, usize)) {
        self.questions.fetch_add(after.0.wrapping_sub(before.0), Ordering::Relaxed);
        self.text_bytes.fetch_add(after.1.wrapping_sub(before.1), Ordering::Relaxed);
    }

    /// Questions go, one at a time, from where they were used longest ago, until the bounds hold.
    fn keep_bounds(&self) {
        let beyond = || {
            self.questions.load(Ordering::Relaxed) > self.bounds.questions
                || self.text_bytes.load(Ordering::Relaxed) > self.bounds.text_bytes
        };
        while beyond() {
            let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(fingerprint) = oldest(&partitions) else { return };
            let Some(shelf) = partitions.get(&fingerprint).map(Arc::clone) else { return };
            let left = self.change(&shelf, |rows| {
                rows.evict();
                rows.len()
            });
            if left == 0 {
                partitions.remove(&fingerprint);
            }
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }
}

/// The partition that was used longest ago.
fn oldest(partitions: &HashMap<Fingerprint, Arc<Shelf>, FixedState>) -> Option<Fingerprint> {
    partitions
        .iter()
        .min_by_key(|(_, shelf)| shelf.used.load(Ordering::Relaxed))
        .map(|(fingerprint, _)| *fingerprint)
}
