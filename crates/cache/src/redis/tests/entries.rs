//! Entries in a Redis that is well.

use super::server::Server;
use super::{Replica, bounded, eventually, options};
use crate::clock::Millis;
use crate::entry::{Entry, codec};
use crate::redis::{Fault, Options, Redis, State, VALUE_BYTES_MAX};
use crate::tier::conformance::{self, Keeps, entry, key};
use crate::tier::{Error, Tier};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::fill(&mut bytes);
    bytes
}

async fn get(replica: &Replica, number: u64) -> Option<Arc<Entry>> {
    bounded(replica.redis.get(&key(number), Millis::now())).await.unwrap()
}

#[tokio::test]
async fn keeps_the_contract() {
    let server = Server::start(&[]).await;
    let replica = Replica::join(options(server.url())).await;
    conformance::run(&replica.redis, Keeps::Entries).await;
    assert_eq!(replica.redis.health().corrupt, 0);
}

#[tokio::test]
async fn keeps_the_contract_over_a_unix_socket() {
    let server = Server::start(&["--unixsocket", "redis.sock"]).await;
    let url = format!("unix:{}", server.dir().join("redis.sock").display());
    let replica = Replica::join(options(url)).await;
    conformance::run(&replica.redis, Keeps::Entries).await;
}

#[tokio::test]
async fn an_entry_lives_no_longer_than_it_may() {
    let server = Server::start(&[]).await;
    // (the tier's bound, the longest that Redis may keep an entry of two minutes, give or take a tenth)
    for (ttl, most) in [(Duration::from_secs(3600), 126_000), (Duration::from_secs(20), 20_000)] {
        let replica = Replica::join(Options { ttl, ..options(server.url()) }).await;
        replica.redis.put(&key(1), &entry("x")).await.unwrap();
        let name = replica.redis.0.names.entry(&key(1));
        let left: i64 = server.ask(redis::cmd("PTTL").arg(&name)).await.unwrap();
        assert!(left > 0 && left <= most, "{left} ms with {ttl:?}");
    }
}

#[tokio::test]
async fn long_bodies_are_compressed_at_rest() {
    let server = Server::start(&[]).await;
    let replica = Replica::join(options(server.url())).await;
    for (length, compressed) in [(1000, false), (1001, true)] {
        replica.redis.put(&key(1), &entry("a".repeat(length))).await.unwrap();
        assert_eq!(get(&replica, 1).await.unwrap().body.is_compressed(), compressed, "{length} bytes");
    }
}

#[tokio::test]
async fn what_is_too_large_is_not_stored_and_replaces_what_was() {
    let server = Server::start(&[]).await;
    let replica = Replica::join(options(server.url())).await;
    replica.redis.put(&key(1), &entry("small")).await.unwrap();
    replica.redis.put(&key(1), &entry(random(VALUE_BYTES_MAX))).await.unwrap();
    assert_eq!(get(&replica, 1).await, None);
}

#[tokio::test]
async fn what_is_corrupt_is_absent_and_removed() {
    let server = Server::start(&[]).await;
    let replica = Replica::join(options(server.url())).await;
    let name = replica.redis.0.names.entry(&key(1));
    let whole = codec::encode(&key(1), &entry("the body"));
    let flipped = |at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let mut values: Vec<Vec<u8>> = (0..whole.len()).step_by(7).map(flipped).collect();
    values.extend([0, 3, 20, whole.len() - 1].map(|length| whole[..length].to_vec()));
    values.push([&whole[..], b"x"].concat());
    // Whole, but another key's.
    values.push(codec::encode(&key(2), &entry("the body")).to_vec());
    for (count, value) in (1..).zip(values) {
        let _: () = server.ask(redis::cmd("SET").arg(&name).arg(&value)).await.unwrap();
        assert_eq!(get(&replica, 1).await, None, "{value:?}");
        let left: u64 = server.ask(redis::cmd("EXISTS").arg(&name)).await.unwrap();
        assert_eq!((left, replica.redis.health().corrupt), (0, count));
    }
    let _: () = server.ask(redis::cmd("RPUSH").arg(&name).arg("a list")).await.unwrap();
    assert_eq!(get(&replica, 1).await, None);
    let left: u64 = server.ask(redis::cmd("EXISTS").arg(&name)).await.unwrap();
    assert_eq!((left, replica.redis.health().server), (0, State::Closed));
}

