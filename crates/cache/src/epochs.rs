//! Invalidation in constant time, whatever is being filled meanwhile.
//!
//! Nothing is searched and nothing deleted. Every invalidation gets a number, larger than all before, and is
//! remembered under its tags. Every entry carries a [`Stamp`]: the last number given **before its making
//! began**. It is valid while none of its tags was invalidated after its stamp. So an invalidation that falls
//! between the beginning of a fill and its end reaches the entry that is not stored yet, and no order of the
//! two lets a stale value be served once the invalidation has returned.
//!
//! Numbers are microseconds since 1970, made strictly increasing: they go on growing over restarts and
//! replicas without being stored anywhere first. The table is bounded: where it is full the older half is
//! folded into a floor, and whatever is stamped before the floor counts as invalidated.
//!
//! With replicas, others' invalidations are applied here as they are heard. Between two signs of life from
//! where they are heard ([`Epochs::heard`]), an entry is trusted for a bounded time only.

#[cfg(test)]
mod tests;

use crate::clock::Millis;
use crate::entry::Entry;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// Most tags remembered as invalidated.
pub const TAGS_REMEMBERED_MAX: usize = 100_000;

/// The number of an invalidation, or the last one that was known at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

/// What an entry can be invalidated by: 64 bits of a hash of a name. Two names that share them are
/// invalidated together, which costs a miss and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

impl Tag {
    /// Everything of one cache. No entry needs to carry it.
    #[must_use]
    pub const fn everything() -> Self {
        Self(0)
    }

    /// The one entry under a key.
    #[must_use]
    pub fn key(key: &crate::key::Key) -> Self {
        Self::of("key", &[key.as_bytes()])
    }

    /// A name that a tenant gave.
    #[must_use]
    pub fn named(tenant: &str, name: &str) -> Self {
        Self::of("tag", &[tenant.as_bytes(), name.as_bytes()])
    }

    /// Something that entries are made from.
    #[must_use]
    pub fn dependency(tenant: &str, name: &str) -> Self {
        Self::of("dependency", &[tenant.as_bytes(), name.as_bytes()])
    }

    /// A path of which every whole segment is a prefix: see [`Tag::prefixes`].
    #[must_use]
    pub fn prefix(segments: &[&str]) -> Self {
        let segments: Vec<&[u8]> = segments.iter().map(|segment| segment.as_bytes()).collect();
        Self::of("prefix", &segments)
    }

    /// All tags that an entry under this path carries: one a leading segment, the whole path last. The
    /// entry is then invalidated by any of its prefixes.
    pub fn prefixes<'a>(segments: &'a [&'a str]) -> impl Iterator<Item = Self> + 'a {
        (1..=segments.len()).filter_map(|count| segments.get(..count).map(Self::prefix))
    }

    fn of(kind: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in std::iter::once(kind.as_bytes()).chain(parts.iter().copied()) {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(u64::from_le_bytes(first).max(1))
    }
}

/// What has been invalidated, and when.
#[derive(Debug, Default)]
pub struct Epochs {
    /// The last number given or heard of; grows only under the lock, after the table.
    latest: AtomicU64,
    table: RwLock<Table>,
    /// When others' invalidations were last known to be known here, in milliseconds since 1970; 0 where
    /// there are no others.
    heard: AtomicU64,
    /// How long what is here is trusted beyond that, in milliseconds.
    trust_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    tags: HashMap<Tag, u64, FixedState>,
    /// Whatever is stamped before this is invalid.
    floor: u64,
}

impl Epochs {
    /// What an entry whose making begins now is stamped with.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp(self.latest.load(Ordering::Acquire))
    }

    /// Invalidates everything that carries one of `tags` and was begun before this was called: once it has
    /// returned, none of that is valid. Gives the invalidation's number.
    pub fn invalidate(&self, tags: &[Tag]) -> Stamp {
        self.record(clock_us(), tags)
    }

    /// Takes in an invalidation that was made elsewhere, under the number it got there. A number that is
    /// not news is given a new one: too much is invalidated rather than too little.
    pub fn apply(&self, number: Stamp, tags: &[Tag]) -> Stamp {
        self.record(number.0, tags)
    }

    fn record(&self, number: u64, tags: &[Tag]) -> Stamp {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let number = number.max(self.latest.load(Ordering::Relaxed) + 1);
        for tag in tags {
            table.note(*tag, number);
        }
        self.latest.store(number, Ordering::Release);
        Stamp(number)
    }

    /// Raises the last number known, so that numbers given here come after `number`.
    pub fn advance(&self, number: Stamp) {
        let _table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        self.latest.fetch_max(number.0, Ordering::AcqRel);
    }

    /// Invalidates whatever is stamped before `floor`.
    pub fn raise_floor(&self, floor: Stamp) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.floor = table.floor.max(floor.0);
        self.latest.fetch_max(floor.0, Ordering::AcqRel);
    }

