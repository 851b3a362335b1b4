//! Files that an earlier release has made and filled.

use super::{NOW, open, options, other};
use crate::jobs::{Cancel, JobId, Jobs, State};
use crate::sqlite::Sqlite;
use crate::sqlite::migrate::{APPLICATION, STEPS};
use std::path::Path;

/// How many steps the first release had.
const FIRST: usize = 6;

/// Makes a file as the first release left it, with a job in each of these states.
fn make(folder: &Path, states: &[State]) {
    let db = other(folder);
    for step in &STEPS[..FIRST] {
        db.execute_batch(step).unwrap();
    }
    db.pragma_update(None, "user_version", i64::try_from(FIRST).unwrap()).unwrap();
    db.pragma_update(None, "application_id", APPLICATION).unwrap();
    for state in states {
        let (state, at) = (*state as i64, NOW.0);
        db.execute_batch(&format!(
            "INSERT INTO jobs (state, queue, band, tenant, kind, run_at, attempts_max, keep, created, lease_until, ended)
             VALUES ({state}, 'default', 1, 'acme', 'test', {at}, 3, 1, {at},
                 CASE WHEN {state} = 2 THEN {at} + 30000 END, CASE WHEN {state} > 2 THEN {at} END);
             INSERT INTO job_payloads SELECT max(id), x'78' FROM jobs"
        ))
        .unwrap();
    }
}

#[tokio::test]
async fn a_file_of_the_first_release_is_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let all = [State::Scheduled, State::Ready, State::Running, State::Done, State::Dead, State::Cancelled];
    make(folder.path(), &all);
    for _ in 0..2 {
        let sqlite = Sqlite::open(options(folder.path())).await.unwrap();
        for (id, state) in (1..).zip(all) {
            let found = Jobs::get(&sqlite, JobId(id), None).await.unwrap().unwrap();
            assert_eq!((found.state, found.new.payload.as_slice()), (state, b"x".as_slice()));
        }
        assert_eq!(sqlite.untold(9).await.unwrap(), [], "who ended long ago is not told of");
        assert_eq!(sqlite.backlog("acme", 9).await.unwrap(), 2);
    }
    let sqlite = Sqlite::open(options(folder.path())).await.unwrap();
    assert_eq!(Jobs::cancel(&sqlite, JobId(1), None, NOW).await.unwrap(), Cancel::Done);
    let untold: Vec<JobId> = sqlite.untold(9).await.unwrap().iter().map(|job| job.id).collect();
    assert_eq!(untold, [JobId(1)]);
}

/// Both ways to this release's schema lead to the same.
#[tokio::test]
async fn a_file_carried_over_is_as_one_made_new() {
    let (_new, new) = open().await;
    let old = tempfile::tempdir().unwrap();
    make(old.path(), &[]);
    drop(Sqlite::open(options(old.path())).await.unwrap());
    let schema = |folder: &Path| {
        let db = other(folder);
        let mut sql =
            db.prepare("SELECT type || name || coalesce(sql, '') FROM sqlite_schema ORDER BY 1").unwrap();
        let rows = sql.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<rusqlite::Result<Vec<String>>>().unwrap()
    };
    assert_eq!(schema(old.path()), schema(new.path()));
}
