#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::entry::Lifetime;
use crate::tier::conformance::{self, Keeps, entry, key};
use bytes::Bytes;
use std::ops::Deref;
use std::path::Path;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// Small, and patient: whether a machine is quick enough is not tested here.
fn options(path: &Path) -> Options {
    let (read_max, rest) = (Duration::from_secs(30), Duration::from_millis(20));
    Options { bytes: 24 * MIB, read_max, rest, ..Options::new(path) }
}

async fn open(folder: &TempDir) -> Guarded {
    Guarded(Disk::open(options(folder.path()), Arc::default()).await.unwrap())
}

/// A tier that is closed when it is dropped: the thread of one that is merely dropped writes for a moment yet, into a
/// folder that is being removed.
struct Guarded(Disk);

impl Deref for Guarded {
    type Target = Disk;

    fn deref(&self) -> &Disk {
        &self.0
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let close = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(self.close());
        };
        // On a thread that is in no runtime.
        std::thread::scope(|scope| drop(scope.spawn(close).join()));
    }
}

async fn text(disk: &Disk, number: u64) -> Option<String> {
    let found = disk.get(&key(number), Millis::now()).await.unwrap()?;
    Some(String::from_utf8(found.body.to_plain().unwrap().to_vec()).unwrap())
}

async fn put(disk: &Disk, number: u64, body: impl Into<Bytes>) {
    disk.put(&key(number), &entry(body)).await.unwrap();
}

/// Bytes that do not compress, and follow from a number.
fn noise(number: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(number).fill(&mut bytes);
    bytes.into()
}

/// A tier whose every write has reached the engine before anything is read.
struct Written(Guarded);

impl Tier for Written {
    fn name(&self) -> TierName {
        self.0.name()
    }

    async fn get(&self, key: &Key, now: Millis) -> Result<Option<Arc<Entry>>, Error> {
        self.0.get(key, now).await
    }

    async fn put(&self, key: &Key, entry: &Arc<Entry>) -> Result<(), Error> {
        self.0.put(key, entry).await?;
        self.0.flush().await
    }

    async fn remove(&self, key: &Key) -> Result<(), Error> {
        self.0.remove(key).await
    }

    async fn clear_expired(&self, now: Millis) -> Result<u64, Error> {
        self.0.clear_expired(now).await
    }
}

#[tokio::test]
async fn keeps_the_contract_while_writes_are_on_their_way() {
    let folder = tempfile::tempdir().unwrap();
    conformance::run(&*open(&folder).await, Keeps::Entries).await;
}

#[tokio::test]
async fn keeps_the_contract_once_writes_are_done() {
    let folder = tempfile::tempdir().unwrap();
    conformance::run(&Written(open(&folder).await), Keeps::Entries).await;
}

#[tokio::test]
async fn entries_are_there_after_a_restart_the_last_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(&folder).await;
    for round in 0..3 {
        for number in 0..50 {
            put(&disk, number, format!("{number} in round {round}")).await;
        }
        disk.flush().await.unwrap();
    }
    disk.close().await;
    for _ in 0..3 {
        let disk = open(&folder).await;
        for number in 0..50 {
            assert_eq!(text(&disk, number).await.unwrap(), format!("{number} in round 2"));
        }
        disk.close().await;
    }
}

/// The engine alone writes over its first tombstones after a restart, so that what they removed is back
/// after the next.
#[tokio::test]
async fn what_was_removed_stays_removed_over_many_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(&folder).await;
    for number in 0..1000 {
        put(&disk, number, "x").await;
    }
    disk.flush().await.unwrap();
    for number in 0..600 {
        disk.remove(&key(number)).await.unwrap();
    }
    disk.close().await;
    for round in 0..4 {
        let disk = open(&folder).await;
        for number in 0..1000 {
            let there = number >= 600 + 50 * round;
            assert_eq!(text(&disk, number).await.is_some(), there, "{number} in round {round}");
        }
        for number in 600 + 50 * round..650 + 50 * round {
            disk.remove(&key(number)).await.unwrap();
        }
        disk.close().await;
    }
}

