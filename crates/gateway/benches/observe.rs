//! What a request pays for being seen, from its first mark to its account's place on the tray; what a piece of output
//! pays; and what the observer pays for each request, on its own thread.
//!
//! The clock is read as often as the pipeline reads it for this alone.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gateway::advice::fingerprint;
use gateway::observe::account::{Account, Role};
use gateway::observe::door::Door;
use gateway::observe::trail::{Label, Mark};
use gateway::observe::tray::{Batch, Gaps, Load, Tray};
use gateway::observe::{Bounds, Entry, Figures, Id, Recent};
use gateway::trace::Peer;
use http::HeaderValue;
use measure::metrics::{AttemptResult, Outcome};
use measure::moment::Moment;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::operation::Operation;

/// Accounts that the observer finds at a look.
const LOAD: u64 = 500;

/// What a configuration has prepared.
struct Prepared {
    route: Arc<str>,
    target: Arc<Label>,
    id: HeaderValue,
}

impl Prepared {
    fn new() -> Self {
        let id = HeaderValue::try_from("req_00000000000000000000000000000000").unwrap();
        let peer = Peer { provider: "sim".into(), model: "instant".into(), server: None };
        Self { route: "smart".into(), target: Label::named("sim/instant", peer), id }
    }

    fn begin(&self) -> Account {
        Account::new(Id::from(&self.id), Operation::ChatCompletions, Role::Request, Instant::now())
    }

    fn passes(&self, account: &mut Account, marks: &[Mark]) {
        for mark in marks {
            account.trail.passes(*mark, Instant::now());
        }
        account.route = Some(Arc::clone(&self.route));
    }

    fn end(&self, mut account: Account, tray: &Tray) {
        account.ends(Outcome::Ok, Duration::from_millis(1), Duration::from_micros(50));
        tray.put(|| account.take());
    }

    fn hit(&self) -> Account {
        let mut account = self.begin();
        self.passes(
            &mut account,
            &[Mark::Identified, Mark::Read, Mark::Planned, Mark::Remembered, Mark::Answered],
        );
        account
    }

    fn asked(&self) -> Account {
        let mut account = self.begin();
        self.passes(&mut account, &[Mark::Identified, Mark::Read, Mark::Planned]);
        account.trail.turns(Instant::now());
        account.trail.attempt_begins(&self.target, 0, Instant::now());
        account.trail.attempt_ends(AttemptResult::Ok, Instant::now());
        self.passes(&mut account, &[Mark::Answered]);
        account
    }
}

fn requests(bench: &mut Criterion) {
    let (prepared, tray) = (Prepared::new(), Tray::new(Arc::new(Door::default())));
    let mut load = Load::default();
    let mut group = bench.benchmark_group("request");
    let mut measure = |name: &str, make: &dyn Fn() -> Account| {
        let mut put = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                prepared.end(black_box(make()), &tray);
                put += 1;
                // As the observer does, who is paid for below.
                if put % LOAD == 0 {
                    tray.swap(&mut load);
                    load.accounts.clear();
                }
            });
        });
    };
    measure("hit", &|| prepared.hit());
    measure("asked once", &|| prepared.asked());
    group.finish();
}

fn pieces(bench: &mut Criterion) {
    let (prepared, tray) = (Prepared::new(), Tray::new(Arc::new(Door::default())));
    let (mut batch, mut load) = (Batch::default(), Load::default());
    bench.bench_function("piece of output", |b| {
        b.iter(|| {
            if batch.add(black_box(Duration::from_micros(900))) {
                tray.put_gaps(Gaps {
                    route: Some(Arc::clone(&prepared.route)),
                    is_alias: true,
                    who: None,
                    target: Some(Arc::clone(&prepared.target)),
                    micros: std::mem::take(&mut batch),
                });
                tray.swap(&mut load);
                load.gaps.clear();
            }
        });
    });
}

fn observer(bench: &mut Criterion) {
    let (prepared, now) = (Prepared::new(), Moment::now());
    let bounds =
        Bounds { newest: 2000, slow: 500, failed: 500, bytes: 4 << 20, slow_after: Duration::from_secs(5) };
    let (mut figures, mut recent) = (Figures::new(8 << 20, now), Recent::new(bounds));
    let mut told = 0;
    let mut group = bench.benchmark_group("observer");
    group.throughput(Throughput::Elements(LOAD));
    group.bench_function("figures, ring", |b| {
        b.iter_batched(
            || (0..LOAD).map(|_| prepared.asked()).collect::<Vec<_>>(),
            |mut accounts| {
                accounts.iter().for_each(|account| figures.note(account));
                let (first, entries) = (told, accounts.drain(..).enumerate());
                told += LOAD;
                let entries = entries.map(|(place, account)| Entry::new(first + place as u64, account, now));
                recent.extend(entries, |_| {});
                accounts
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// What a request pays whose question no cache has made a key for.
fn questions(bench: &mut Criterion) {
    let body = vec![b'x'; 1024];
    bench.bench_function("fingerprint of 1 KiB", |b| {
        b.iter(|| fingerprint::hash("tenant", 7, black_box(&body)));
    });
}

criterion_group!(benches, requests, pieces, questions, observer);
criterion_main!(benches);
