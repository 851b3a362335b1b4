//! What it costs to wait: one in and the next out, and one in and out of the middle, with a thousand, ten
//! thousand and a hundred thousand waiting, of a hundred tenants in all bands.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use guard::queue::{Band, FairQueue, Options, Room, Ticket};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A few thousand tickets, the same in every run (xorshift, Marsaglia 2003).
fn tickets(now: Instant) -> Vec<Ticket> {
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = |sides: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % sides
    };
    (0..4096)
        .map(|_| Ticket {
            band: Band::ALL[roll(4) as usize],
            tenant: roll(100),
            cost: 1 + roll(4000),
            deadline: (roll(2) == 0).then(|| now + Duration::from_secs(3600 + roll(3600))),
        })
        .collect()
}

fn queue(bench: &mut Criterion) {
    let start = Instant::now();
    let tickets = tickets(start);
    let mut group = bench.benchmark_group("queue");
    for waiting in [1_000, 10_000, 100_000] {
        let options = Options {
            size: waiting + 1,
            codel_target: Duration::MAX,
            aging: Duration::from_secs(10),
            ..Options::default()
        };
        let mut queue = FairQueue::new(options);
        let mut order = tickets.iter().cycle();
        // Ten thousand come in a second, so that bands have time to age.
        let mut now = start;
        let mut push = |queue: &mut FairQueue<u32>| {
            now += Duration::from_micros(100);
            let ticket = order.next().unwrap();
            (queue.push(*ticket, 0, now).unwrap(), now)
        };
        for _ in 0..waiting {
            push(&mut queue);
        }
        group.bench_function(BenchmarkId::new("push and pop", waiting), |b| {
            b.iter(|| {
                let (_, now) = push(&mut queue);
                black_box(queue.pop(Room::FOR_ALL, Duration::ZERO, now))
            });
        });
        group.bench_function(BenchmarkId::new("push and remove", waiting), |b| {
            b.iter(|| {
                let (pushed, _) = push(&mut queue);
                black_box(queue.remove(pushed.id))
            });
        });
        assert_eq!(queue.len(), waiting);
    }
    group.finish();
}

criterion_group!(benches, queue);
criterion_main!(benches);