#[tokio::test]
async fn nothing_is_served_beyond_its_own_life_or_the_tiers() {
    let folder = tempfile::tempdir().unwrap();
    let long = Lifetime { fresh: Duration::from_secs(1 << 30), stale: Duration::ZERO };
    let long = Arc::new(Entry::new("x".into(), Bytes::new(), long, Stamp(1), &[]));
    let disk = open(&folder).await;
    put(&disk, 1, "short").await;
    put(&disk, 3, "short").await;
    disk.put(&key(2), &long).await.unwrap();
    disk.close().await;

    let disk = open(&folder).await;
    let now = Millis::now();
    let minutes = now.after(Duration::from_secs(180));
    assert!(disk.get(&key(1), minutes).await.unwrap().is_none());
    assert!(disk.get(&key(2), minutes).await.unwrap().is_some());
    disk.flush().await.unwrap();
    assert!(disk.shared.holds_nothing(&key(1)), "what is found expired goes");
    assert!(!disk.shared.holds_nothing(&key(3)));
    let a_day_and_more = now.after(Duration::from_secs(25 * 3600));
    assert!(disk.get(&key(2), a_day_and_more).await.unwrap().is_none());
}

#[tokio::test]
async fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(&folder).await;
    let second = Disk::open(options(folder.path()), Arc::default()).await;
    assert!(matches!(second, Err(OpenError::Owned)));
    put(&disk, 1, "still whole").await;
    disk.close().await;
    let disk = open(&folder).await;
    assert_eq!(text(&disk, 1).await.unwrap(), "still whole");
}

#[tokio::test]
async fn a_closed_tier_holds_no_file_open() {
    let folder = tempfile::tempdir().unwrap();
    let held = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        targets.filter(|target| target.starts_with(folder.path())).count()
    };
    let disk = open(&folder).await;
    put(&disk, 1, "x").await;
    assert!(held() > 16);
    disk.close().await;
    assert_eq!(held(), 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inner");
    std::fs::write(&path, "a file where a folder should be").unwrap();
    let refused = Disk::open(options(&path), Arc::default()).await;
    assert!(matches!(refused, Err(OpenError::Refused(_))));

    let (disk, hindrance) = Disk::start(options(&path), Arc::default()).await.unwrap();
    let disk = Guarded(disk);
    assert!(matches!(hindrance, Some(OpenError::Refused(_))));
    assert_eq!(disk.get(&key(1), Millis::now()).await, Err(Error::Tripped));
    assert_eq!(disk.put(&key(1), &entry("x")).await, Err(Error::Tripped));
    assert_eq!(disk.remove(&key(1)).await, Err(Error::Tripped));
    assert_eq!(disk.invalidated(Stamp(1), &[Tag(1)]).await, Err(Error::Tripped));
    assert!(disk.counts().outages > 0);
    std::fs::remove_file(&path).unwrap();
    while disk.state() != State::Open {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    put(&disk, 2, "y").await;
    disk.flush().await.unwrap();
    assert_eq!(text(&disk, 2).await.unwrap(), "y");
}

#[tokio::test]
async fn a_disk_that_answers_too_late_is_not_asked_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let rest = Duration::from_secs(3600);
    let impatient = Options { read_max: Duration::from_millis(1), rest, ..options(folder.path()) };
    let disk = Guarded(Disk::open(impatient, Arc::default()).await.unwrap());
    put(&disk, 1, "x").await;
    disk.flush().await.unwrap();
    // The one thread that reads is kept busy, as by a disk that hangs.
    let (hang, hung) = std::sync::mpsc::sync_channel::<()>(0);
    disk.shared.reader().unwrap().runtime.spawn_blocking(move || hung.recv());
    for _ in 0..8 {
        assert_eq!(disk.get(&key(1), Millis::now()).await, Err(Error::Timeout));
    }
    assert_eq!(disk.get(&key(1), Millis::now()).await, Err(Error::Tripped));
    assert_eq!(disk.get(&key(2), Millis::now()).await, Ok(None), "what is not there needs no disk");
    assert_eq!((disk.counts().late, disk.counts().outages), (8, 1));
    drop(hang);
    put(&disk, 1, "y").await;
    disk.flush().await.unwrap();
}

