//! Many at once: workers, replicas that start, sessions of others, callers who leave.

use super::*;
use std::collections::HashSet;
use store::Error;
use tokio::time::timeout;

const WORKERS: usize = 16;

/// How many jobs the workers share.
fn jobs() -> usize {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the tests may want more")]
    std::env::var("TIDEGATE_TEST_JOBS").map_or(20_000, |number| number.parse().unwrap())
}

async fn fill(store: &Store, jobs: usize, tenants: usize) {
    for from in (0..jobs).step_by(1000) {
        let some = (from..jobs.min(from + 1000)).map(|number| NewJob {
            tenant: format!("tenant-{}", number % tenants),
            keep: false,
            ..job("x")
        });
        store.jobs.add(some.collect(), NOW).await.unwrap();
    }
}

/// Claims and ends until nothing is left, and gives what it had.
async fn work(store: Store, mine: usize) -> Vec<JobId> {
    let (mut had, mut turn, mut empty) = (Vec::new(), Turn::default(), 0);
    while empty < 3 {
        let limit = u32::try_from(1 + (mine * 7) % 40).unwrap();
        let claimed = store.jobs.claim(Claim { turn, ..claim(limit) }).await.unwrap();
        turn = claimed.turn;
        empty = if claimed.jobs.is_empty() { empty + 1 } else { 0 };
        let held = store.jobs.finish(claimed.jobs.iter().map(|job| done(job.lease)).collect()).await.unwrap();
        assert!(held.iter().all(|held| *held), "a lease that was not held");
        had.extend(claimed.jobs.iter().map(|job| job.lease.id));
    }
    had
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_claimed_twice() {
    let database = SERVER.create_database();
    // Two replicas, one of them behind PgBouncer.
    let options = |url| Options { wait: PATIENCE, ..Options::new(url) };
    let stores = [open(options(SERVER.url(&database))).await, open(options(BOUNCER.url(&database))).await];
    fill(&stores[0], jobs(), 50).await;
    let workers: Vec<_> =
        (0..WORKERS).map(|mine| spawn(work(stores[mine % stores.len()].clone(), mine))).collect();
    let mut had = HashSet::new();
    for worker in workers {
        for id in worker.await.unwrap() {
            assert!(had.insert(id), "{id:?} was claimed twice");
        }
    }
    assert_eq!(had.len(), jobs());
    assert_eq!(stores[0].jobs.depths().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_transaction_of_anothers_stops_nobody() {
    let database = SERVER.create_database();
    let store = open(Options::new(SERVER.url(&database))).await;
    add(&store, NewJob { queue: "other".to_owned(), ..job("x") }).await.unwrap();
    let (client, _task) = session(&SERVER, &database).await;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM tidegate_jobs").await.unwrap();
    fill(&store, 2000, 5).await;
    let had = timeout(PATIENCE, work(store.clone(), 3)).await.expect("claims go on");
    assert_eq!(had.len(), 2000);
    // What another holds locked is passed over, too.
    fill(&store, 2, 1).await;
    client.batch_execute("COMMIT; BEGIN").await.unwrap();
    client
        .batch_execute("SELECT FROM tidegate_jobs WHERE queue = 'default' ORDER BY id LIMIT 1 FOR UPDATE")
        .await
        .unwrap();
    let claimed = timeout(PATIENCE, store.jobs.claim(claim(9))).await.expect("nobody waits").unwrap();
    assert_eq!(claimed.jobs.len(), 1);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(store.jobs.claim(claim(9)).await.unwrap().jobs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_bring_the_schema_up_once() {
    for through in [SERVER.url(&SERVER.create_database()), BOUNCER.url(&SERVER.create_database())] {
        let starts: Vec<_> = (0..8).map(|_| spawn(Postgres::open(Options::new(through.clone())))).collect();
        for start in starts {
            Store::from(start.await.unwrap().unwrap()).jobs.depths().await.unwrap();
        }
        let database = through.rsplit('/').next().unwrap();
        assert_eq!(SERVER.tell(database, "SELECT version FROM tidegate_schema ORDER BY 1"), "1\n2\n3\n4");
    }
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let database = SERVER.create_database();
    drop(open(Options::new(SERVER.url(&database))).await);
    SERVER.tell(&database, "INSERT INTO tidegate_schema VALUES (99)");
    match Postgres::open(Options::new(SERVER.url(&database))).await.map(drop) {
        Err(Error::TooNew { found: 99, known: 4 }) => {}
        other => panic!("{other:?}"),
    }
}

/// Asks for something that takes several statements, and leaves at some moment; gives what was answered.
async fn leave_early(store: Store) -> Option<JobId> {
    let patience = Duration::from_micros(fastrand::u64(0..8000));
    let work = async {
        if fastrand::bool() {
            let claimed = store.jobs.claim(claim(200)).await.unwrap();
            let ends = claimed.jobs.iter().map(|job| Finish { then: vec![job_of_word()], ..done(job.lease) });
            store.jobs.finish(ends.collect()).await.unwrap();
            return None;
        }
        Some(add(&store, job_of_word()).await.unwrap())
    };
    timeout(patience, work).await.ok().flatten()
}

fn job_of_word() -> NewJob {
    NewJob { queue: "kept".to_owned(), unique: Some(fastrand::u64(..).to_string()), ..job("x") }
}

async fn leave_no_transaction(url: String, database: &str) {
    // So few connections that each of them is left by many, and nobody who ends what stays open but we.
    let never = PATIENCE * 10;
    let store = open(Options { base: 4, overflow: 0, statement_max: never, ..Options::new(url) }).await;
    let mut answered = HashSet::new();
    for _ in 0..60 {
        fill(&store, 20, 3).await;
        let leavers: Vec<_> = (0..8).map(|_| spawn(leave_early(store.clone()))).collect();
        for leaver in leavers {
            answered.extend(leaver.await.unwrap());
        }
        let open = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()
                 AND (state LIKE 'idle in transaction%' OR state = 'active')"
        );
        until(&SERVER, database, &open, "0").await;
    }
    let ids = SERVER.tell(database, "SELECT id FROM tidegate_jobs WHERE queue = 'kept'");
    let there: HashSet<JobId> = ids.lines().map(|id| JobId(id.parse().unwrap())).collect();
    assert!(answered.is_subset(&there), "what was answered is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_leave_leave_no_transaction_open() {
    let database = SERVER.create_database();
    leave_no_transaction(SERVER.url(&database), &database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_leave_leave_no_transaction_open_behind_pgbouncer() {
    let database = SERVER.create_database();
    leave_no_transaction(BOUNCER.url(&database), &database).await;
}
