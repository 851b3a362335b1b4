//! A loan and its return, on one thread and on two at once, beside what a pool saves (an allocation) and
//! beside the plainest pool there is (one lock round a `Vec`).

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use guard::pool::{Options, Pool};
use std::hint::black_box;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

/// A buffer as a request needs one.
const BYTES: usize = 16 << 10;

/// Time of `count` loans on each of `threads` threads, all begun at once.
fn time(threads: usize, count: u64, step: &(impl Fn() + Sync)) -> Duration {
    let begin = Barrier::new(threads);
    let run = || {
        begin.wait();
        let began = Instant::now();
        (0..count).for_each(|_| step());
        began.elapsed()
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mine = run();
        others.into_iter().map(|other| other.join().unwrap()).fold(mine, Duration::max)
    })
}

fn compare(bench: &mut Criterion, name: &str, step: impl Fn() + Sync) {
    let mut group = bench.benchmark_group("borrow");
    for threads in [1, 2] {
        group.throughput(Throughput::Elements(threads as u64));
        group.bench_function(BenchmarkId::new(name, format!("{threads} threads")), |b| {
            b.iter_custom(|count| time(threads, count, &step));
        });
    }
    group.finish();
}

fn touch(buffer: &mut Vec<u8>) {
    buffer.push(1);
    black_box(buffer);
}

fn loans(bench: &mut Criterion) {
    compare(bench, "allocate", || touch(&mut Vec::with_capacity(BYTES)));

    let plain = Mutex::new(Vec::new());
    compare(bench, "one lock", || {
        let idle = plain.lock().unwrap().pop();
        let mut buffer = idle.unwrap_or_else(|| Vec::with_capacity(BYTES));
        touch(&mut buffer);
        buffer.clear();
        plain.lock().unwrap().push(buffer);
    });

    let reset = |buffer: &mut Vec<u8>| {
        buffer.clear();
        buffer.capacity()
    };
    let pool = Pool::new(Options::default(), || Vec::with_capacity(BYTES), reset);
    compare(bench, "pool", || touch(&mut pool.borrow()));

    let starved = Options { kept: 0, ..Options::default() };
    let starved = Pool::new(starved, || Vec::with_capacity(BYTES), reset);
    compare(bench, "pool that keeps none", || touch(&mut starved.borrow()));
}

criterion_group!(benches, loans);
criterion_main!(benches);