#[tokio::test]
async fn a_closed_tier_errs_and_keeps_what_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(&folder).await;
    put(&disk, 1, "x").await;
    disk.close().await;
    assert_eq!(disk.state(), State::Closed);
    assert!(matches!(disk.get(&key(1), Millis::now()).await, Err(Error::Unavailable(_))));
    assert!(disk.put(&key(1), &entry("y")).await.is_err());
    assert!(disk.remove(&key(1)).await.is_err());
    assert!(disk.flush().await.is_err());
    assert!(disk.invalidated(Stamp(1), &[Tag(1)]).await.is_err());
    disk.close().await;
    assert_eq!(text(&*open(&folder).await, 1).await.unwrap(), "x");
}

#[tokio::test]
async fn too_large_an_entry_is_not_kept_nor_what_it_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Written(open(&folder).await);
    disk.put(&key(1), &entry("small")).await.unwrap();
    disk.put(&key(1), &entry(noise(1, MIB as usize))).await.unwrap();
    assert_eq!(disk.0.counts().given_up, 1);
    assert_eq!(text(&disk.0, 1).await, None);
    // Large, and small once it is compressed.
    disk.put(&key(1), &entry(vec![7; 5 * MIB as usize])).await.unwrap();
    assert_eq!(disk.get(&key(1), Millis::now()).await.unwrap().unwrap().body.plain_len(), 5 * MIB as usize);
}

#[tokio::test]
async fn what_is_full_evicts_the_oldest_over_restarts_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..5 {
        let disk = open(&folder).await;
        for _ in 0..40 {
            last += 1;
            put(&disk, last, noise(last, 300_000)).await;
            disk.flush().await.unwrap();
        }
        let mut kept = Vec::new();
        for number in 1..=last {
            if let Some(found) = disk.get(&key(number), Millis::now()).await.unwrap() {
                assert_eq!(found.body.to_plain().unwrap(), noise(number, 300_000));
                kept.push(number);
            }
        }
        let expected: Vec<u64> = (last + 1 - kept.len() as u64..=last).collect();
        assert_eq!(kept, expected, "the newest, without a gap");
        assert!(kept.len() >= 39, "{}", kept.len());
        assert_eq!(disk.counts().torn, 0);
        disk.close().await;
    }
    let taken = std::fs::read_dir(folder.path().join("data")).unwrap();
    let taken: u64 = taken.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(taken <= 24 * MIB, "{taken}");
}

#[test]
fn any_runtime_may_ask_and_leave() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let disk = runtime().block_on(open(&folder));
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let disk = &disk;
            scope.spawn(move || {
                runtime().block_on(async {
                    for number in (0..100).map(|number| worker * 1000 + number) {
                        put(disk, number, number.to_string()).await;
                        if number % 3 == 0 {
                            disk.flush().await.unwrap();
                        }
                        let left = [Duration::ZERO, Duration::from_micros(50)][number as usize % 2];
                        let _ = tokio::time::timeout(left, disk.get(&key(number), Millis::now())).await;
                        assert_eq!(text(disk, number).await.unwrap(), number.to_string());
                    }
                    let _ = tokio::time::timeout(Duration::ZERO, disk.remove(&key(worker * 1000))).await;
                    disk.flush().await.unwrap();
                    assert_eq!(text(disk, worker * 1000 + 1).await.unwrap(), (worker * 1000 + 1).to_string());
                });
            });
        }
    });
    runtime().block_on(disk.close());
}

#[tokio::test]
async fn what_was_invalidated_stays_so_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let epochs = Arc::new(Epochs::default());
    let disk = Guarded(Disk::open(options(folder.path()), Arc::clone(&epochs)).await.unwrap());
    let made = entry("x");
    disk.put(&key(1), &made).await.unwrap();
    let number = epochs.invalidate(&[Tag(1)]);
    disk.invalidated(number, &[Tag(1)]).await.unwrap();
    disk.close().await;

    let epochs = Arc::new(Epochs::default());
    let disk = Guarded(Disk::open(options(folder.path()), Arc::clone(&epochs)).await.unwrap());
    let found = disk.get(&key(1), Millis::now()).await.unwrap().unwrap();
    assert!(!epochs.is_valid(&found));
    assert!(epochs.invalidate(&[]) > number);
    disk.close().await;

    std::fs::remove_file(folder.path().join("epochs.log")).unwrap();
    let epochs = Arc::new(Epochs::default());
    let _disk = Guarded(Disk::open(options(folder.path()), Arc::clone(&epochs)).await.unwrap());
    assert!(!epochs.is_valid(&found), "where nobody knows, everything is invalid");
}

