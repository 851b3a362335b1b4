//! Stored keys in a gateway: in force at once, found again, and never a reason to let strangers in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use super::Row;
use crate::auth::Caller;
use crate::durable::{Fault, Open};
use crate::keys::FreshKey;
use crate::stand::Stand;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::path::Path;
use std::sync::Arc;
use store::Time;
use wire::failure::Failure;

/// A key's row, and the key.
fn made() -> (Row, String) {
    let key = FreshKey::make(None).unwrap();
    let hash = key.hash.as_bytes().to_vec();
    let (tenant, settings) = ("search".to_owned(), b"{}".to_vec());
    (Row { id: key.id, hash, tenant, settings, created: Time(1), revoked: None }, key.text)
}

/// Adds it to the store, and waits until it is in force.
async fn add(stand: &Stand, row: Row) {
    let durable = &stand.gateway.durable;
    let add = async move |open: Arc<Open>| -> Result<_, Fault> { Ok(open.store.keys.add(row).await?) };
    assert!(durable.ask(add).await.unwrap());
    assert!(durable.keys.look().await);
}

async fn revoke(stand: &Stand, id: &str) {
    let (durable, id) = (&stand.gateway.durable, id.to_owned());
    let revoke =
        async move |open: Arc<Open>| -> Result<_, Fault> { Ok(open.store.keys.revoke(&id, Time(2)).await?) };
    assert!(durable.ask(revoke).await.unwrap());
    assert!(durable.keys.look().await);
}

/// What somebody with this key, or without one, is told.
fn told(stand: &Stand, key: Option<&str>) -> Result<String, u16> {
    let value = key.map(|key| format!("Bearer {key}").parse().unwrap());
    let headers: HeaderMap = value.map(|value| (AUTHORIZATION, value)).into_iter().collect();
    let identified: Result<Caller, Failure> = stand.gateway.snapshot(1).callers.identify(&headers);
    identified.map(|caller| caller.tenant().to_owned()).map_err(|failure| failure.kind().status())
}

/// A file where the store's folder should be: the database cannot be opened.
const AWAY: &str = "store.url = 'sqlite:/dev/null/tidegate.db'\n";

fn copy(folder: &Path) -> std::path::PathBuf {
    folder.join("keys.cache")
}

#[tokio::test]
async fn a_stored_key_is_valid_at_once_and_not_any_more_when_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "");
    let (row, key) = made();
    assert_eq!(told(&stand, None), Ok(String::new()), "open, without any key");
    add(&stand, row.clone()).await;
    assert_eq!(told(&stand, Some(&key)), Ok("search".to_owned()));
    assert_eq!(told(&stand, None), Err(401), "from now on callers need one");
    revoke(&stand, &row.id).await;
    assert_eq!((told(&stand, Some(&key)), told(&stand, None)), (Err(401), Err(401)));
}

#[tokio::test]
async fn a_reload_keeps_stored_keys_and_the_files_own_wins() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "");
    let (row, key) = made();
    add(&stand, row.clone()).await;
    let other = FreshKey::make(Some(&row.id)).unwrap();
    let of_file = format!("[[keys]]\nid = '{}'\nhash = '{}'\ntenant = 'file'\n", row.id, other.hash);
    stand.reload(&of_file);
    assert_eq!(
        (told(&stand, Some(&key)), told(&stand, Some(&other.text))),
        (Err(401), Ok("file".to_owned()))
    );
    stand.reload("");
    assert_eq!(
        (told(&stand, Some(&key)), told(&stand, Some(&other.text))),
        (Ok("search".to_owned()), Err(401))
    );
}

#[tokio::test]
async fn the_next_start_knows_them_before_its_database_answers() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "");
    let (row, key) = made();
    add(&stand, row).await;
    stand.drain();
    let text = std::fs::read_to_string(copy(folder.path())).unwrap();
    assert!(!text.contains(&key[16..]), "no secret");

    // Not begun: nothing but the copy is read.
    let stand = Stand::start(&format!("data = '{}'\n", folder.path().display()));
    assert_eq!(told(&stand, Some(&key)), Ok("search".to_owned()));
    assert_eq!(told(&stand, None), Err(401));
    assert_eq!(told(&stand, Some(&made().1)), Err(503), "the store may know it");
}

#[tokio::test]
async fn a_store_that_was_emptied_opens_nothing_and_neither_does_a_torn_copy() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "");
    let (row, key) = made();
    add(&stand, row).await;
    stand.drain();
    for name in ["tidegate.db", "tidegate.db-wal", "tidegate.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(name));
    }
    for turn in ["emptied", "and started again"] {
        let stand = Stand::lasting(folder.path(), "");
        stand.open().await;
        assert!(stand.gateway.durable.keys.look().await);
        assert_eq!((told(&stand, Some(&key)), told(&stand, None)), (Err(401), Err(401)), "{turn}");
        stand.drain();
    }
    std::fs::write(copy(folder.path()), "torn").unwrap();
    let stand = Stand::lasting(folder.path(), "");
    assert_eq!(told(&stand, None), Err(401));
}

#[tokio::test]
async fn while_a_store_is_away_of_which_nothing_is_known_keys_are_told_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), AWAY);
    stand.gateway.durable.settled().await;
    assert_eq!(told(&stand, Some(&made().1)), Err(503));
    assert_eq!(told(&stand, Some("unused")), Ok(String::new()), "no key's form: as without one");
    assert_eq!(told(&stand, None), Ok(String::new()));
    drop(stand);
    let stand = Stand::lasting(folder.path(), &format!("{AWAY}[server]\nkeys = 'required'\n"));
    assert_eq!(told(&stand, Some(&made().1)), Err(503));
    assert_eq!((told(&stand, Some("unused")), told(&stand, None)), (Err(401), Err(401)));
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_not_valid_and_leaves_the_others_be() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "");
    let ((row, key), (strange, strangers)) = (made(), made());
    add(&stand, Row { settings: br#"{"budget":1}"#.to_vec(), ..strange }).await;
    add(&stand, row).await;
    assert_eq!(
        (told(&stand, Some(&key)), told(&stand, Some(&strangers))),
        (Ok("search".to_owned()), Err(401))
    );
}

#[tokio::test]
async fn another_process_with_the_same_file_sees_what_is_made_here() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let url = format!("store.url = 'sqlite:{}'\n", folder.path().join("both.db").display());
    let (one, other) = (Stand::lasting(&here, &url), Stand::lasting(&there, &url));
    let (row, key) = made();
    add(&one, row.clone()).await;
    while told(&other, Some(&key)).is_err() || told(&other, None).is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    revoke(&other, &row.id).await;
    while told(&one, Some(&key)).is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_asked_of_keys_that_are_no_store_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "");
    assert!(!stand.gateway.durable.has_store());
    stand.drain();
    assert!(!copy(folder.path()).exists() && !folder.path().join("tidegate.db").exists());
}
