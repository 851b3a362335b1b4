//! The suite that every tier runs. It holds a tier to what [`Tier`] promises.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Tier;
use crate::clock::Millis;
use crate::entry::{Entry, Lifetime};
use crate::epochs::{Stamp, Tag};
use crate::key::Key;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Whether a tier keeps anything at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// What is put is found, while it is fresh and within bounds.
    Entries,
    /// Nothing is ever found.
    Nothing,
}

/// A key of a number.
pub(crate) fn key(number: u64) -> Key {
    Key::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

/// An entry that lives for a minute and can be served for another.
pub(crate) fn entry(body: impl Into<Bytes>) -> Arc<Entry> {
    let lifetime = Lifetime { fresh: Duration::from_secs(60), stale: Duration::from_secs(60) };
    let info = Bytes::from_static(b"\x00info\xff");
    Arc::new(Entry::new(body.into(), info, lifetime, Stamp(7), &[Tag(1), Tag(u64::MAX)]))
}

/// Runs every clause of the contract.
///
/// A tier whose writes land in the background makes `put` wait for them, or wraps itself for this.
pub(crate) async fn run(tier: &impl Tier, keeps: Keeps) {
    what_is_put_is_found_unchanged(tier, keeps).await;
    the_last_put_counts(tier, keeps).await;
    nothing_expired_is_served(tier).await;
    what_is_removed_is_gone(tier, keeps).await;
    keys_do_not_mix(tier, keeps).await;
    expired_entries_are_cleared(tier, keeps).await;
}

async fn find(tier: &impl Tier, key: &Key, keeps: Keeps) -> Option<Arc<Entry>> {
    let found = tier.get(key, Millis::now()).await.unwrap();
    assert_eq!(found.is_some(), keeps == Keeps::Entries, "{:?} under {key}", tier.name());
    found
}

async fn what_is_put_is_found_unchanged(tier: &impl Tier, keeps: Keeps) {
    let text = "All that a tier is given must come back, byte for byte. ".repeat(400);
    let random: Vec<u8> = (0..40_000).map(|_| fastrand::u8(..)).collect();
    let bodies = [Bytes::new(), "x".into(), Bytes::from(text[..900].to_owned()), text.into(), random.into()];
    for (number, body) in (100..).zip(bodies) {
        let (key, put) = (key(number), entry(body.clone()));
        tier.put(&key, &put).await.unwrap();
        if let Some(found) = find(tier, &key, keeps).await {
            assert_eq!(found.body.to_plain().unwrap(), body);
            assert_eq!(found.body.plain_len(), body.len());
            assert_eq!(Entry { body: put.body.clone(), ..Entry::clone(&found) }, *put);
        }
    }
    assert_eq!(tier.get(&key(99), Millis::now()).await.unwrap(), None);
}

async fn the_last_put_counts(tier: &impl Tier, keeps: Keeps) {
    for body in ["first", "second", "third"] {
        tier.put(&key(200), &entry(body)).await.unwrap();
    }
    if let Some(found) = find(tier, &key(200), keeps).await {
        assert_eq!(found.body.to_plain().unwrap(), "third");
    }
}

async fn nothing_expired_is_served(tier: &impl Tier) {
    let put = entry("soon over");
    tier.put(&key(300), &put).await.unwrap();
    assert_eq!(tier.get(&key(300), put.stale_until).await.unwrap(), None);

    let over = Entry { fresh_until: Millis(1), stale_until: Millis(2), ..Entry::clone(&put) };
    tier.put(&key(301), &Arc::new(over)).await.unwrap();
    assert_eq!(tier.get(&key(301), Millis::now()).await.unwrap(), None);
}

async fn what_is_removed_is_gone(tier: &impl Tier, keeps: Keeps) {
    tier.put(&key(400), &entry("x")).await.unwrap();
    find(tier, &key(400), keeps).await;
    tier.remove(&key(400)).await.unwrap();
    assert_eq!(tier.get(&key(400), Millis::now()).await.unwrap(), None);
    tier.remove(&key(400)).await.unwrap();
    tier.put(&key(400), &entry("y")).await.unwrap();
    find(tier, &key(400), keeps).await;
}

async fn keys_do_not_mix(tier: &impl Tier, keeps: Keeps) {
    for number in 500..600 {
        tier.put(&key(number), &entry(number.to_string())).await.unwrap();
    }
    for number in 500..600 {
        if let Some(found) = find(tier, &key(number), keeps).await {
            assert_eq!(found.body.to_plain().unwrap(), number.to_string());
        }
    }
}

async fn expired_entries_are_cleared(tier: &impl Tier, keeps: Keeps) {
    let put = entry("stays");
    tier.put(&key(700), &put).await.unwrap();
    tier.clear_expired(Millis::now()).await.unwrap();
    find(tier, &key(700), keeps).await;
    tier.clear_expired(put.stale_until).await.unwrap();
    assert_eq!(tier.get(&key(700), put.stale_until).await.unwrap(), None);
}