#[tokio::test]
async fn what_is_worth_most_is_read_back_first() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(&folder).await;
    for number in 0..20 {
        put(&disk, number, number.to_string()).await;
        disk.ledger().note_put(&key(number), number as u32 + 1);
    }
    disk.ledger().note_hit(&key(3), 1000);
    disk.remove(&key(19)).await.unwrap();
    disk.ledger().note_hit(&key(99), 1);
    disk.close().await;

    let disk = open(&folder).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let mut kept = Vec::new();
    let warming = Warming { entries: 5, per_second: 10_000 };
    let warmed = disk.warm(warming, &stop, |key, _, _| kept.push(*key)).await;
    assert_eq!(kept, [3, 18, 17, 16, 15].map(key));
    assert_eq!((warmed.planned, warmed.found, warmed.missing), (5, 5, 0));
    let all = Warming { entries: 100, per_second: 10_000 };
    let warmed = disk
        .warm(all, &stop, |_, _, warmed| {
            if warmed.found == 7 {
                stop.cancel();
            }
        })
        .await;
    assert!(warmed.stopped);
    assert_eq!((warmed.planned, warmed.found), (20, 7));
}

#[tokio::test]
async fn another_size_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(&folder).await;
    put(&disk, 1, "x").await;
    disk.close().await;
    let larger = Options { bytes: 40 * MIB, ..options(folder.path()) };
    let disk = Guarded(Disk::open(larger, Arc::default()).await.unwrap());
    assert_eq!(disk.capacity_bytes(), Some(40 * MIB));
    assert_eq!(text(&disk, 1).await, None);
}

/// Cuts, flips and overwrites the engine's files at random: whatever is served is whole.
#[tokio::test]
async fn damaged_files_are_never_served_from() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(&folder).await;
    let length = |number: u64| [10, 900, 5_000, 40_000, 200_000][number as usize % 5];
    for number in 0..60 {
        put(&disk, number, noise(number, length(number))).await;
        if number % 7 == 0 {
            disk.flush().await.unwrap();
        }
    }
    disk.close().await;
    let originals: Vec<_> = std::fs::read_dir(folder.path().join("data"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (std::fs::read(&path).unwrap(), path))
        .filter(|(bytes, _)| bytes.iter().any(|byte| *byte != 0))
        .collect();
    let (mut served, mut torn) = (0, 0);
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        for (bytes, path) in &originals {
            let mut bytes = bytes.clone();
            damage(&mut bytes, &mut random);
            std::fs::write(path, bytes).unwrap();
        }
        let disk = open(&folder).await;
        for number in 0..60 {
            if let Some(found) = disk.get(&key(number), Millis::now()).await.unwrap() {
                assert_eq!(found.body.to_plain().unwrap(), noise(number, length(number)), "seed {seed}");
                served += 1;
            }
        }
        put(&disk, 1000, "goes on").await;
        disk.flush().await.unwrap();
        assert_eq!(text(&disk, 1000).await.unwrap(), "goes on");
        torn += disk.counts().torn;
        disk.close().await;
    }
    assert!(served > 1000, "{served} were served");
    assert!(torn > 50, "{torn} were torn");
}

fn damage(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for _ in 0..random.usize(0..4) {
        match random.u8(0..4) {
            0 => bytes.truncate(random.usize(0..used).max(bytes.len() / 3)),
            1 => {
                let (start, length) = (random.usize(0..used), random.usize(1..9000));
                for byte in bytes.iter_mut().skip(start).take(length) {
                    *byte = random.u8(..);
                }
            }
            _ => {
                let at = random.usize(0..used);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.u8(0..8);
                }
            }
        }
    }
}
