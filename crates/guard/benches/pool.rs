//! A loan and its return, on one thread and on two at once, beside what a pool saves (an allocation) and
//! beside the plainest pool there is (one lock round a `Vec`). And the gateway's own buffers, allocated and
//! borrowed: a request's body that came in many pieces, and what a stream's frame takes. The allocator is the
//! gateway's.

#![allow(missing_docs, clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use guard::pool::{Borrowed, Options, Pool};
use std::hint::black_box;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// A borrowed buffer as bytes that are handed on: the last who holds them gives it back.
struct Lent(Borrowed<Vec<u8>>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Our buffers are filled once and then handed on as `Bytes`, which a pool can only wrap.
fn buffers(bench: &mut Criterion) {
    for (name, bytes) in [("frame", 512), ("body", 16 << 10), ("large body", 256 << 10)] {
        let came = vec![b'x'; bytes];
        let reset = |buffer: &mut Vec<u8>| {
            buffer.clear();
            buffer.capacity()
        };
        let options = Options { size_max: bytes, ..Options::default() };
        let pool = Pool::new(options, move || Vec::with_capacity(bytes), reset);
        compare(bench, &format!("{name} allocated"), || {
            let mut buffer = BytesMut::with_capacity(bytes);
            buffer.extend_from_slice(&came);
            black_box(buffer.freeze());
        });
        compare(bench, &format!("{name} borrowed"), || {
            let mut buffer = pool.borrow();
            buffer.extend_from_slice(&came);
            black_box(Bytes::from_owner(Lent(buffer)));
        });
    }
}

criterion_group!(benches, loans, buffers);
criterion_main!(benches);
