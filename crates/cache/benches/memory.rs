//! A hit in memory, on one thread and on two at once, beside the bare maps that could be under it.
//!
//! `memory` is the tier, which checks expiry; `cache` asks it and checks invalidation too: before the first
//! one, after one that reached others, which is when the table must be looked at.

#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use cache::clock::Millis;
use cache::entry::{Entry, Lifetime};
use cache::epochs::{Stamp, Tag};
use cache::key::Key;
use cache::memory::{self, Memory};
use cache::{Cache, Options};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use foldhash::fast::FixedState;
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const ENTRIES: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

fn key(number: usize) -> Key {
    Key::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn entry() -> Arc<Entry> {
    let lifetime = Lifetime { fresh: 60 * MINUTE, stale: MINUTE };
    let tags: Vec<Tag> = (1..=4).map(Tag).collect();
    Arc::new(Entry::new(vec![b'x'; 500].into(), Bytes::new(), lifetime, Stamp(0), &tags))
}

/// Keys in the order in which they are asked for: a few thousand, all of them held.
fn order() -> Vec<Key> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..4096).map(|_| key(random.usize(..ENTRIES / 2))).collect()
}

/// Time of `count` reads on each of `threads` threads, all begun at once.
fn time(threads: usize, count: u64, order: &[Key], read: &(impl Fn(&Key) -> bool + Sync)) -> Duration {
    let begin = Barrier::new(threads);
    let run = |offset: usize| {
        begin.wait();
        let began = Instant::now();
        for key in order.iter().cycle().skip(offset).take(count as usize) {
            assert!(read(black_box(key)));
        }
        began.elapsed()
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|number| scope.spawn(move || run(number * 1000))).collect();
        let mine = run(0);
        others.into_iter().map(|other| other.join().unwrap()).fold(mine, Duration::max)
    })
}

fn compare(bench: &mut Criterion, name: &str, read: impl Fn(&Key) -> bool + Sync) {
    let order = order();
    let mut group = bench.benchmark_group("hit");
    for threads in [1, 2] {
        group.throughput(Throughput::Elements(threads as u64));
        group.bench_function(BenchmarkId::new(name, format!("{threads} threads")), |b| {
            b.iter_custom(|count| time(threads, count, &order, &read));
        });
    }
    group.finish();
}

fn hits(bench: &mut Criterion) {
    let now = Millis::now();
    let room = memory::Options { entries: ENTRIES, bytes: 256 << 20, ttl: 60 * MINUTE };

    let bare = quick_cache::sync::Cache::<Key, Arc<Entry>, _, FixedState>::with(
        ENTRIES,
        ENTRIES as u64,
        quick_cache::UnitWeighter,
        FixedState::default(),
        quick_cache::sync::DefaultLifecycle::default(),
    );
    (0..ENTRIES / 2).for_each(|number| bare.insert(key(number), entry()));
    compare(bench, "quick_cache", |key| bare.get(key).is_some());

    let moka = moka::sync::Cache::builder()
        .max_capacity(ENTRIES as u64)
        .time_to_live(60 * MINUTE)
        .build_with_hasher(FixedState::default());
    (0..ENTRIES / 2).for_each(|number| moka.insert(key(number), entry()));
    compare(bench, "moka", |key| moka.get(key).is_some());

    let memory = Memory::new(room);
    (0..ENTRIES / 2).for_each(|number| memory.keep(&key(number), &entry(), now));
    compare(bench, "memory", |key| memory.peek(key, now).is_some());

    let cache: Cache = Cache::new(Options { memory: room, ..Options::default() }, None, None, Arc::default());
    (0..ENTRIES / 2).for_each(|number| cache.memory().keep(&key(number), &entry(), now));
    compare(bench, "cache", |key| cache.peek(key, now).is_some());

    cache.epochs().invalidate(&[Tag(99)]);
    compare(bench, "cache after an invalidation", |key| cache.peek(key, now).is_some());
}

criterion_group!(benches, hits);
criterion_main!(benches);
