//! Which entries are worth having in memory after a restart: those whose hits saved most.
//!
//! A bounded table of keys with their hits and what one answer costs, kept in a file of its own, as the engine
//! counts neither. Hits halve every day, so that what was popular once gives way. Where the table is full the
//! less valuable half of a shard goes.

use crate::clock::Millis;
use crate::key::Key;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const NAME: &str = "ledger";
const MAGIC: &[u8; 8] = b"TGl\x01\0\0\0\0";
const RECORD_BYTES: usize = 32 + 4 + 4;
const CHECKSUM_BYTES: usize = 16;
/// Workers count at the same time.
const SHARDS: usize = 16;
/// How often hits halve, in milliseconds.
const HALVED_EVERY_MS: u64 = 24 * 3600 * 1000;

/// Keys by what their hits have saved.
#[derive(Debug)]
pub struct Ledger {
    shards: Box<[Mutex<Shard>]>,
    /// Most keys of a shard.
    shard_max: usize,
    /// When hits were last halved, in milliseconds since 1970.
    halved_at: AtomicU64,
}

type Shard = HashMap<Key, Row, FixedState>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Row {
    hits: u32,
    cost: u32,
}

impl Row {
    /// What its hits saved. What was put and never hit still ranks by its cost.
    fn score(self) -> u64 {
        (u64::from(self.hits) + 1) * u64::from(self.cost)
    }
}

impl Ledger {
    /// An empty ledger of up to about `keys_max` keys.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let halved_at = AtomicU64::new(Millis::now().0);
        Self { shards, shard_max: keys_max.div_ceil(SHARDS).max(2), halved_at }
    }

    /// Counts a hit on an answer that costs `cost`, in a unit of the caller's own.
    pub fn note_hit(&self, key: &Key, cost: u32) {
        self.note(key, cost, 1);
    }

    /// Takes down that an answer that costs `cost` is there.
    pub fn note_put(&self, key: &Key, cost: u32) {
        self.note(key, cost, 0);
    }

    /// Strikes a key out.
    pub fn forget(&self, key: &Key) {
        self.shard(key).remove(key);
    }

    /// The `count` keys whose hits saved most, the first most.
    #[must_use]
    pub fn top(&self, count: usize) -> Vec<Key> {
        let mut rows = self.rows();
        rows.sort_unstable_by_key(|(key, row)| (std::cmp::Reverse(row.score()), *key));
        rows.into_iter().take(count).map(|(key, _)| key).collect()
    }

    /// Keys in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether no key is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in what was written in `folder`, where it is whole. Blocks.
    pub(super) fn load(&self, folder: &Path) {
        let Some((halved_at, rows)) = std::fs::read(folder.join(NAME)).ok().and_then(|bytes| parse(&bytes))
        else {
            return;
        };
        self.halved_at.store(halved_at, Ordering::Relaxed);
        for (key, row) in rows {
            let mut shard = self.shard(&key);
            let known = shard.entry(key).or_default();
            known.hits = known.hits.saturating_add(row.hits);
            known.cost = known.cost.max(row.cost);
            self.prune(&mut shard);
        }
    }

    /// Writes it in `folder`, after halving its hits where a day is over. Blocks.
    pub(super) fn save(&self, folder: &Path, now: Millis) -> io::Result<()> {
        self.age(now);
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.halved_at.load(Ordering::Relaxed).to_le_bytes());
        for (key, row) in self.rows() {
            bytes.extend(key.as_bytes());
            bytes.extend(row.hits.to_le_bytes());
            bytes.extend(row.cost.to_le_bytes());
        }
        let checksum = blake3::hash(&bytes);
        bytes.extend(&checksum.as_bytes()[..CHECKSUM_BYTES]);
        super::folder::replace(folder, NAME, &bytes)
    }

    fn age(&self, now: Millis) {
        let halved_at = self.halved_at.load(Ordering::Relaxed);
        let days = now.0.saturating_sub(halved_at) / HALVED_EVERY_MS;
        if days == 0 {
            return;
        }
        self.halved_at.store(halved_at + days * HALVED_EVERY_MS, Ordering::Relaxed);
        for shard in &self.shards {
            // What had no hit since the last time is not worth its place.
            lock(shard).retain(|_, row| {
                let had_hits = row.hits > 0;
                row.hits = row.hits.checked_shr(days.min(31) as u32).unwrap_or(0);
                had_hits
            });
        }
    }

    fn note(&self, key: &Key, cost: u32, hits: u32) {
        let mut shard = self.shard(key);
        let row = shard.entry(*key).or_default();
        row.hits = row.hits.saturating_add(hits);
        row.cost = cost;
        self.prune(&mut shard);
    }

    fn prune(&self, shard: &mut Shard) {
        if shard.len() <= self.shard_max {
            return;
        }
        let mut scores: Vec<(u64, Key)> = shard.iter().map(|(key, row)| (row.score(), *key)).collect();
        let middle = scores.len() / 2;
        let (_, median, _) = scores.select_nth_unstable(middle);
        let median = *median;
        shard.retain(|key, row| (row.score(), *key) >= median);
    }

    fn rows(&self) -> Vec<(Key, Row)> {
        let mut rows = Vec::new();
        for shard in &self.shards {
            rows.extend(lock(shard).iter().map(|(key, row)| (*key, *row)));
        }
        rows
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(key.as_bytes()[31]) % SHARDS])
    }
}

