//! What SQLite in particular must do: groups, bounds, faults, plans. What every backend must do is in the
//! conformance suite.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod earlier;
mod faults;
mod plans;

use super::{Options, Sqlite};
use crate::jobs::{Added, Band, JobId, Jobs, NewJob};
use crate::{Error, Result, Time};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;

const NOW: Time = Time(1_750_000_000_000);

fn job(payload: Vec<u8>) -> NewJob {
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
        payload,
        replay_of: None,
        keep: true,
    }
}

fn options(folder: &Path) -> Options {
    Options { busy_max: Duration::from_millis(100), ..Options::new(folder.join("store.db")) }
}

async fn open() -> (Arc<Sqlite>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(Sqlite::open(options(folder.path())).await.unwrap()), folder)
}

/// A connection of somebody else's.
fn other(folder: &Path) -> Connection {
    Connection::open(folder.join("store.db")).unwrap()
}

async fn add(sqlite: &Sqlite, payload: Vec<u8>) -> Result<JobId> {
    match sqlite.add(vec![job(payload)], NOW).await?[..] {
        [Added::New(id)] => Ok(id),
        ref other => panic!("{other:?}"),
    }
}

/// Keeps the writer busy until what it gives is dropped, so that what is asked meanwhile is one group.
async fn hold(sqlite: &Arc<Sqlite>, asked: &mut JoinSet<Result<()>>) -> SyncSender<()> {
    let (release, held) = sync_channel(0);
    let (began, begun) = tokio::sync::oneshot::channel();
    let mut began = Some(began);
    let sqlite = Arc::clone(sqlite);
    asked.spawn(async move {
        let wait = move |_: &Connection| {
            let _ = began.take().map(|began| began.send(()));
            let _ = held.recv();
            Ok(())
        };
        sqlite.write(wait).await
    });
    begun.await.unwrap();
    release
}

fn insert(db: &Connection, name: &str) -> Result<()> {
    db.execute("INSERT INTO versions VALUES (?, 1)", [name])?;
    Ok(())
}

async fn inserted(sqlite: &Sqlite) -> Vec<String> {
    let names = sqlite.read(|db| {
        let mut sql = db.prepare("SELECT name FROM versions ORDER BY name")?;
        Ok(sql.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    });
    names.await.unwrap()
}

#[tokio::test]
async fn a_request_that_fails_is_undone_alone() {
    let (sqlite, _folder) = open().await;
    let mut asked = JoinSet::new();
    let release = hold(&sqlite, &mut asked).await;
    for (name, fate) in [("a", "well"), ("b", "fails"), ("c", "panics"), ("d", "breaks"), ("e", "well")] {
        let sqlite = Arc::clone(&sqlite);
        asked.spawn(async move {
            let work = move |db: &Connection| {
                insert(db, name)?;
                match fate {
                    "fails" => Err(Error::Refused("as it was told".to_owned())),
                    "panics" => panic!("as it was told"),
                    "breaks" => insert(db, name),
                    _ => Ok(()),
                }
            };
            let outcome = sqlite.write(work).await;
            assert_eq!(outcome.is_ok(), fate == "well", "{name}: {outcome:?}");
            Ok(())
        });
        tokio::task::yield_now().await;
    }
    drop(release);
    asked.join_all().await.into_iter().for_each(|outcome| outcome.unwrap());
    assert_eq!(inserted(&sqlite).await, ["a", "e"]);
}

#[tokio::test]
async fn a_request_whose_caller_has_gone_is_not_done() {
    let (sqlite, _folder) = open().await;
    let mut asked = JoinSet::new();
    let release = hold(&sqlite, &mut asked).await;
    {
        let given_up = sqlite.write(|db| insert(db, "given-up"));
        assert!(tokio::time::timeout(Duration::ZERO, given_up).await.is_err());
    }
    drop(release);
    sqlite.write(|db| insert(db, "wanted")).await.unwrap();
    assert_eq!(inserted(&sqlite).await, ["wanted"]);
}

#[tokio::test]
async fn what_waits_is_bounded_by_number_and_bytes() {
    let (sqlite, _folder) = open().await;
    let mut asked = JoinSet::new();
    let release = hold(&sqlite, &mut asked).await;
    let large = Arc::clone(&sqlite);
    asked.spawn(async move { large.write_large(60 << 20, |_| Ok(())).await });
    tokio::task::yield_now().await;
    for number in 0..200 {
        let sqlite = Arc::clone(&sqlite);
        asked.spawn(async move {
            let outcome = sqlite.write(|_| Ok(())).await;
            assert_eq!(outcome.is_ok(), number < 62, "{number}: {outcome:?}");
            Ok(())
        });
        tokio::task::yield_now().await;
    }
    drop(release);
    asked.join_all().await.into_iter().for_each(|outcome| outcome.unwrap());
    sqlite.write_large(64 << 20, |_| Ok(())).await.unwrap();
}

#[tokio::test]
async fn a_wait_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { wait_max: Duration::from_millis(50), ..options(folder.path()) };
    let sqlite = Arc::new(Sqlite::open(options).await.unwrap());
    let mut asked = JoinSet::new();
    let release = hold(&sqlite, &mut asked).await;
    assert!(matches!(asked.join_next().await, Some(Ok(Err(Error::Away(_))))));
    assert!(matches!(add(&sqlite, Vec::new()).await, Err(Error::Away(_))));
    drop(release);
    while add(&sqlite, Vec::new()).await.is_err() {}
}

#[tokio::test]
async fn every_commit_is_synced_and_room_is_given_back() {
    let (sqlite, _folder) = open().await;
    let pragma = async |name: &'static str| {
        sqlite
            .write(move |db| Ok(db.pragma_query_value(None, name, |row| row.get::<_, i64>(0))?))
            .await
            .unwrap()
    };
    assert_eq!(pragma("synchronous").await, 2, "FULL");
    assert_eq!(pragma("auto_vacuum").await, 2, "INCREMENTAL");
}
