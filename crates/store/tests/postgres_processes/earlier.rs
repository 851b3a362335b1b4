//! Databases that an earlier release has made and filled, and replicas of it that still run.

use super::*;
use store::jobs::{Cancel, State};

/// The schema of the first release. It never changes.
const FIRST: [&str; 2] = [
    include_str!("../../src/postgres/schema/1_tables.sql"),
    include_str!("../../src/postgres/schema/2_functions.sql"),
];

/// A database as the first release left it, with a job in each of these states.
async fn earlier(states: &[State]) -> String {
    let database = SERVER.create_database();
    let (client, _task) = session(&SERVER, &database).await;
    let notes = "CREATE TABLE tidegate_schema (
            version bigint PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now()
        ); INSERT INTO tidegate_schema VALUES (1), (2)";
    client.batch_execute(&format!("{};{};{notes}", FIRST[0], FIRST[1])).await.unwrap();
    for state in states {
        let (state, at) = (*state as i64, NOW.0);
        let sql = format!(
            "INSERT INTO tidegate_jobs (
                 id, run_at, created, attempts_max, state, band, keep, queue, tenant, kind, payload, lease_until, ended
             ) VALUES (
                 nextval('tidegate_job_ids'), {at}, {at}, 3, {state}, 1, true, 'default', 'acme', 'test', 'x',
                 CASE WHEN {state} = 2 THEN {at} + 30000 END, CASE WHEN {state} > 2 THEN {at} END
             )"
        );
        client.batch_execute(&sql).await.unwrap();
    }
    database
}

#[tokio::test]
async fn a_database_of_the_first_release_is_carried_over() {
    let all = [State::Scheduled, State::Ready, State::Running, State::Done, State::Dead, State::Cancelled];
    let database = earlier(&all).await;
    for _ in 0..2 {
        let store = open(Options::new(SERVER.url(&database))).await;
        for (id, state) in (1..).zip(all) {
            let found = store.jobs.get(JobId(id), None).await.unwrap().unwrap();
            assert_eq!((found.state, found.new.payload.as_slice()), (state, b"x".as_slice()));
        }
        assert_eq!(store.jobs.untold(9).await.unwrap(), [], "who ended long ago is not told of");
        assert_eq!(store.jobs.backlog("acme", 9).await.unwrap(), 2);
    }
    let store = open(Options::new(SERVER.url(&database))).await;
    let ready = store.jobs.claim(claim(9)).await.unwrap().jobs.remove(0).lease;
    assert_eq!((ready.id, store.jobs.finish(vec![done(ready)]).await.unwrap()), (JobId(2), vec![true]));
    assert_eq!(store.jobs.cancel(JobId(1), None, NOW).await.unwrap(), Cancel::Done);
    let untold: Vec<JobId> = store.jobs.untold(9).await.unwrap().iter().map(|job| job.id).collect();
    assert_eq!(untold, [JobId(1)]);
    add(&store, job("new")).await.unwrap();
}

/// Replicas are replaced one by one: those of the release before call its functions until they are.
#[tokio::test]
async fn a_replica_of_the_first_release_goes_on_beside_a_newer_one() {
    let database = earlier(&[State::Ready]).await;
    drop(open(Options::new(SERVER.url(&database))).await);
    let at = NOW.0;
    let deal = format!(
        "SELECT id, token FROM tidegate_deal_1('default', '{{1}}', '{{\"\"}}', 9, 'worker', {at} + 30000, {at})"
    );
    assert_eq!(SERVER.tell(&database, &deal), "1|1");
    let finish = format!(
        "SELECT id, token FROM tidegate_finish_1(
             '{{1}}', '{{1}}', '{{{at}}}', '{{0}}', '{{NULL}}', '{{NULL}}', '{{NULL}}', '{{NULL}}', '{{NULL}}',
             '{{NULL}}', '{{NULL}}', '{{NULL}}'
         )"
    );
    assert_eq!(SERVER.tell(&database, &finish), "1|1");
    assert_eq!(SERVER.tell(&database, "SELECT state, untold FROM tidegate_jobs"), "3|f");
}
