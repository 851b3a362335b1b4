//! What a request pays for its breaker: finding it, being let through, and telling how it went; and
//! what a success costs the failure patterns. All of it on one thread, then on two that share.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use guard::breaker::{Breaker, Strategy, Verdict};
use guard::pattern::Patterns;
use guard::registry::{Key, Options, Registry};
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// Provider, credential, model and operation, as a gateway numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Target(u16, u16, u32, u8);

impl Key for Target {
    fn coarser(&self) -> Option<Self> {
        (self.1 != 0).then_some(Self(self.0, 0, 0, 0))
    }
}

/// One of a thousand.
fn target(number: u64) -> Target {
    let number = number % 1000;
    Target((number % 7) as u16, 1, number as u32, 1)
}

/// Time of `count` turns on each of `threads` threads, all begun at once. A turn gets its number.
fn time(threads: usize, count: u64, turn: &(impl Fn(u64) + Sync)) -> Duration {
    let begin = Barrier::new(threads);
    let run = |offset: u64| {
        begin.wait();
        let began = Instant::now();
        (offset..offset + count).for_each(|number| turn(black_box(number)));
        began.elapsed()
    };
    std::thread::scope(|scope| {
        let others: Vec<_> =
            (1..threads as u64).map(|number| scope.spawn(move || run(number * 500))).collect();
        let mine = run(0);
        others.into_iter().map(|other| other.join().unwrap()).fold(mine, Duration::max)
    })
}

fn measure(bench: &mut Criterion, name: &str, turn: impl Fn(u64) + Sync) {
    let mut group = bench.benchmark_group("breaker");
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new(name, format!("{threads} threads")), |b| {
            b.iter_custom(|count| time(threads, count, &turn));
        });
    }
    group.finish();
}

fn breakers(bench: &mut Criterion) {
    let now = Instant::now();
    let breaker = Breaker::new(Strategy::BALANCED, 1);
    measure(bench, "closed: admit, settle", |_| {
        breaker.admit(now).unwrap().settle(Verdict::Good, now);
    });

    let open = Breaker::new(Strategy::BALANCED, 1);
    open.trip(now, None);
    measure(bench, "open: refuse", |_| {
        black_box(open.admit(now).is_err());
    });

    let make = |_: &Target| Breaker::new(Strategy::BALANCED, 1);
    let registry = Registry::new(Options::default(), make(&target(0)));
    (0..1000).for_each(|number| drop(registry.get(&target(number), now, make)));
    measure(bench, "find one of 1,000", |number| {
        black_box(registry.get(&target(number), now, make));
    });
    measure(bench, "find, admit, settle", |number| {
        registry.get(&target(number), now, make).admit(now).unwrap().settle(Verdict::Good, now);
    });

    let patterns = Arc::new(Patterns::new(now));
    measure(bench, "patterns: a success", |number| {
        let later = now + Duration::from_micros(number % (1 << 32));
        patterns.succeeded("openai", 1, "gpt-4o-mini-2024-07-18", later);
    });
}

criterion_group!(benches, breakers);
criterion_main!(benches);
