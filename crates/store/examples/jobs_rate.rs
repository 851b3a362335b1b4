//! How many jobs a second a store takes, gives and ends, and how long adding one takes.
//!
//! `cargo run --release -p tidegate-store --example jobs_rate -- [--rows N] [--seconds S] [--clients N] [URL]`:
//! without an address in a new SQLite file in the folder for temporary files, which says much about that folder's
//! disk; with `postgres://…` in an empty database there.
//!
//! Beside the rate stands what it costs of the processor in this process, which is the same on a machine that has
//! other work. `--rows` first fills the table with so many jobs that are over, half of them, or wait in another
//! queue; `--clients` is how many add, or claim and end, at once (1).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};
use store::jobs::{Band, Claim, End, Finish, NewJob, Turn};
use store::{Options, Store, Time};

const NOW: Time = Time(1_750_000_000_000);
const TENANTS: usize = 1000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let (mut rows, mut seconds, mut clients, mut url) = (0, 3, 1, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rows" => rows = args.next().unwrap().parse().unwrap(),
            "--seconds" => seconds = args.next().unwrap().parse().unwrap(),
            "--clients" => clients = args.next().unwrap().parse().unwrap(),
            _ => url = Some(arg),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let url = url.unwrap_or_else(|| format!("sqlite:{}", folder.path().join("store.db").display()));
    let store = Store::open(&Options::new(url)).await.unwrap();
    let time = Duration::from_secs(seconds);
    preload(&store, rows).await;
    for batch in [1, 10, 100] {
        let counts = at_once(clients, || enqueue(store.clone(), batch, time));
        tell("enqueue", batch, counts).await;
        fill(&store).await;
        let counts = at_once(clients, || claim_and_finish(store.clone(), batch, time));
        tell("claim and finish", batch, counts).await;
    }
    for clients in [1, 16, 256] {
        enqueue_alone(&store, clients, time).await;
    }
}

fn job(queue: &str, number: usize) -> NewJob {
    NewJob {
        queue: queue.to_owned(),
        tenant: format!("tenant-{}", number % TENANTS),
        kind: "test".to_owned(),
        band: Band::Normal,
        run_at: NOW,
        deadline: None,
        attempts_max: 5,
        idempotency: None,
        unique: None,
        payload: vec![b'x'; 200],
        replay_of: None,
        keep: true,
    }
}

fn claim(queue: &str, limit: usize, turn: Turn) -> Claim {
    let owner = "bench".to_owned();
    let limit = u32::try_from(limit).unwrap();
    Claim {
        queue: queue.to_owned(),
        owner,
        limit,
        lease: Duration::from_secs(30),
        now: NOW,
        turn,
        rate: None,
    }
}

/// Half of them over, half of them waiting in a queue of their own.
async fn preload(store: &Store, rows: usize) {
    let began = Instant::now();
    for from in (0..rows).step_by(1000) {
        let jobs = (from..rows.min(from + 1000)).map(|number| job("before", number)).collect();
        store.jobs.add(jobs, NOW).await.unwrap();
    }
    let mut turn = Turn::default();
    let mut over = 0;
    while over < rows / 2 {
        over += round(store, "before", 1000, &mut turn).await;
    }
    println!("{rows} rows before, in {:.0} s", began.elapsed().as_secs_f64());
}

/// So many of the same at once; how many jobs in all, and how many a second, each over its own time.
async fn at_once<W>(clients: usize, work: impl Fn() -> W) -> (usize, f64)
where
    W: Future<Output = (usize, Duration)> + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients {
        tasks.spawn(work());
    }
    let all = tasks.join_all().await;
    let rate = |(jobs, taken): &(usize, Duration)| *jobs as f64 / taken.as_secs_f64();
    (all.iter().map(|(jobs, _)| jobs).sum(), all.iter().map(rate).sum())
}

async fn enqueue(store: Store, batch: usize, time: Duration) -> (usize, Duration) {
    let began = Instant::now();
    let mut added = 0;
    while began.elapsed() < time {
        let jobs = (added..added + batch).map(|number| job("default", number)).collect();
        added += store.jobs.add(jobs, NOW).await.unwrap().len();
    }
    (added, began.elapsed())
}

/// Enough for a while.
async fn fill(store: &Store) {
    for from in (0..60_000).step_by(1000) {
        let jobs = (from..from + 1000).map(|number| job("default", number)).collect();
        store.jobs.add(jobs, NOW).await.unwrap();
    }
}

/// Claims and ends what is there, until there is nothing.
async fn claim_and_finish(store: Store, batch: usize, time: Duration) -> (usize, Duration) {
    let (mut turn, mut ended) = (Turn::default(), 0);
    let began = Instant::now();
    while began.elapsed() < time {
        let some = round(&store, "default", batch, &mut turn).await;
        ended += some;
        if some == 0 {
            break;
        }
    }
    (ended, began.elapsed())
}

async fn round(store: &Store, queue: &str, batch: usize, turn: &mut Turn) -> usize {
    let claimed = store.jobs.claim(claim(queue, batch, std::mem::take(turn))).await.unwrap();
    *turn = claimed.turn;
    let end = |lease| Finish {
        lease,
        at: NOW,
        end: End::Done { result: vec![b'y'; 200] },
        then: Vec::new(),
        line: None,
    };
    let ends = claimed.jobs.iter().map(|job| end(job.lease)).collect();
    let held = store.jobs.finish(ends).await.unwrap();
    assert!(held.iter().all(|held| *held));
    held.len()
}

/// So many clients at once, each adding one job after the other.
async fn enqueue_alone(store: &Store, clients: usize, time: Duration) {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..clients {
        let store = store.clone();
        tasks.spawn(async move {
            let mut taken = Vec::new();
            while began.elapsed() < time {
                let asked = Instant::now();
                store.jobs.add(vec![job("alone", number)], NOW).await.unwrap();
                taken.push(asked.elapsed());
            }
            taken
        });
    }
    let mut taken: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    taken.sort_unstable();
    let at = |share: f64| taken[(taken.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    let rate = taken.len() as f64 / began.elapsed().as_secs_f64();
    println!(
        "{:<20}{clients:>4} clients {rate:>9.0} jobs/s   p50 {:.2} ms   p99 {:.2} ms",
        "enqueue one",
        at(0.5),
        at(0.99)
    );
}

/// The processor's time that this process has used.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.try_into().unwrap(), used.tv_nsec.try_into().unwrap())
}

async fn tell(what: &str, batch: usize, counts: impl Future<Output = (usize, f64)>) {
    let before = used();
    let (jobs, rate) = counts.await;
    let cost = (used() - before).as_secs_f64() * 1e6 / jobs as f64;
    println!("{what:<20}{batch:>4} a step  {rate:>9.0} jobs/s   {cost:>6.1} µs of the processor each");
}
