//! Invalidations that Redis has not taken yet.
//!
//! Bounded: where there are too many tags, everything is invalidated instead. Until they are delivered, what
//! Redis holds under these tags is not believed.

use super::lock;
use crate::entry::Entry;
use crate::epochs::{Stamp, Tag};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most tags that wait.
pub(super) const TAGS_MAX: usize = 10_000;

/// Tags, each under the last number it was invalidated with here.
#[derive(Debug, Default)]
pub(super) struct Pending {
    tags: Mutex<HashMap<Tag, Stamp>>,
    /// How many, for a glance without the lock.
    count: AtomicUsize,
}

impl Pending {
    pub(super) fn add(&self, number: Stamp, tags: &[Tag]) {
        let mut held = lock(&self.tags);
        held.extend(tags.iter().map(|tag| (*tag, number)));
        if held.len() > TAGS_MAX {
            held.clear();
            held.insert(Tag::everything(), number);
        }
        self.count.store(held.len(), Ordering::Release);
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Up to `most` of them, for delivery. They stay until [`Pending::delivered`].
    pub(super) fn some(&self, most: usize) -> Vec<(Tag, Stamp)> {
        lock(&self.tags).iter().take(most).map(|(tag, number)| (*tag, *number)).collect()
    }

    /// Forgets what was delivered, unless it was invalidated once more meanwhile.
    pub(super) fn delivered(&self, tags: &[(Tag, Stamp)]) {
        let mut held = lock(&self.tags);
        for (tag, number) in tags {
            if held.get(tag).is_some_and(|held| held <= number) {
                held.remove(tag);
            }
        }
        self.count.store(held.len(), Ordering::Release);
    }

    /// Whether the entry is invalidated by one of them, whatever its stamp.
    pub(super) fn covers(&self, entry: &Entry) -> bool {
        if self.len() == 0 {
            return false;
        }
        let held = lock(&self.tags);
        held.contains_key(&Tag::everything()) || entry.tags.iter().any(|tag| held.contains_key(tag))
    }
}
