//! What one replica invalidates, no other serves.

use super::server::Server;
use super::{PATIENCE, Replica, bounded, eventually, options};
use crate::clock::Millis;
use crate::entry::{Entry, codec};
use crate::epochs::{Stamp, Tag};
use crate::tier::conformance::{entry, key};
use crate::tier::{Error, Tier, TierName};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const TAG: Tag = Tag(0xdead_beef_0000_0001);

/// An answer made by `replica` now.
fn made(replica: &Replica, body: &str) -> Arc<Entry> {
    made_since(replica.cache.stamp(), body)
}

fn made_since(stamp: Stamp, body: &str) -> Arc<Entry> {
    Arc::new(Entry { stamp, tags: [TAG].as_slice().into(), ..Entry::clone(&entry(body.to_owned())) })
}

async fn serves(replica: &Replica) -> bool {
    bounded(replica.cache.get(&key(1), Millis::now())).await.is_some()
}

async fn pair(server: &Server) -> (Replica, Replica) {
    (Replica::join(options(server.url())).await, Replica::join(options(server.url())).await)
}

/// The last number that Redis gave.
async fn last(server: &Server, replica: &Replica) -> u64 {
    server.ask(redis::cmd("GET").arg(&replica.redis.0.names.epochs[0])).await.unwrap()
}

/// Waits until `replica` knows whatever Redis knows now.
async fn hears(server: &Server, replica: &Replica) {
    let last = last(server, replica).await;
    eventually("in step", async || replica.known() >= last).await;
}

#[tokio::test]
async fn reaches_other_replicas_and_what_is_made_afterwards_is_shared_again() {
    let server = Server::start(&[]).await;
    let (a, b) = pair(&server).await;
    for round in 0..5 {
        a.cache.store(&key(1), made(&a, "old")).await;
        eventually("shared", async || serves(&b).await).await;
        a.cache.invalidate(&[TAG]).await.unwrap();
        assert!(!serves(&a).await, "round {round}");
        hears(&server, &b).await;
        assert!(!serves(&b).await, "round {round}");
        hears(&server, &a).await;
    }
}

#[tokio::test]
async fn reaches_a_replica_that_joins_later() {
    let server = Server::start(&[]).await;
    let a = Replica::join(options(server.url())).await;
    let old = made(&a, "old");
    a.cache.invalidate(&[TAG]).await.unwrap();
    let b = Replica::join(options(server.url())).await;
    assert!(!b.epochs.is_valid(&old));
    assert!(b.epochs.is_valid(&made(&b, "new")));
}

#[tokio::test]
async fn reaches_what_is_being_made() {
    let server = Server::start(&[]).await;
    let (a, b) = pair(&server).await;
    let begun = b.cache.stamp();
    a.cache.invalidate(&[TAG]).await.unwrap();
    // B may not have heard yet; nobody may be served this, now or later.
    bounded(b.redis.put(&key(1), &made_since(begun, "stale"))).await.unwrap();
    assert!(!serves(&a).await);
    hears(&server, &b).await;
    assert!(!serves(&b).await);
}

#[tokio::test]
async fn waits_for_redis_to_come_back() {
    let mut server = Server::start(&[]).await;
    let (a, b) = pair(&server).await;
    let old = made(&b, "old");
    b.cache.store(&key(1), old.clone()).await;
    server.kill();
    let failed = bounded(a.cache.invalidate(&[TAG])).await.unwrap_err();
    assert!(
        matches!(&failed[..], [(TierName::Redis, Error::Unavailable(why))] if why.contains("is back")),
        "{failed:?}"
    );
    assert!(!a.epochs.is_valid(&old));
    assert_eq!(a.redis.health().pending_tags, 1);
    server.restart().await;
    eventually("told", async || a.redis.health().pending_tags == 0 && !b.epochs.is_valid(&old)).await;
    assert!(!serves(&b).await);
}