    /// Whether none of the entry's tags was invalidated since its making began.
    #[must_use]
    pub fn is_valid(&self, entry: &Entry) -> bool {
        // Nothing at all was invalidated since: by far the most common case, and no lock.
        if entry.stamp.0 >= self.latest.load(Ordering::Acquire) {
            return true;
        }
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let after = |tag: &Tag| table.tags.get(tag).is_some_and(|number| *number > entry.stamp.0);
        entry.stamp.0 >= table.floor && !entry.tags.iter().any(after)
    }

    /// From now on others invalidate too: what is here is trusted for `trust` beyond the last time that
    /// [`Epochs::heard`] was called, or beyond its own making.
    pub fn listen(&self, trust: Duration) {
        self.trust_ms.store(trust.as_millis() as u64, Ordering::Relaxed);
        self.heard.store(Millis::now().0, Ordering::Release);
    }

    /// Everything that others had invalidated by `when` is known here.
    pub fn heard(&self, when: Millis) {
        self.heard.fetch_max(when.0, Ordering::AcqRel);
    }

    /// Whether the entry may be served although others' invalidations may not have been heard of for a
    /// while.
    #[must_use]
    pub fn is_trusted(&self, entry: &Entry, now: Millis) -> bool {
        let heard = self.heard.load(Ordering::Acquire);
        heard == 0
            || now.0 < heard.max(entry.stored_at.0).saturating_add(self.trust_ms.load(Ordering::Relaxed))
    }

    /// The table and its floor, to be kept or handed on.
    #[must_use]
    pub fn export(&self) -> (Stamp, Vec<(Tag, Stamp)>) {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        (Stamp(table.floor), table.tags.iter().map(|(tag, number)| (*tag, Stamp(*number))).collect())
    }

    /// Takes in what [`Epochs::export`] gave elsewhere or earlier, under its own numbers. Where a tag is
    /// known already the later number counts.
    pub fn import(&self, floor: Stamp, tags: impl IntoIterator<Item = (Tag, Stamp)>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.floor = table.floor.max(floor.0);
        let mut latest = floor.0;
        for (tag, number) in tags {
            latest = latest.max(number.0);
            table.note(tag, number.0);
        }
        self.latest.fetch_max(latest, Ordering::AcqRel);
    }
}

impl Table {
    /// Remembers that `tag` was invalidated under `number`, or later if that is known already. Everything
    /// makes the floor, and all that was invalidated before it is in it.
    fn note(&mut self, tag: Tag, number: u64) {
        if tag == Tag::everything() {
            self.floor = self.floor.max(number);
            let floor = self.floor;
            self.tags.retain(|_, number| *number > floor);
            return;
        }
        let known = self.tags.entry(tag).or_default();
        *known = number.max(*known);
        if self.tags.len() > TAGS_REMEMBERED_MAX {
            self.fold();
        }
    }

    /// Forgets the older half, and with it whether entries from before were meant.
    fn fold(&mut self) {
        let mut numbers: Vec<u64> = self.tags.values().copied().collect();
        let middle = numbers.len() / 2;
        let (_, median, _) = numbers.select_nth_unstable(middle);
        self.floor = self.floor.max(*median);
        let floor = self.floor;
        self.tags.retain(|_, number| *number > floor);
    }
}

fn clock_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u64
}