fn parse(bytes: &[u8]) -> Option<(u64, Vec<(Key, Row)>)> {
    let (bytes, found) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if *found != blake3::hash(bytes).as_bytes()[..CHECKSUM_BYTES] {
        return None;
    }
    let (halved_at, rows) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    let row = |row: &[u8]| {
        let (key, row) = row.split_first_chunk::<32>()?;
        let (hits, row) = row.split_first_chunk::<4>()?;
        let cost = row.first_chunk::<4>()?;
        let row = Row { hits: u32::from_le_bytes(*hits), cost: u32::from_le_bytes(*cost) };
        Some((Key::from_bytes(*key), row))
    };
    Some((u64::from_le_bytes(*halved_at), rows.chunks_exact(RECORD_BYTES).filter_map(row).collect()))
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::tier::conformance::key;

    #[test]
    fn the_top_is_by_hits_times_cost() {
        let ledger = Ledger::new(100);
        for (number, hits, cost) in [(1, 10, 1), (2, 1, 100), (3, 0, 5), (4, 3, 10)] {
            ledger.note_put(&key(number), cost);
            (0..hits).for_each(|_| ledger.note_hit(&key(number), cost));
        }
        assert_eq!(ledger.top(9), [2, 4, 1, 3].map(key));
        assert_eq!(ledger.top(2), [2, 4].map(key));
        ledger.forget(&key(2));
        assert_eq!(ledger.top(1), [key(4)]);
    }

    #[test]
    fn a_full_table_keeps_the_more_valuable() {
        let ledger = Ledger::new(160);
        for number in 0..10_000 {
            ledger.note_put(&key(number), 1);
            if number % 500 == 0 {
                (0..50).for_each(|_| ledger.note_hit(&key(number), 1));
            }
        }
        assert!(ledger.len() <= 160, "{}", ledger.len());
        let mut top = ledger.top(20);
        top.sort_unstable();
        let mut expected: Vec<Key> = (0..20).map(|number| key(number * 500)).collect();
        expected.sort_unstable();
        assert_eq!(top, expected);
    }

    #[test]
    fn it_is_found_again_after_a_restart_unless_a_byte_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(100);
        (1..=5).for_each(|number| ledger.note_hit(&key(number), number as u32));
        ledger.save(folder.path(), Millis::now()).unwrap();
        let again = Ledger::new(100);
        again.load(folder.path());
        assert_eq!(again.top(9), ledger.top(9));

        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for torn in [whole[..at].to_vec(), [&whole[..at], &[whole[at] ^ 4], &whole[at + 1..]].concat()] {
                std::fs::write(&path, torn).unwrap();
                let again = Ledger::new(100);
                again.load(folder.path());
                assert!(again.is_empty(), "{at}");
            }
        }
    }

    #[test]
    fn hits_halve_every_day() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(100);
        (0..8).for_each(|_| ledger.note_hit(&key(1), 10));
        (0..3).for_each(|_| ledger.note_hit(&key(2), 20));
        ledger.note_put(&key(3), 1000);
        assert_eq!(ledger.top(9), [3, 1, 2].map(key));
        let begin = Millis(ledger.halved_at.load(Ordering::Relaxed));
        ledger.save(folder.path(), Millis(begin.0 + HALVED_EVERY_MS - 1)).unwrap();
        assert_eq!(ledger.len(), 3, "the day is not over");
        ledger.save(folder.path(), Millis(begin.0 + 2 * HALVED_EVERY_MS)).unwrap();
        // 8 hits became 2, 3 became none; what was never hit has gone.
        assert_eq!(ledger.top(9), [1, 2].map(key));
    }
}