#[tokio::test]
async fn a_dropped_call_leaves_the_tier_whole() {
    let server = Server::start(&[]).await;
    let replica = Replica::join(options(server.url())).await;
    let large = entry(random(200_000));
    for number in 0..50 {
        let key = key(number);
        tokio::select! {
            biased;
            _ = replica.redis.put(&key, &large) => {}
            () = tokio::time::sleep(Duration::from_micros(number * 20)) => {}
        }
        tokio::select! {
            biased;
            _ = replica.redis.get(&key, Millis::now()) => {}
            () = tokio::task::yield_now() => {}
        }
    }
    for number in 0..50 {
        let found = get(&replica, number).await;
        assert!(found.is_none_or(|found| found.body == large.body));
    }
    assert_eq!(replica.redis.health().corrupt, 0);
}

#[tokio::test]
async fn connections_are_opened_as_they_are_needed() {
    let server = Server::start(&[]).await;
    let replica = Replica::join(Options { connections: 4, ..options(server.url()) }).await;
    assert_eq!(replica.redis.health().connections, 1);
    replica.redis.put(&key(1), &entry(random(10_000))).await.unwrap();
    eventually("as many connections as allowed", async || {
        let calls = (0..500).map(|_| get(&replica, 1));
        assert!(futures_util::future::join_all(calls).await.iter().all(Option::is_some));
        replica.redis.health().connections == 4
    })
    .await;
}

#[tokio::test]
async fn namespaces_do_not_mix() {
    let server = Server::start(&[]).await;
    let a = Replica::join(options(server.url())).await;
    let b = Replica::join(Options { namespace: "other".to_owned(), ..options(server.url()) }).await;
    a.redis.put(&key(1), &entry("a's")).await.unwrap();
    assert_eq!(get(&b, 1).await, None);
}

#[tokio::test]
async fn tls_to_a_server_without_it_is_a_miss_like_any_other() {
    let server = Server::start(&[]).await;
    let replica = Replica::start(options(format!("rediss://127.0.0.1:{}", server.port)));
    let answer = bounded(replica.redis.get(&key(1), Millis::now())).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
}

#[test]
fn options_that_cannot_be_followed_are_refused() {
    let check = |options: Options| Redis::new(options, Arc::default()).map(drop);
    for url in ["", "http://127.0.0.1", "redis://127.0.0.1:notaport", "redis://a,,redis://b"] {
        let refused = check(Options { url: url.to_owned(), ..Options::default() });
        assert!(matches!(refused, Err(Fault::Url(_))), "{url}");
    }
    for namespace in ["", "a b", "{a}"] {
        let refused = check(Options { namespace: namespace.to_owned(), ..Options::default() });
        assert_eq!(refused, Err(Fault::Namespace), "{namespace}");
    }
    for url in ["redis://a:6380/2", "rediss://user:word@a", "unix:/tmp/x", "redis://a,redis://b, redis://c"] {
        assert_eq!(check(Options { url: url.to_owned(), ..Options::default() }), Ok(()), "{url}");
    }
}

#[test]
fn no_password_is_shown() {
    let url = "redis://user:hunter2@127.0.0.1".to_owned();
    let tier = Redis::new(Options { url, ..Options::default() }, Arc::default()).unwrap();
    assert!(!format!("{tier:?}").contains("hunter2"));
    let bad = Options { url: "redis://user:hunter2@127.0.0.1:port".to_owned(), ..Options::default() };
    let fault = Redis::new(bad, Arc::default()).unwrap_err();
    assert!(!format!("{fault:?} {fault}").contains("hunter2"));
}

#[tokio::test]
async fn a_tier_that_does_not_run_is_a_miss() {
    let tier = Redis::new(Options::default(), Arc::default()).unwrap();
    let answer = bounded(tier.get(&key(1), Millis::now())).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    assert!(bounded(tier.put(&key(1), &entry(Bytes::new()))).await.is_err());
}
