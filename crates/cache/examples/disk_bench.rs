//! Figures of the disk tier: writing, reading and opening.
//!
//! ```sh
//! cargo run --release -p tidegate-cache --example disk_bench -- <folder> [MiB, 1024] [bytes of an entry, 16384]
//! ```
//!
//! The folder should be new, and on the disk that is meant. What is read was written just before, so that most
//! of it comes from the system's page cache: the figures are what the tier adds, not what the disk can do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement, not a part of the gateway")]

use bytes::Bytes;
use cache::clock::Millis;
use cache::disk::{Disk, Options};
use cache::entry::{Entry, Lifetime};
use cache::epochs::Stamp;
use cache::key::Key;
use cache::tier::Tier;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().expect("a folder");
    let mut number = |usual: u64| args.next().map_or(usual, |text| text.parse().expect("a number"));
    let (mebibytes, length) = (number(1024), number(16 << 10) as usize);
    let options = Options { read_max: Duration::from_secs(10), ..Options::new(folder) };
    let count = (mebibytes << 20) / (length as u64).next_multiple_of(4096);

    let disk = open(&options).await;
    let mut puts = Vec::new();
    let began = Instant::now();
    for number in 0..count {
        let entry = entry(number, length);
        let one = Instant::now();
        while disk.put(&key(number), &entry).await.is_err() {
            disk.flush().await.unwrap();
        }
        puts.push(one.elapsed());
    }
    disk.flush().await.unwrap();
    let took = began.elapsed();
    println!("written: {count} entries of {length} bytes in {took:.2?}");
    tell("put, until queued", &mut puts);

    let mut puts: Vec<_> = Vec::new();
    for number in 0..500 {
        let entry = entry(number, length);
        let one = Instant::now();
        disk.put(&key(number), &entry).await.unwrap();
        disk.flush().await.unwrap();
        puts.push(one.elapsed());
    }
    tell("put, until written", &mut puts);
    disk.close().await;

    let disk = open(&options).await;
    let (mut hits, mut misses) = (Vec::new(), Vec::new());
    for _ in 0..20_000 {
        let one = Instant::now();
        let found = disk.get(&key(fastrand::u64(0..count)), Millis::now()).await.unwrap();
        hits.push(one.elapsed());
        assert!(found.is_some());
        let one = Instant::now();
        disk.get(&key(u64::MAX), Millis::now()).await.unwrap();
        misses.push(one.elapsed());
    }
    tell("get, a hit", &mut hits);
    tell("get, a miss", &mut misses);
    disk.close().await;
}

async fn open(options: &Options) -> Disk {
    let began = Instant::now();
    let disk = Disk::open(options.clone(), Arc::default()).await.unwrap();
    println!("opened in {:.2?}", began.elapsed());
    disk
}

fn tell(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{what}: p50 {:.1?}, p99 {:.1?}, most {:.1?}", at(0.5), at(0.99), at(1.0));
}

fn key(number: u64) -> Key {
    Key::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn entry(number: u64, length: usize) -> Arc<Entry> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(number).fill(&mut bytes);
    let lifetime = Lifetime { fresh: Duration::from_secs(3600), stale: Duration::ZERO };
    Arc::new(Entry::new(bytes.into(), Bytes::new(), lifetime, Stamp(1), &[]))
}
