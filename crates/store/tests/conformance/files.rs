//! Files.

use super::make::*;
use store::files::File;
use store::{Store, Time};

fn file(id: &str) -> File {
    File {
        id: id.to_owned(),
        tenant: "acme".to_owned(),
        purpose: "batch".to_owned(),
        name: "in.jsonl".to_owned(),
        bytes: 3,
        created: NOW,
        expires: None,
    }
}

async fn bring(store: &Store, file: File) {
    store.files.write(&file.id, 0, b"one".to_vec(), NOW).await.unwrap();
    store.files.close(file).await.unwrap();
}

async fn piece(store: &Store, id: &str, number: u32) -> Option<Vec<u8>> {
    store.files.read(id, number).await.unwrap()
}

async fn sweep(store: &Store, now: Time, abandoned: Time) -> u64 {
    store.files.sweep(now, abandoned, 10).await.unwrap()
}

pub async fn a_file_is_found_once_it_is_whole(store: &Store) {
    let large = vec![7; 1 << 20];
    store.files.write("file-1", 1, large.clone(), NOW).await.unwrap();
    store.files.write("file-1", 0, b"first".to_vec(), NOW).await.unwrap();
    store.files.write("file-1", 0, b"first".to_vec(), NOW).await.unwrap();
    assert_eq!(store.files.file("file-1", None).await.unwrap(), None);
    let whole = File { bytes: 5 + (1 << 20), expires: Some(NOW.after(SECOND)), ..file("file-1") };
    store.files.close(whole.clone()).await.unwrap();
    store.files.close(whole.clone()).await.unwrap();
    assert_eq!(store.files.file("file-1", Some("acme")).await.unwrap(), Some(whole));
    assert_eq!(store.files.file("file-1", Some("other")).await.unwrap(), None);
    assert_eq!(piece(store, "file-1", 0).await.unwrap(), b"first");
    assert_eq!(piece(store, "file-1", 1).await.unwrap(), large);
    assert_eq!(piece(store, "file-1", 2).await, None);
    store.files.write("file-1", 2, b"late".to_vec(), NOW).await.unwrap();
    assert_eq!(piece(store, "file-1", 2).await, None, "it is closed");
}

pub async fn files_are_listed_from_the_newest_on(store: &Store) {
    for number in 0..4 {
        let purpose = ["batch", "other"][number % 2].to_owned();
        bring(store, File { purpose, ..file(&format!("file-{number}")) }).await;
    }
    bring(store, File { tenant: "other".to_owned(), ..file("file-9") }).await;
    let list = async |purpose, before, limit| {
        let found = store.files.list("acme", purpose, before, limit).await.unwrap();
        found.into_iter().map(|file| file.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 9).await, ["file-3", "file-2", "file-1", "file-0"]);
    assert_eq!(list(None, Some("file-2"), 1).await, ["file-1"]);
    assert_eq!(list(Some("batch"), None, 9).await, ["file-2", "file-0"]);
}

pub async fn a_removed_file_is_gone_with_its_pieces(store: &Store) {
    for number in 0..40 {
        store.files.write("file-1", number, vec![1; 1000], NOW).await.unwrap();
    }
    bring(store, file("file-2")).await;
    store.files.close(file("file-1")).await.unwrap();
    assert!(!store.files.remove("file-1", Some("other")).await.unwrap());
    assert!(store.files.remove("file-1", Some("acme")).await.unwrap());
    assert!(!store.files.remove("file-1", None).await.unwrap());
    for number in 0..40 {
        assert_eq!(piece(store, "file-1", number).await, None);
    }
    assert!(piece(store, "file-2", 0).await.is_some(), "the other stays");
}

pub async fn what_is_expired_or_abandoned_is_swept(store: &Store) {
    bring(store, file("file-kept")).await;
    bring(store, File { expires: Some(NOW.after(SECOND)), ..file("file-expires") }).await;
    store.files.write("file-begun", 0, b"one".to_vec(), NOW).await.unwrap();
    assert_eq!(sweep(store, NOW, NOW).await, 0);
    assert_eq!(sweep(store, NOW.after(SECOND * 2), NOW).await, 1);
    assert_eq!(piece(store, "file-expires", 0).await, None);
    assert_eq!(store.files.file("file-expires", None).await.unwrap(), None);
    assert!(piece(store, "file-begun", 0).await.is_some(), "not begun before");
    assert_eq!(sweep(store, NOW, NOW.after(SECOND)).await, 1);
    assert_eq!(piece(store, "file-begun", 0).await, None);
    assert!(piece(store, "file-kept", 0).await.is_some());
}
