//! Connections: how many, for how long, and what is waited for.

use super::*;
use store::jobs::{Beat, Pulse};
use store::runs::{Decide, Decision, Run, RunState};
use store::{Error, Result};
use tokio::time::timeout;

fn sessions(database: &str) -> String {
    format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND application_name = 'tidegate'"
    )
}

/// A job that runs, and a session of another's that has locked its row.
async fn locked(store: &Store, database: &str) -> (Lease, tokio_postgres::Client, JoinHandle<()>) {
    add(store, job("x")).await.unwrap();
    let lease = store.jobs.claim(claim(1)).await.unwrap().jobs[0].lease;
    let (client, task) = session(&SERVER, database).await;
    client.batch_execute("BEGIN; SELECT FROM tidegate_jobs FOR UPDATE").await.unwrap();
    (lease, client, task)
}

async fn beat(store: &Store, lease: Lease) -> Result<Pulse> {
    let beats = vec![Beat { lease, progress: None }];
    let answer = timeout(PATIENCE, store.jobs.beat(beats, NOW.after(Duration::from_secs(30)))).await;
    answer.expect("an answer within its bounds").map(|pulses| pulses[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_anothers_is_waited_for_within_bounds() {
    for (through, name) in [(false, SERVER.create_database()), (true, SERVER.create_database())] {
        let url = if through { BOUNCER.url(&name) } else { SERVER.url(&name) };
        let store = open(impatient(url)).await;
        let (lease, client, _task) = locked(&store, &name).await;
        let answer = beat(&store, lease).await;
        assert!(matches!(&answer, Err(Error::Away(why)) if why.contains("statement timeout")), "{answer:?}");
        client.batch_execute("COMMIT").await.unwrap();
        assert_eq!(beat(&store, lease).await.unwrap(), Pulse::Held);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_every_connection_in_use_waits_his_turn_and_no_longer() {
    let database = SERVER.create_database();
    let options = Options {
        base: 1,
        overflow: 1,
        wait: Duration::from_millis(200),
        statement_max: PATIENCE,
        ..Options::new(SERVER.url(&database))
    };
    let store = open(options).await;
    let (lease, client, _task) = locked(&store, &database).await;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let store = store.clone();
            spawn(async move { beat(&store, lease).await })
        })
        .collect();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    until(&SERVER, &database, waits, "2").await;
    let answer = beat(&store, lease).await;
    assert!(matches!(&answer, Err(Error::Away(why)) if why.contains("in use")), "{answer:?}");
    client.batch_execute("COMMIT").await.unwrap();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().unwrap(), Pulse::Held);
    }
    assert_eq!(beat(&store, lease).await.unwrap(), Pulse::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_above_the_base_are_closed_when_they_lie_idle() {
    let database = SERVER.create_database();
    let options = Options {
        base: 2,
        overflow: 4,
        idle_max: Duration::from_millis(300),
        statement_max: PATIENCE,
        ..Options::new(SERVER.url(&database))
    };
    let store = open(options).await;
    let (lease, client, _task) = locked(&store, &database).await;
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            spawn(async move { beat(&store, lease).await })
        })
        .collect();
    until(&SERVER, "postgres", &sessions(&database), "6").await;
    client.batch_execute("COMMIT").await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
    until(&SERVER, "postgres", &sessions(&database), "2").await;
    drop(store);
    until(&SERVER, "postgres", &sessions(&database), "0").await;
}

#[tokio::test]
async fn a_connection_grows_no_older_than_it_may() {
    let database = SERVER.create_database();
    let options = Options { age_max: Duration::from_millis(1), ..Options::new(SERVER.url(&database)) };
    let store = open(options).await;
    let sql = format!("SELECT max(pid) FROM pg_stat_activity WHERE datname = '{database}'");
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 {
        add(&store, job("x")).await.unwrap();
        seen.insert(SERVER.tell("postgres", &sql));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[tokio::test]
async fn a_decision_that_panics_spoils_nothing() {
    let database = SERVER.create_database();
    let store = open(Options { base: 1, overflow: 0, ..Options::new(SERVER.url(&database)) }).await;
    let run = Run {
        id: "run-1".to_owned(),
        tenant: "acme".to_owned(),
        workflow: "w".to_owned(),
        version: 1,
        definition: Vec::new(),
        input: Vec::new(),
        state: RunState::Running,
        status: Vec::new(),
        output: None,
        error: None,
        parent: None,
        created: NOW,
        changed: NOW,
        ended: None,
    };
    store.runs.start(run, Vec::new(), Vec::new(), None).await.unwrap();
    let bad: Decide = Arc::new(|_| panic!("it cannot decide"));
    let answer = store.runs.advance("run-1", None, NOW, bad).await;
    assert!(matches!(answer, Err(Error::Refused(_))), "{answer:?}");
    // The run's row is free, and the one connection's place in the pool, too.
    let good: Decide = Arc::new(|_| Decision { state: Some(RunState::Done), ..Decision::default() });
    timeout(PATIENCE, store.runs.advance("run-1", None, NOW, good)).await.unwrap().unwrap();
}
