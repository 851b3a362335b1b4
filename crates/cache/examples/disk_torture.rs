//! Kills a process that writes to the disk tier, again and again, and looks at what is left.
//!
//! ```sh
//! cargo run -p tidegate-cache --example disk_torture -- [rounds, 10]
//! ```
//!
//! The program starts itself as a child, which puts, replaces, removes and invalidates as fast as it can and
//! says on its standard output what has been acknowledged. At a random moment it is killed with SIGKILL. Then
//! everything that is served must be whole and have been put under its key; what was acknowledged as removed
//! must be gone, and as invalidated be known.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    reason = "a test in all but name"
)]

use bytes::Bytes;
use cache::clock::Millis;
use cache::disk::{Disk, Options};
use cache::entry::{Entry, Lifetime};
use cache::epochs::{Epochs, Stamp, Tag};
use cache::key::Key;
use cache::tier::Tier;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Keys that are put again and again.
const KEYS: u64 = 400;
/// Keys from here on are put once and then removed.
const REMOVED_FROM: u64 = 1_000_000;

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("child") => child(Path::new(&args.next().unwrap()), args.next().unwrap().parse().unwrap()),
        rounds => torture(rounds.map_or(10, |rounds| rounds.parse().expect("a number of rounds"))),
    }
}

/// The parent's part.
pub fn torture(rounds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let (mut served, mut removed, mut invalidated, mut torn) = (0, 0, 0, 0);
    let mut opened = Duration::ZERO;
    for round in 0..rounds {
        let acknowledged = kill_one(folder.path(), round);
        let began = Instant::now();
        let seen = runtime().block_on(inspect(folder.path(), &acknowledged));
        opened = opened.max(began.elapsed());
        served += seen.0;
        torn += seen.1;
        removed += acknowledged.iter().filter(|line| line.starts_with("removed")).count();
        invalidated += acknowledged.iter().filter(|line| line.starts_with("invalidated")).count();
    }
    println!(
        "disk_torture: {rounds} kills; {served} entries served, all whole; {torn} torn and not served; \
         {removed} removals and {invalidated} invalidations held; slowest look {opened:?}"
    );
    assert!(served > 0, "nothing survived");
}

/// Lets a child write for a moment and kills it; gives what it had acknowledged.
fn kill_one(folder: &Path, round: u64) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", folder.to_str().unwrap(), &round.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let reading = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    let moment = Duration::from_micros(fastrand::u64(1_000..250_000));
    runtime().block_on(async { tokio::time::sleep(moment).await });
    child.kill().unwrap();
    child.wait().unwrap();
    let mut lines = reading.join().unwrap();
    // The last may be torn, as it was written when the kill came.
    lines.retain(|line| line.ends_with('.'));
    lines
}

/// What is left: how many entries are served, and how many were found torn.
async fn inspect(folder: &Path, acknowledged: &[String]) -> (u64, u64) {
    let epochs = Arc::new(Epochs::default());
    let disk = Disk::open(options(folder), Arc::clone(&epochs)).await.unwrap();
    let mut served = 0;
    for number in 0..KEYS {
        let Some(found) = disk.get(&key(number), Millis::now()).await.unwrap() else { continue };
        let version = u64::from_le_bytes(found.info[..].try_into().unwrap());
        assert_eq!(found.body.to_plain().unwrap(), body(number, version), "{number} in version {version}");
        served += 1;
    }
    let (_, tags) = epochs.export();
    for line in acknowledged {
        let mut words = line.trim_end_matches('.').split(' ');
        let (what, number) = (words.next().unwrap(), words.next().unwrap().parse::<u64>().unwrap());
        match what {
            "removed" => {
                let found = disk.get(&key(number), Millis::now()).await.unwrap();
                assert!(found.is_none(), "{number} was removed");
            }
            _ => {
                let found = tags.iter().find(|(tag, _)| tag.0 == number).map(|(_, at)| at.0);
                let at: u64 = words.next().unwrap().parse().unwrap();
                assert!(found.is_some_and(|found| found >= at), "{number} was invalidated");
            }
        }
    }
    let torn = disk.counts().torn;
    disk.close().await;
    (served, torn)
}

/// The child's part: never comes back.
pub fn child(folder: &Path, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    runtime().block_on(async {
        let epochs = Arc::new(Epochs::default());
        let disk = Disk::open(options(folder), Arc::clone(&epochs)).await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "ready").unwrap();
        for step in 0_u64.. {
            let number = random.u64(0..KEYS);
            disk.put(&key(number), &entry(number, seed << 32 | step)).await.unwrap();
            match step % 64 {
                10 => {
                    let number = REMOVED_FROM + (seed << 32) + step;
                    disk.put(&key(number), &entry(number, step)).await.unwrap();
                    disk.flush().await.unwrap();
                    disk.remove(&key(number)).await.unwrap();
                    writeln!(out, "removed {number}.").unwrap();
                }
                40 => {
                    let at = epochs.invalidate(&[Tag(number)]);
                    disk.invalidated(at, &[Tag(number)]).await.unwrap();
                    writeln!(out, "invalidated {number} {}.", at.0).unwrap();
                }
                _ => {}
            }
            if disk.get(&key(random.u64(0..KEYS)), Millis::now()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
}

/// The tier in a folder; small, so that it turns over.
pub fn options(folder: &Path) -> Options {
    let (read_max, rest) = (Duration::from_secs(30), Duration::from_millis(50));
    Options { bytes: 24 << 20, read_max, rest, ..Options::new(folder) }
}

/// A key of a number.
pub fn key(number: u64) -> Key {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Key::from_bytes(bytes)
}

/// What is put under a number in a version.
pub fn entry(number: u64, version: u64) -> Arc<Entry> {
    let lifetime = Lifetime { fresh: Duration::from_secs(3600), stale: Duration::ZERO };
    let info = Bytes::copy_from_slice(&version.to_le_bytes());
    Arc::new(Entry::new(body(number, version), info, lifetime, Stamp(1), &[Tag(number)]))
}

fn body(number: u64, version: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(number << 40 ^ version);
    let mut bytes = vec![0; [20, 700, 4_000, 30_000, 150_000][number as usize % 5] + random.usize(0..2000)];
    random.fill(&mut bytes);
    bytes.into()
}

/// A runtime as a gateway's worker has.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
