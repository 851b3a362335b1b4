//! PostgreSQL as it is in life: killed, frozen, locked, crowded, wrongly addressed. Straight and through PgBouncer.
//!
//! `TIDEGATE_TEST_JOBS` says how many jobs the workers of `crowd` share; 20,000 where it says nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod server;

#[path = "postgres_processes/addressed.rs"]
mod addressed;
#[path = "postgres_processes/crowd.rs"]
mod crowd;
#[path = "postgres_processes/earlier.rs"]
mod earlier;
#[path = "postgres_processes/outage.rs"]
mod outage;
#[path = "postgres_processes/plans.rs"]
mod plans;
#[path = "postgres_processes/pool.rs"]
mod pool;

use server::Server;
use server::bouncer::Bouncer;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use store::jobs::{Added, Band, Claim, End, Finish, JobId, Lease, NewJob, Turn};
use store::postgres::{Options, Postgres};
use store::{Store, Time};
use tokio::task::JoinHandle;

const NOW: Time = Time(1_750_000_000_000);
/// Longest wait for what must come; what does not hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// For all tests that leave it as it is. It ends with this process.
static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start("fsync = off\n"));
static BOUNCER: LazyLock<Bouncer> = LazyLock::new(|| Bouncer::start(&SERVER));

/// Options with deadlines that a test can wait for.
fn impatient(url: impl Into<String>) -> Options {
    Options {
        wait: Duration::from_secs(2),
        connect_max: Duration::from_secs(1),
        statement_max: Duration::from_secs(1),
        ..Options::new(url)
    }
}

async fn open(options: Options) -> Store {
    Postgres::open(options).await.unwrap().into()
}

fn job(payload: impl Into<Vec<u8>>) -> NewJob {
    NewJob {
        queue: "default".to_owned(),
        tenant: "acme".to_owned(),
        kind: "test".to_owned(),
        band: Band::Normal,
        run_at: NOW,
        deadline: None,
        attempts_max: 3,
        idempotency: None,
        unique: None,
        payload: payload.into(),
        replay_of: None,
        keep: true,
    }
}

async fn add(store: &Store, job: NewJob) -> store::Result<JobId> {
    store.jobs.add(vec![job], NOW).await.map(|added| match added[..] {
        [Added::New(id)] => id,
        ref other => panic!("{other:?}"),
    })
}

fn claim(limit: u32) -> Claim {
    Claim {
        queue: "default".to_owned(),
        owner: "worker".to_owned(),
        limit,
        lease: Duration::from_secs(30),
        now: NOW,
        turn: Turn::default(),
        rate: None,
    }
}

fn done(lease: Lease) -> Finish {
    Finish { lease, at: NOW, end: End::Done { result: Vec::new() }, then: Vec::new(), line: None }
}

/// In a task that the test waits for.
fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    #[expect(clippy::disallowed_methods, reason = "a test waits for its tasks")]
    tokio::spawn(work)
}

/// Waits until `sql` gives this.
async fn until(server: &Server, database: &str, sql: &str, expected: &str) {
    let begun = tokio::time::Instant::now();
    loop {
        let found = server.tell(database, sql);
        if found == expected {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{sql}: {found}, not {expected}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A session of somebody else's.
async fn session(server: &Server, database: &str) -> (tokio_postgres::Client, JoinHandle<()>) {
    let (client, connection) =
        tokio_postgres::connect(&server.url(database), tokio_postgres::NoTls).await.unwrap();
    let task = spawn(async move {
        let _ = connection.await;
    });
    (client, task)
}