#[tokio::test]
async fn waits_for_a_frozen_redis_and_is_believed_meanwhile() {
    let server = Server::start(&[]).await;
    let (a, b) = pair(&server).await;
    let old = made(&b, "old");
    b.cache.store(&key(1), old.clone()).await;
    server.freeze();
    assert!(bounded(a.cache.invalidate(&[TAG])).await.is_err());
    server.thaw();
    let thawed = async {
        while a.redis.health().pending_tags > 0 || b.epochs.is_valid(&old) {
            assert!(!serves(&a).await);
        }
    };
    timeout(PATIENCE, thawed).await.unwrap();
    assert!(!serves(&b).await);
}

#[tokio::test]
async fn what_redis_was_not_told_of_is_not_believed_from_it() {
    let server = Server::start(&[]).await;
    let a = Replica::join(options(server.url())).await;
    // Another replica's answer, numbered above all that A has heard of.
    let ahead = made_since(Stamp(a.known() + 3_600_000_000), "old");
    let name = a.redis.0.names.entry(&key(1));
    let value = codec::encode(&key(1), &ahead);
    let _: () = server.ask(redis::cmd("SET").arg(&name).arg(&value[..])).await.unwrap();
    server.tell("CONFIG SET min-replicas-to-write 1").await;
    assert!(bounded(a.cache.invalidate(&[TAG])).await.is_err());
    assert_eq!(bounded(a.redis.get(&key(1), Millis::now())).await, Ok(None));
}

#[tokio::test]
async fn what_is_known_to_be_stale_is_not_stored() {
    let server = Server::start(&[]).await;
    let a = Replica::join(options(server.url())).await;
    let begun = a.cache.stamp();
    a.cache.invalidate(&[TAG]).await.unwrap();
    bounded(a.redis.put(&key(1), &made_since(begun, "stale"))).await.unwrap();
    let name = a.redis.0.names.entry(&key(1));
    assert_eq!(server.ask::<u64>(redis::cmd("EXISTS").arg(&name)).await, Ok(0));
}

#[tokio::test]
async fn is_not_lost_with_its_caller() {
    let server = Server::start(&[]).await;
    let (a, b) = pair(&server).await;
    let old = made(&b, "old");
    {
        let mut invalidating = std::pin::pin!(a.cache.invalidate(&[TAG]));
        assert!(futures_util::poll!(&mut invalidating).is_pending());
    }
    assert!(!a.epochs.is_valid(&old));
    eventually("heard", async || !b.epochs.is_valid(&old)).await;
}

#[tokio::test]
async fn outlives_the_memory_of_redis() {
    let mut server = Server::start(&[]).await;
    let a = Replica::join(options(server.url())).await;
    let old = made(&a, "old");
    a.cache.invalidate(&[TAG]).await.unwrap();
    let number = last(&server, &a).await;
    server.kill();
    server.restart().await;
    let tags = &a.redis.0.names.epochs[1];
    eventually("given back", async || {
        server.ask::<u64>(redis::cmd("ZCARD").arg(tags)).await.is_ok_and(|count| count == 1)
    })
    .await;
    assert!(last(&server, &a).await >= number);
    let b = Replica::join(options(server.url())).await;
    assert!(!b.epochs.is_valid(&old));
}

#[tokio::test]
async fn is_heard_without_publication() {
    let server = Server::start(&[]).await;
    let (a, b) = pair(&server).await;
    let old = made(&b, "old");
    for _ in 0..20 {
        // Whatever is subscribed is cut off.
        server.tell("CLIENT KILL TYPE pubsub").await;
        a.cache.invalidate(&[TAG]).await.unwrap();
    }
    eventually("heard", async || !b.epochs.is_valid(&old)).await;
}

#[tokio::test]
async fn is_carried_by_a_replica_whose_clock_is_ahead() {
    let server = Server::start(&[]).await;
    let (a, b) = pair(&server).await;
    let hour = 3_600_000_000;
    let ahead = Stamp(a.known() + hour);
    b.epochs.advance(ahead);
    let begun = b.cache.stamp();
    assert_eq!(begun, ahead);
    // A knows nothing of B's numbers; B's answer is stored under one that A can tell.
    a.cache.invalidate(&[TAG]).await.unwrap();
    bounded(b.redis.put(&key(1), &made_since(begun, "stale"))).await.unwrap();
    assert!(!serves(&a).await);
    eventually("on one line", async || a.known() >= ahead.0).await;
    assert!(!serves(&a).await && !serves(&b).await);
    // B may have counted the invalidation above its own numbers, where A is with its next step.
    eventually("shared", async || {
        a.cache.store(&key(1), made(&a, "new")).await;
        serves(&b).await
    })
    .await;
}

