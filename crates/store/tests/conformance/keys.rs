//! Callers' keys, and what was used.

use super::make::*;
use store::Store;
use store::keys::Key;
use store::usage::{Filter, Usage};

fn key(id: &str) -> Key {
    Key {
        id: id.to_owned(),
        hash: vec![1, 0, 255],
        tenant: "acme".to_owned(),
        settings: b"{}".to_vec(),
        created: NOW,
        revoked: None,
    }
}

pub async fn keys_are_added_once_and_revoked_once(store: &Store) {
    assert_eq!(store.keys.version().await.unwrap(), 0);
    assert!(store.keys.add(key("b")).await.unwrap());
    assert!(store.keys.add(key("a")).await.unwrap());
    assert_eq!(store.keys.version().await.unwrap(), 2);
    assert!(!store.keys.add(Key { hash: vec![2], ..key("a") }).await.unwrap());
    assert!(!store.keys.revoke("c", NOW).await.unwrap());
    assert_eq!(store.keys.version().await.unwrap(), 2, "nothing has changed");
    assert!(store.keys.revoke("a", NOW.after(SECOND)).await.unwrap());
    assert!(!store.keys.revoke("a", NOW.after(SECOND * 2)).await.unwrap());
    assert_eq!(store.keys.version().await.unwrap(), 3);
    let expected = [Key { revoked: Some(NOW.after(SECOND)), ..key("a") }, key("b")];
    assert_eq!(store.keys.all().await.unwrap(), expected);
}

pub async fn a_key_is_changed_only_by_who_knows_it_as_it_is(store: &Store) {
    assert!(store.keys.add(key("a")).await.unwrap());
    let change = async |was, tenant| store.keys.change(was, tenant, b"{\"x\":1}".to_vec()).await.unwrap();
    assert!(change(key("a"), "other").await);
    assert_eq!(store.keys.version().await.unwrap(), 2);
    let changed = Key { tenant: "other".to_owned(), settings: b"{\"x\":1}".to_vec(), ..key("a") };
    assert_eq!(store.keys.all().await.unwrap(), std::slice::from_ref(&changed));
    assert!(!change(key("a"), "third").await, "it is not so any more");
    assert!(!change(key("b"), "third").await, "there is none");
    assert!(store.keys.revoke("a", NOW).await.unwrap());
    assert!(!change(changed, "third").await, "it is revoked");
    assert_eq!(store.keys.version().await.unwrap(), 3);
}

fn usage(day: i32, key: &str, requests: u64) -> Usage {
    Usage {
        day,
        key: key.to_owned(),
        tenant: if key == "a" { "acme" } else { "other" }.to_owned(),
        model: "m".to_owned(),
        requests,
        hits: 1,
        failed: 2,
        tokens_in: 1 << 40,
        tokens_out: 4,
        cost_micro_usd: 5,
    }
}

pub async fn usage_adds_up_each_part_once(store: &Store) {
    store.ledger.add("empty", Vec::new()).await.unwrap();
    let part = || vec![usage(10, "a", 1), usage(10, "b", 1), usage(11, "a", 1)];
    store.ledger.add("part-1", part()).await.unwrap();
    store.ledger.add("part-1", part()).await.unwrap();
    store.ledger.add("part-2", vec![usage(10, "a", 6), usage(10, "a", 1)]).await.unwrap();
    let read = async |from, to, tenant: Option<&str>, key: Option<&str>| {
        let filter = Filter { from, to, tenant: tenant.map(str::to_owned), key: key.map(str::to_owned) };
        let rows = store.ledger.read(filter.clone(), 9).await.unwrap();
        let first = store.ledger.read(filter, 1).await.unwrap();
        assert_eq!(first, rows.iter().take(1).cloned().collect::<Vec<_>>(), "so many at most");
        rows
    };
    let sum = Usage {
        requests: 8,
        hits: 3,
        failed: 6,
        tokens_in: 3 << 40,
        tokens_out: 12,
        cost_micro_usd: 15,
        ..usage(10, "a", 0)
    };
    assert_eq!(read(10, 10, Some("acme"), None).await, std::slice::from_ref(&sum));
    assert_eq!(read(0, 99, None, Some("a")).await, [sum.clone(), usage(11, "a", 1)]);
    assert_eq!(read(0, 99, None, None).await, [sum, usage(10, "b", 1), usage(11, "a", 1)]);
    assert_eq!(read(11, 99, Some("other"), None).await, []);
}

pub async fn usage_of_long_ago_is_forgotten(store: &Store) {
    let days = |day: i32, keys: u64| (0..keys).map(move |key| usage(day, &format!("k{key:04}"), 1));
    let old: Vec<Usage> = days(9, 600).chain(days(10, 600)).collect();
    store.ledger.add("old", old.clone()).await.unwrap();
    store.ledger.add("young", days(11, 2).chain(days(12, 1)).collect()).await.unwrap();
    let left = async || {
        let filter = Filter { from: 0, to: 99, tenant: None, key: None };
        let rows = store.ledger.read(filter, 9999).await.unwrap();
        rows.iter().map(|row| (row.day, row.key.clone())).collect::<Vec<_>>()
    };
    assert_eq!(store.ledger.purge(9, 9999).await.unwrap(), 0, "nothing is so old");
    assert_eq!(store.ledger.purge(11, 0).await.unwrap(), 0);
    assert_eq!(store.ledger.purge(11, 700).await.unwrap(), 700, "so many at most");
    assert_eq!(
        (left().await.len(), left().await[0].clone()),
        (503, (10, "k0100".to_owned())),
        "the oldest first"
    );
    assert_eq!(store.ledger.purge(11, 9999).await.unwrap(), 500);
    assert_eq!(store.ledger.purge(11, 9999).await.unwrap(), 0);
    let young = [(11, "k0000"), (11, "k0001"), (12, "k0000")].map(|(day, key)| (day, key.to_owned()));
    assert_eq!(left().await, young);
    store.ledger.add("old", old).await.unwrap();
    assert_eq!(left().await, young, "what is forgotten is not added again");
}
