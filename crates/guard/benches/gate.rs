//! A request's way through a gate, uncontended: entered, and finished with a sample. Beside it the cost
//! of what it cannot do without: the same lock, taken and given back twice.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use guard::gate::{Band, Entered, Gate, Options, Permit, Ticket};
use guard::limiter::{self, Algorithm, Outcome};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const DELAY: Duration = Duration::from_millis(300);

fn ticket(tenant: u64) -> Ticket {
    Ticket { band: Band::Normal, tenant, cost: 1000, deadline: None }
}

fn permit(gate: &Gate, ticket: Ticket, now: Instant) -> Permit {
    match gate.enter(ticket, now) {
        Entered::Now(permit) => permit,
        Entered::Wait(_) | Entered::Refused(_) => unreachable!("there is room"),
    }
}

fn uncontended(bench: &mut Criterion) {
    let start = Instant::now();
    let mut group = bench.benchmark_group("gate");
    let lock = Mutex::new(0_u64);
    group.bench_function("two bare locks", |b| {
        b.iter(|| {
            *black_box(&lock).lock().unwrap() += 1;
            *black_box(&lock).lock().unwrap() += 1;
        });
    });
    for (name, algorithm) in [("aimd", Algorithm::Aimd), ("gradient2", Algorithm::Gradient2)] {
        let limiter = limiter::Options { algorithm, ..limiter::Options::INTERACTIVE };
        let gate = Gate::new(Options { limiter, ..Options::default() }, start);
        let mut calls = 0_u64;
        group.bench_function(format!("enter, begin and finish, {name}"), |b| {
            b.iter(|| {
                calls += 1;
                let now = start + Duration::from_micros(calls);
                let mut permit = permit(black_box(&gate), ticket(calls % 10), now);
                permit.began(DELAY, now);
                permit.finish(Outcome::Good, 900, now);
            });
        });
    }
    group.finish();
}

/// One permit, handed from one waiting caller to the next.
fn handed_on(bench: &mut Criterion) {
    let now = Instant::now();
    let mut options = Options::default();
    options.limiter = limiter::Options { algorithm: Algorithm::Fixed, initial: 1, min: 1, ..options.limiter };
    let gate = Gate::new(options, now);
    let mut holder = Some(permit(&gate, ticket(1), now));
    let mut cx = Context::from_waker(Waker::noop());
    bench.bench_function("gate/wait, be granted and finish", |b| {
        b.iter(|| {
            let Entered::Wait(mut waiting) = gate.enter(ticket(2), now) else { unreachable!("it is full") };
            let _ = black_box(Pin::new(&mut waiting).poll(&mut cx));
            if let Some(permit) = holder.take() {
                permit.finish(Outcome::Good, 1000, now);
            }
            if let Poll::Ready(permit) = Pin::new(&mut waiting).poll(&mut cx) {
                holder = permit.ok();
            }
        });
    });
}

criterion_group!(benches, uncontended, handed_on);
criterion_main!(benches);
