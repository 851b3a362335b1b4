//! What a call pays for its quota, its budget, its hedge and its choice of a target, on one thread.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use guard::balance::{Candidate, Load, Method, order};
use guard::hedge::Quantile;
use guard::quota::{Bucket, Rate, reserve};
use guard::retry::{Budget, Options};
use std::hint::black_box;
use std::time::{Duration, Instant};

fn quota(bench: &mut Criterion) {
    let now = Instant::now();
    let buckets = [(); 8].map(|()| Bucket::new(Rate::per_minute(1 << 40), now));
    let mut group = bench.benchmark_group("reserve and settle");
    for count in [1, 3, 8] {
        let parts: Vec<_> = buckets.iter().take(count).map(|bucket| (bucket, 900)).collect();
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| reserve(black_box(&parts), now).unwrap().settle(&[700; 8], now));
        });
    }
    group.finish();
    buckets[0].charge(1 << 41, now);
    let parts = [(&buckets[0], 900), (&buckets[1], 900), (&buckets[2], 900)];
    bench.bench_function("refused by 1 of 3", |b| b.iter(|| reserve(black_box(&parts), now).unwrap_err()));
    bench.bench_function("level", |b| b.iter(|| black_box(&buckets[1]).level(now)));
}

fn retry(bench: &mut Criterion) {
    let now = Instant::now();
    let budget = Budget::new(Options::default(), now);
    bench.bench_function("retry deposit", |b| b.iter(|| black_box(&budget).deposit(now)));
    bench.bench_function("retry withdraw", |b| b.iter(|| black_box(&budget).withdraw(now)));
}

fn hedge(bench: &mut Criterion) {
    let now = Instant::now();
    let quantile = Quantile::new(now);
    let latencies = [200, 450, 800, 5000].map(Duration::from_millis);
    let mut turns = latencies.iter().cycle();
    bench.bench_function("quantile record", |b| {
        b.iter(|| quantile.record(*turns.next().unwrap(), black_box(now)));
    });
    bench.bench_function("quantile at", |b| b.iter(|| quantile.at(black_box(0.95), now)));
}

fn balance(bench: &mut Criterion) {
    let now = Instant::now();
    let loads = [(); 4].map(|()| Load::new(now));
    let candidates: Vec<_> = (1..)
        .zip(&loads)
        .map(|(id, load)| {
            load.begin().end(Duration::from_millis(id), now);
            Candidate { id, priority: 0, weight: 1, healthy: true, load: Some(load) }
        })
        .collect();
    let mut group = bench.benchmark_group("order of 4");
    for (name, method, affinity) in [
        ("weights", Method::Weights, None),
        ("least loaded", Method::LeastLoaded, None),
        ("affinity", Method::Weights, Some(7)),
    ] {
        let mut dice = 0_u64;
        group.bench_function(name, |b| {
            b.iter(|| {
                dice = dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
                order(black_box(&candidates), method, affinity, dice, now)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, quota, retry, hedge, balance);
criterion_main!(benches);
