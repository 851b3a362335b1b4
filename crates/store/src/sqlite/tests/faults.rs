//! Files that are not for us, locks of others, and disks without room.

use super::{add, hold, job, open, options, other};
use crate::files::{File, Files};
use crate::jobs::{Filter, JobId, Jobs};
use crate::sqlite::{Options, Sqlite};
use crate::{Error, Result};
use std::sync::Arc;
use tokio::task::JoinSet;

use super::NOW;

async fn all(sqlite: &Sqlite) -> Vec<JobId> {
    let jobs = Jobs::list(sqlite, Filter::default(), None, u32::MAX).await.unwrap();
    jobs.iter().rev().map(|job| job.id).collect()
}

#[tokio::test]
async fn an_address_names_a_file() {
    for (place, path) in
        [("a.db", "a.db"), ("//a.db", "a.db"), ("///tmp/a.db", "/tmp/a.db"), ("/a b", "/a b")]
    {
        assert_eq!(Options::at(place).unwrap(), Options::new(path), "{place}");
    }
    for place in ["", "//", ":memory:", "a.db?mode=ro", "file:a.db"] {
        assert!(matches!(Options::at(place), Err(Error::Address(_))), "{place}");
    }
}

#[tokio::test]
async fn only_a_file_that_does_not_exist_is_blank() {
    let (_sqlite, folder) = open().await;
    let is_blank = |place: &str| crate::Options::new(place).is_blank();
    let at = |name: &str| format!("sqlite:{}/{name}", folder.path().display());
    assert!(is_blank(&at("other.db")) && is_blank(&at("no/folder/yet.db")));
    // A file in the place of a folder, another kind of database, what is no address: opening will tell.
    for place in [&at("store.db"), &at("store.db/other.db"), "postgres://127.0.0.1/none", "sqlite:", "none"] {
        assert!(!is_blank(place), "{place}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let (sqlite, folder) = open().await;
    other(folder.path()).pragma_update(None, "user_version", 99).unwrap();
    let again = Sqlite::open(options(folder.path())).await;
    assert!(matches!(again.map(drop), Err(Error::TooNew { found: 99, known: 8 })));
    add(&sqlite, Vec::new()).await.unwrap();
}

#[tokio::test]
async fn another_programs_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    other(folder.path()).execute_batch("CREATE TABLE theirs (x)").unwrap();
    let opened = Sqlite::open(options(folder.path())).await;
    assert!(matches!(opened.map(drop), Err(Error::Corrupt(_))));

    std::fs::write(
        folder.path().join("store.db"),
        "no database at all, but long enough to be one ".repeat(99),
    )
    .unwrap();
    let opened = Sqlite::open(options(folder.path())).await;
    assert!(matches!(opened.map(drop), Err(Error::Corrupt(_))));
}

#[tokio::test]
async fn a_file_that_cannot_be_had_is_away() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("store.db")).unwrap();
    let opened = Sqlite::open(options(folder.path())).await;
    assert!(matches!(opened.map(drop), Err(Error::Away(_))));
}

#[tokio::test]
async fn several_that_open_at_once_make_one_schema() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = JoinSet::new();
    for _ in 0..8 {
        let options = Options { busy_max: std::time::Duration::from_secs(9), ..options(folder.path()) };
        all.spawn(async move { add(&Sqlite::open(options).await?, Vec::new()).await });
    }
    let mut ids: Vec<i64> = all.join_all().await.into_iter().map(|id| id.unwrap().0).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn while_another_holds_the_lock_it_is_away_and_reads_go_on() {
    let (sqlite, folder) = open().await;
    let before = add(&sqlite, Vec::new()).await.unwrap();
    let other = other(folder.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..3 {
        assert!(matches!(add(&sqlite, Vec::new()).await, Err(Error::Away(_))));
        assert_eq!(all(&sqlite).await, [before]);
    }
    other.execute_batch("COMMIT").unwrap();
    let after = add(&sqlite, Vec::new()).await.unwrap();
    assert_eq!(all(&sqlite).await, [before, after], "what was refused was not done");
}

#[tokio::test]
async fn a_full_disk_keeps_what_was_acknowledged_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { pages_max: Some(1000), ..options(folder.path()) };
    let sqlite = Arc::new(Sqlite::open(options).await.unwrap());
    bring_file(&sqlite).await;
    let mut acknowledged = Vec::new();
    let refused = loop {
        match add(&sqlite, vec![1; 100_000]).await {
            Ok(id) => acknowledged.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Away(_)), "{refused}");
    assert_eq!(all(&sqlite).await, acknowledged);

    // One that finds no room does not take its neighbours with it.
    let (mut asked, mut others) = (JoinSet::new(), JoinSet::new());
    let release = hold(&sqlite, &mut asked).await;
    for payload in [vec![0; 1], vec![0; 500_000], vec![0; 1]] {
        let sqlite = Arc::clone(&sqlite);
        others.spawn(async move { (payload.len(), sqlite.add(vec![job(payload)], NOW).await) });
        tokio::task::yield_now().await;
    }
    drop(release);
    for (len, outcome) in others.join_all().await {
        assert_eq!(outcome.is_ok(), len == 1, "{len}: {outcome:?}");
    }
    assert_eq!(all(&sqlite).await.len(), acknowledged.len() + 2);

    assert!(sqlite.remove("file-1", None).await.unwrap());
    add(&sqlite, vec![1; 500_000]).await.unwrap();
}

async fn bring_file(sqlite: &Sqlite) {
    Files::write(sqlite, "file-1", 0, vec![0; 1_000_000], NOW).await.unwrap();
    let file = File {
        id: "file-1".to_owned(),
        tenant: "acme".to_owned(),
        purpose: "batch".to_owned(),
        name: "in.jsonl".to_owned(),
        bytes: 1_000_000,
        created: NOW,
        expires: None,
    };
    sqlite.close(file).await.unwrap();
}

#[tokio::test]
async fn free_room_is_given_back_to_the_disk() {
    let (sqlite, folder) = open().await;
    for piece in 0..40 {
        Files::write(&*sqlite, "file-1", piece, vec![1; 1 << 20], NOW).await.unwrap();
    }
    let bytes = || {
        other(folder.path()).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        std::fs::metadata(folder.path().join("store.db")).unwrap().len()
    };
    let full = bytes();
    assert!(full > 40 << 20);
    let swept = sqlite.sweep(NOW, NOW.after(std::time::Duration::from_secs(1)), 9).await.unwrap();
    assert_eq!(swept, 1);
    assert!(bytes() < 25 << 20, "{} of {full}", bytes());
}

#[tokio::test]
async fn a_damaged_file_is_told_from_one_that_is_away() {
    let (sqlite, folder) = open().await;
    for _ in 0..100 {
        add(&sqlite, vec![1; 10_000]).await.unwrap();
    }
    drop(sqlite);
    let log = folder.path().join("store.db-wal");
    while log.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let path = folder.path().join("store.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let outcome: Result<()> = async {
        let sqlite = Sqlite::open(options(folder.path())).await?;
        Jobs::list(&sqlite, Filter::default(), None, 10).await.map(drop)
    }
    .await;
    assert!(matches!(outcome, Err(Error::Corrupt(_))), "{outcome:?}");
}
