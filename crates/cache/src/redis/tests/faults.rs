//! A Redis that is killed, frozen, slow, full, read-only or restarted. Whatever happens, calls end.

use super::proxy::Proxy;
use super::server::Server;
use super::{Replica, bounded, eventually, options};
use crate::clock::Millis;
use crate::epochs::Tag;
use crate::redis::{Health, Options, State};
use crate::tier::conformance::{entry, key};
use crate::tier::{Error, Tier};
use std::time::Duration;

/// A tier with the budget that it has in service.
fn brisk(url: impl Into<String>) -> Options {
    Options { budget: Options::default().budget, ..options(url) }
}

async fn get(replica: &Replica) -> Result<bool, Error> {
    let found = bounded(replica.redis.get(&key(1), Millis::now())).await?;
    if let Some(found) = &found {
        assert_eq!(found.body.to_plain().unwrap(), "kept");
    }
    Ok(found.is_some())
}

async fn put(replica: &Replica) -> Result<(), Error> {
    bounded(replica.redis.put(&key(1), &entry("kept"))).await
}

/// Reads until the breaker has tripped; then reads are refused at once.
async fn trips(replica: &Replica) {
    eventually("tripped", async || get(replica).await == Err(Error::Tripped)).await;
    assert!(replica.redis.health().trips > 0);
}

/// Asks nothing of the tier: the background finds out that Redis is well again.
async fn recovers(replica: &Replica) {
    eventually("closed again", async || replica.redis.health().server == State::Closed).await;
    eventually("found again", async || put(replica).await.is_ok() && get(replica).await == Ok(true)).await;
}

#[tokio::test]
async fn killed_and_started_again_empty() {
    let mut server = Server::start(&[]).await;
    let replica = Replica::join(brisk(server.url())).await;
    eventually("stored", async || put(&replica).await.is_ok()).await;
    server.kill();
    trips(&replica).await;
    server.restart().await;
    eventually("closed again", async || replica.redis.health().server == State::Closed).await;
    eventually("answered", async || get(&replica).await.is_ok()).await;
    assert_eq!(get(&replica).await, Ok(false));
    recovers(&replica).await;
}

#[tokio::test]
async fn started_again_with_what_it_had() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let replica = Replica::join(brisk(server.url())).await;
    eventually("stored", async || put(&replica).await.is_ok()).await;
    server.kill();
    server.restart().await;
    eventually("found again", async || get(&replica).await == Ok(true)).await;
}

#[tokio::test]
async fn frozen() {
    let server = Server::start(&[]).await;
    let replica = Replica::join(brisk(server.url())).await;
    eventually("stored", async || put(&replica).await.is_ok()).await;
    server.freeze();
    trips(&replica).await;
    server.thaw();
    recovers(&replica).await;
}

#[tokio::test]
async fn frozen_until_its_connections_are_given_up() {
    let server = Server::start(&[]).await;
    let replica = Replica::join(brisk(server.url())).await;
    server.freeze();
    trips(&replica).await;
    eventually("given up", async || replica.redis.health().connections == 0).await;
    server.thaw();
    recovers(&replica).await;
}

#[tokio::test]
async fn slow() {
    let server = Server::start(&[]).await;
    let proxy = Proxy::before(server.port).await;
    let replica = Replica::join(brisk(format!("redis://127.0.0.1:{}", proxy.port))).await;
    eventually("stored", async || put(&replica).await.is_ok()).await;
    proxy.delay(Duration::from_millis(200));
    trips(&replica).await;
    proxy.delay(Duration::ZERO);
    recovers(&replica).await;
}

#[tokio::test]
async fn many_callers_at_once_trip_it_and_all_of_them_end() {
    let server = Server::start(&[]).await;
    let replica = Replica::join(brisk(server.url())).await;
    server.freeze();
    let calls = (0..500).map(|_| get(&replica));
    let answers = bounded(futures_util::future::join_all(calls)).await;
    assert!(answers.iter().all(Result::is_err));
    trips(&replica).await;
}

/// Writes are refused until they are left alone; reads are served all the while.
async fn writes_trip_alone(replica: &Replica) -> Health {
    eventually("writes tripped", async || {
        let refused = put(replica).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(_) | Error::Tripped), "{refused}");
        assert!(get(replica).await.is_ok());
        refused == Error::Tripped
    })
    .await;
    replica.redis.health()
}

#[tokio::test]
async fn without_enough_replicas_to_write_to() {
    let server = Server::start(&[]).await;
    let replica = Replica::join(options(server.url())).await;
    put(&replica).await.unwrap();
    server.tell("CONFIG SET min-replicas-to-write 1").await;
    let health = writes_trip_alone(&replica).await;
    assert_eq!((health.server, health.writes), (State::Closed, State::Open));
    assert_eq!(get(&replica).await, Ok(true));
    server.tell("CONFIG SET min-replicas-to-write 0").await;
    eventually("written again", async || put(&replica).await.is_ok()).await;
}

#[tokio::test]
async fn a_replica_that_takes_no_writes() {
    let server = Server::start(&[]).await;
    let writer = Replica::join(options(server.url())).await;
    put(&writer).await.unwrap();
    let follower = Server::start(&["--replicaof", "127.0.0.1", &server.port.to_string()]).await;
    let replica = Replica::join(options(follower.url())).await;
    eventually("replicated", async || get(&replica).await == Ok(true)).await;
    let health = writes_trip_alone(&replica).await;
    assert_eq!(health.server, State::Closed);
    assert_eq!(get(&replica).await, Ok(true));
}

#[tokio::test]
async fn out_of_memory() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]).await;
    let replica = Replica::join(options(server.url())).await;
    put(&replica).await.unwrap();
    server.tell("CONFIG SET maxmemory 1mb").await;
    let health = writes_trip_alone(&replica).await;
    assert_eq!((health.server, health.writes), (State::Closed, State::Open));
    // What cannot be told is not forgotten.
    assert!(replica.redis.invalidated(replica.epochs.invalidate(&[Tag(1)]), &[Tag(1)]).await.is_err());
    assert_eq!(replica.redis.health().pending_tags, 1);
    server.tell("CONFIG SET maxmemory 0").await;
    eventually("written again", async || put(&replica).await.is_ok()).await;
    eventually("told", async || replica.redis.health().pending_tags == 0).await;
}

#[tokio::test]
async fn not_there_at_first() {
    let mut server = Server::start(&[]).await;
    server.kill();
    let replica = Replica::start(brisk(server.url()));
    assert!(get(&replica).await.is_err());
    server.restart().await;
    recovers(&replica).await;
}

#[tokio::test]
async fn what_is_here_is_trusted_for_a_while_only_when_redis_is_away() {
    let mut server = Server::start(&[]).await;
    let age_max_when_away = Duration::from_secs(2);
    let replica = Replica::join(Options { age_max_when_away, ..brisk(server.url()) }).await;
    replica.cache.store(&key(1), entry("kept")).await;
    assert!(replica.cache.peek(&key(1), Millis::now()).is_some());
    server.kill();
    eventually("no longer trusted", async || replica.cache.peek(&key(1), Millis::now()).is_none()).await;
    // What is made now is as old as it is.
    replica.cache.store(&key(2), entry("new")).await;
    assert!(replica.cache.peek(&key(2), Millis::now()).is_some());
    server.restart().await;
    eventually("trusted again", async || replica.cache.peek(&key(1), Millis::now()).is_some()).await;
}