#[tokio::test]
async fn folds_what_is_too_much_into_a_floor() {
    let server = Server::start(&[]).await;
    let a = Replica::join(options(server.url())).await;
    let old = made(&a, "old");
    let names = &a.redis.0.names;
    for tag in 0..11 {
        let mut cmd = a.redis.0.scripts.invalidate.by_text(|cmd| {
            names.epoch_keys(cmd).arg(0).arg(&names.invalidations).arg("test").arg(10);
        });
        let _: u64 = server.ask(cmd.arg(format!("{tag:016x}"))).await.unwrap();
    }
    let left: u64 = server.ask(redis::cmd("ZCARD").arg(&names.epochs[1])).await.unwrap();
    let floor: u64 = server.ask(redis::cmd("GET").arg(&names.epochs[2])).await.unwrap();
    assert!(
        left == 5 && floor > old.stamp.0 && floor <= last(&server, &a).await,
        "{left} tags, floor {floor}"
    );
    let b = Replica::join(options(server.url())).await;
    assert!(!b.epochs.is_valid(&old), "stamped before the floor");
}

/// Stores what the source says under key 1, again and again.
async fn fill(replica: Arc<Replica>, source: Arc<AtomicU64>, over: CancellationToken) {
    while !over.is_cancelled() {
        let stamp = replica.cache.stamp();
        let version = source.load(Ordering::Acquire);
        for _ in 0..fastrand::u8(0..4) {
            tokio::task::yield_now().await;
        }
        replica.cache.store(&key(1), made_since(stamp, &version.to_string())).await;
    }
}

/// The version that is served.
async fn served(replica: &Replica) -> Option<u64> {
    let found = replica.cache.get(&key(1), Millis::now()).await?;
    let body = found.entry.body.to_plain().unwrap();
    Some(std::str::from_utf8(&body).unwrap().parse().unwrap())
}

/// Two replicas make, store and invalidate at once. When an invalidation has returned, what was made before
/// it is served no more where it was invalidated, nor elsewhere when it was heard there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_stale_is_served_after_it() {
    let server = Server::start(&[]).await;
    let (a, b) = pair(&server).await;
    let (a, b) = (Arc::new(a), Arc::new(b));
    let (source, over) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let fillers = TaskTracker::new();
    for replica in [&a, &b] {
        fillers.spawn(fill(Arc::clone(replica), Arc::clone(&source), over.clone()));
    }
    let _over = over.drop_guard();
    let mut hits = 0;
    for next in 1..=300 {
        source.store(next, Ordering::Release);
        bounded(a.cache.invalidate(&[TAG])).await.unwrap();
        for _ in 0..fastrand::u8(1..10) {
            let found = served(&a).await;
            assert!(found.is_none_or(|found| found >= next), "{found:?} where {next} was invalidated");
            hits += u32::from(found.is_some());
        }
        if next % 10 == 0 {
            hears(&server, &b).await;
            let found = served(&b).await;
            assert!(found.is_none_or(|found| found >= next), "{found:?} where {next} was heard");
            hits += u32::from(found.is_some());
        }
    }
    assert!(hits > 0, "nothing was served at all");
}

#[tokio::test]
async fn thousands_of_tags_at_once_are_delivered() {
    let server = Server::start(&[]).await;
    let (a, b) = pair(&server).await;
    let tags: Vec<Tag> = (0..2_345).map(Tag).collect();
    let old = made(&b, "old");
    let old = Entry { tags: [Tag(2_344)].as_slice().into(), ..Entry::clone(&old) };
    bounded(a.redis.invalidated(a.epochs.invalidate(&tags), &tags)).await.unwrap();
    hears(&server, &b).await;
    assert!(!b.epochs.is_valid(&old));
}
