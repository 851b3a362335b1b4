//! One replica makes it, the others wait.

use super::server::Server;
use super::{Replica, bounded, eventually, options};
use crate::key::Key;
use crate::redis::{Claim, End, Guard, HELD_FOR, Outcome};
use crate::tier::Tier;
use crate::tier::conformance::{entry, key};
use std::time::Duration;
use tokio::time::{Instant, sleep};

async fn hold(replica: &Replica, key: &Key) -> Guard {
    match bounded(replica.redis.claim(key, HELD_FOR)).await {
        Claim::Held(guard) => guard,
        other => panic!("not held: {other:?}"),
    }
}

fn later(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[tokio::test]
async fn one_holds_the_others_wait_for_its_word() {
    let server = Server::start(&[]).await;
    let (a, b) = (Replica::join(options(server.url())).await, Replica::join(options(server.url())).await);
    // Whoever looks in the moment between the end and the word sees that the claim is gone, which is as good.
    let cases = [
        (1, End::Stored, [Outcome::Stored, Outcome::Stored]),
        (2, End::Failed, [Outcome::Failed, Outcome::Vanished]),
    ];
    for (number, end, expected) in cases {
        let key = key(number);
        let guard = hold(&a, &key).await;
        assert!(matches!(b.redis.claim(&key, HELD_FOR).await, Claim::Elsewhere));
        assert!(matches!(a.redis.claim(&key, HELD_FOR).await, Claim::Elsewhere));
        let releasing = async {
            eventually("waited for", async || !b.redis.0.waiters.is_empty()).await;
            if end == End::Stored {
                a.redis.put(&key, &entry("made")).await.unwrap();
            }
            guard.release(end).await;
        };
        // Two wait in the same process.
        let waiting = async { tokio::join!(b.redis.wait(&key, later(30)), b.redis.wait(&key, later(30))) };
        let ((one, two), ()) = tokio::join!(waiting, releasing);
        assert!(expected.contains(&one) && expected.contains(&two), "{one:?} and {two:?} after {end:?}");
        assert!(b.redis.0.waiters.is_empty());
        hold(&b, &key).await.release(End::Stored).await;
    }
}

#[tokio::test]
async fn what_was_over_before_the_wait_is_found_at_once() {
    let server = Server::start(&[]).await;
    let a = Replica::join(options(server.url())).await;
    assert_eq!(bounded(a.redis.wait(&key(1), later(30))).await, Outcome::Vanished);
    a.redis.put(&key(1), &entry("made")).await.unwrap();
    assert_eq!(bounded(a.redis.wait(&key(1), later(30))).await, Outcome::Stored);
}

#[tokio::test]
async fn a_dropped_claim_is_given_up() {
    let server = Server::start(&[]).await;
    let (a, b) = (Replica::join(options(server.url())).await, Replica::join(options(server.url())).await);
    let guard = match a.redis.claim(&key(1), Duration::from_secs(3600)).await {
        Claim::Held(guard) => guard,
        other => panic!("not held: {other:?}"),
    };
    drop(guard);
    eventually("given up", async || matches!(b.redis.claim(&key(1), HELD_FOR).await, Claim::Held(_))).await;
}

#[tokio::test]
async fn a_claim_whose_holder_died_vanishes() {
    let server = Server::start(&[]).await;
    let b = Replica::join(options(server.url())).await;
    let name = b.redis.0.names.lock(&key(1));
    server.tell(&format!("SET {name} dead PX 200")).await;
    assert!(matches!(b.redis.claim(&key(1), HELD_FOR).await, Claim::Elsewhere));
    assert_eq!(bounded(b.redis.wait(&key(1), later(30))).await, Outcome::Vanished);
}

#[tokio::test]
async fn a_claim_is_renewed_while_its_holder_works() {
    let server = Server::start(&[]).await;
    let (a, b) = (Replica::join(options(server.url())).await, Replica::join(options(server.url())).await);
    let Claim::Held(guard) = a.redis.claim(&key(1), Duration::from_millis(900)).await else { panic!("free") };
    let work = async {
        for _ in 0..40 {
            assert!(matches!(b.redis.claim(&key(1), HELD_FOR).await, Claim::Elsewhere));
            sleep(Duration::from_millis(50)).await;
        }
        "done"
    };
    assert_eq!(guard.renewing(work).await, "done");
    guard.release(End::Stored).await;
    hold(&b, &key(1)).await.release(End::Failed).await;
}

#[tokio::test]
async fn nobody_gives_up_anothers_claim() {
    let server = Server::start(&[]).await;
    let (a, b) = (Replica::join(options(server.url())).await, Replica::join(options(server.url())).await);
    let late = hold(&a, &key(1)).await;
    let name = a.redis.0.names.lock(&key(1));
    server.tell(&format!("DEL {name}")).await;
    let current = hold(&b, &key(1)).await;
    late.release(End::Stored).await;
    assert!(matches!(a.redis.claim(&key(1), HELD_FOR).await, Claim::Elsewhere));
    current.release(End::Stored).await;
}

#[tokio::test]
async fn the_deadline_comes_first() {
    let server = Server::start(&[]).await;
    let a = Replica::join(options(server.url())).await;
    let guard = hold(&a, &key(1)).await;
    let deadline = Instant::now() + Duration::from_millis(200);
    assert_eq!(bounded(a.redis.wait(&key(1), deadline)).await, Outcome::TimedOut);
    guard.release(End::Failed).await;
}

#[tokio::test]
async fn without_redis_everybody_works_for_himself() {
    let mut server = Server::start(&[]).await;
    let a = Replica::join(options(server.url())).await;
    let guard = hold(&a, &key(1)).await;
    server.kill();
    assert!(matches!(bounded(a.redis.claim(&key(1), HELD_FOR)).await, Claim::Unknown));
    assert_eq!(bounded(a.redis.wait(&key(1), later(30))).await, Outcome::Unknown);
    bounded(guard.release(End::Stored)).await;
}

#[tokio::test]
async fn who_waits_when_redis_freezes_works_for_himself() {
    let (server, key) = (Server::start(&[]).await, key(1));
    let (a, b) = (Replica::join(options(server.url())).await, Replica::join(options(server.url())).await);
    let guard = hold(&a, &key).await;
    let (outcome, ()) = bounded(async {
        tokio::join!(b.redis.wait(&key, later(30)), async {
            sleep(Duration::from_millis(20)).await;
            server.freeze();
        })
    })
    .await;
    assert_eq!(outcome, Outcome::Unknown);
    server.thaw();
    guard.release(End::Failed).await;
}

#[tokio::test]
async fn the_word_is_heard_where_no_writes_are_taken() {
    let (server, key) = (Server::start(&[]).await, key(1));
    let (a, b) = (Replica::join(options(server.url())).await, Replica::join(options(server.url())).await);
    let guard = hold(&a, &key).await;
    let (outcome, ()) = bounded(async {
        tokio::join!(b.redis.wait(&key, later(30)), async {
            sleep(Duration::from_millis(20)).await;
            server.tell("REPLICAOF 127.0.0.1 1").await;
            guard.release(End::Stored).await;
        })
    })
    .await;
    // And not that the lock has run out.
    assert_eq!(outcome, Outcome::Stored);
}
