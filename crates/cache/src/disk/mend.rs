//! What must be put right in the engine's files before it opens them.
//!
//! foyer 0.22.6 does three things after a restart that we cannot live with, each mended here from outside.
//! This file therefore knows the form of its files, and its version is pinned in `Cargo.toml`.
//!
//! * It resumes its tombstone log at the wrong page: the offset of the newest record is taken within its page,
//!   so that writing goes on in page 0 whichever page the newest is in, over records that still count
//!   (`tombstone.rs`, `TombstoneLog::open`). Entries that were removed then come back after the *next* restart.
//!   We turn the ring so that the newest record is the first one of page 0 and the others end the log.
//! * It starts to clear a block only when it takes a clean one or fills one. Killed while it had none, it waits
//!   for one for ever (`manager.rs`, `get_clean_block`). We leave it one.
//! * It evicts blocks in random order, as it does not know which are old (`manager.rs`, `init`). We find out.
//!
//! The log is also written in full: removing must not fail where the disk is full.

use super::folder::Geometry;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What the engine aligns everything to.
const PAGE: usize = 4096;
/// A tombstone: the hash of its key and its sequence number, both big-endian.
const TOMBSTONE_BYTES: usize = 16;
/// In a block's first page: a checksum, a count of entries, and of the first entry the hash.
const FIRST_SEQUENCE_AT: usize = 8 + 4 + 8;
/// No engine has counted this far: a tombstone beyond it is damage, and would end all counting.
const SEQUENCE_MAX: u64 = 1 << 56;

/// When each block was begun, by its number; blocks that are clean are missing.
pub(super) type Ages = HashMap<u32, u64>;

/// Mends the files in `data` before the engine opens them.
pub(super) fn mend(data: &Path, geometry: Geometry) -> io::Result<Ages> {
    let log_bytes = log_bytes(geometry);
    mend_log(&file(data, 0), log_bytes)?;
    let blocks = (geometry.capacity - log_bytes as u64) / geometry.block;
    let mut ages = Ages::new();
    for block in 0..blocks as u32 {
        if let Some(age) = age(&file(data, block + 1))? {
            ages.insert(block, age);
        }
    }
    if ages.len() as u64 == blocks
        && let Some((&oldest, _)) = ages.iter().min_by_key(|(_, age)| **age)
    {
        File::options().write(true).open(file(data, oldest + 1))?.write_all_at(&[0; PAGE], 0)?;
        ages.remove(&oldest);
    }
    Ok(ages)
}

/// The engine's file of a number: 0 is the tombstone log, the blocks follow.
fn file(data: &Path, number: u32) -> PathBuf {
    data.join(format!("foyer-storage-direct-fs-{number:08}"))
}

/// What the engine reserves for its tombstones: one for each page of the data.
fn log_bytes(geometry: Geometry) -> usize {
    let pages = geometry.capacity as usize / PAGE;
    pages.div_ceil(PAGE / TOMBSTONE_BYTES) * PAGE
}

/// The sequence number that a block begins with, if it is not clean.
fn age(block: &Path) -> io::Result<Option<u64>> {
    let mut page = [0; PAGE];
    match File::open(block).and_then(|file| file.read_exact_at(&mut page, 0)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => Ok(None),
        Err(error) => Err(error),
        Ok(()) if page.iter().all(|byte| *byte == 0) => Ok(None),
        Ok(()) => Ok(Some(number(&page[FIRST_SEQUENCE_AT..]))),
    }
}

/// Turns the ring of tombstones so that the engine resumes where it should.
fn mend_log(path: &Path, log_bytes: usize) -> io::Result<()> {
    let found = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        found => found?,
    };
    let mut newest: HashMap<u64, u64> = HashMap::new();
    for record in found.chunks_exact(TOMBSTONE_BYTES) {
        let (hash, sequence) = (number(record), number(&record[8..]));
        if (1..SEQUENCE_MAX).contains(&sequence) {
            let known = newest.entry(hash).or_default();
            *known = sequence.max(*known);
        }
    }
    let mut records: Vec<(u64, u64)> = newest.into_iter().map(|(hash, sequence)| (sequence, hash)).collect();
    records.sort_unstable();

    let mut log = vec![0; log_bytes];
    let last = records.pop();
    let slots = last.map(|last| (0, last)).into_iter();
    let tail = (log_bytes / TOMBSTONE_BYTES).saturating_sub(records.len());
    for (slot, (sequence, hash)) in slots.chain((tail..).zip(records)) {
        let at = slot * TOMBSTONE_BYTES;
        if let Some(record) = log.get_mut(at..at + TOMBSTONE_BYTES) {
            record[..8].copy_from_slice(&hash.to_be_bytes());
            record[8..].copy_from_slice(&sequence.to_be_bytes());
        }
    }
    // Renamed into place: the records must outlive a kill at any moment.
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, &log)?;
    std::fs::rename(&temporary, path)
}

/// The big-endian number that `bytes` begin with.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn geometry() -> Geometry {
        Geometry { asked: 17 << 20, capacity: 17 << 20, block: 1 << 20 }
    }

    fn block(begins: u64) -> Vec<u8> {
        let mut page = vec![7; PAGE];
        page[FIRST_SEQUENCE_AT..FIRST_SEQUENCE_AT + 8].copy_from_slice(&begins.to_be_bytes());
        page
    }

    #[test]
    fn one_block_is_left_clean_and_it_is_the_oldest() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(mend(data.path(), geometry()).unwrap(), Ages::new());
        for number in 0..16 {
            std::fs::write(file(data.path(), number + 1), block(u64::from((number + 11) % 16) + 1)).unwrap();
        }
        let ages = mend(data.path(), geometry()).unwrap();
        assert_eq!(ages.len(), 15);
        assert!(!ages.contains_key(&5), "{ages:?}");
        assert_eq!(mend(data.path(), geometry()).unwrap(), ages, "one is enough");
    }

    #[test]
    fn the_newest_tombstone_comes_first_and_the_others_end_the_log() {
        let data = tempfile::tempdir().unwrap();
        let path = file(data.path(), 0);
        let slots = log_bytes(geometry()) / TOMBSTONE_BYTES;
        let mut log = vec![0; slots * TOMBSTONE_BYTES];
        let records = [(900, 1, 10), (901, 2, 11), (902, 1, 12), (903, 3, SEQUENCE_MAX), (904, 4, 9)];
        for (slot, hash, sequence) in records {
            log[slot * 16..][..8].copy_from_slice(&u64::to_be_bytes(hash));
            log[slot * 16 + 8..][..8].copy_from_slice(&u64::to_be_bytes(sequence));
        }
        std::fs::write(&path, log).unwrap();
        for _ in 0..2 {
            mend(data.path(), geometry()).unwrap();
            let log = std::fs::read(&path).unwrap();
            assert_eq!(log.len(), slots * TOMBSTONE_BYTES);
            let found: Vec<_> = (0..slots)
                .map(|slot| (slot, number(&log[slot * 16..]), number(&log[slot * 16 + 8..])))
                .filter(|(_, _, sequence)| *sequence != 0)
                .collect();
            assert_eq!(found, [(0, 1, 12), (slots - 2, 4, 9), (slots - 1, 2, 11)]);
        }
    }
}
