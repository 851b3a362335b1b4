//! Three servers that share the keys among them.

use super::server::Server;
use super::{Replica, bounded, eventually, options};
use crate::clock::Millis;
use crate::epochs::Tag;
use crate::redis::{Claim, Door, End, HELD_FOR, Options, Script};
use crate::tier::Tier;
use crate::tier::conformance::{self, Keeps, entry, key};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A cluster of three masters, each with a third of the slots.
async fn cluster() -> [Server; 3] {
    let args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    let nodes = [Server::start(&args).await, Server::start(&args).await, Server::start(&args).await];
    for (index, (node, slots)) in nodes.iter().zip(["0 5461", "5462 10922", "10923 16383"]).enumerate() {
        node.tell(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1)).await;
        node.tell(&format!("CLUSTER ADDSLOTSRANGE {slots}")).await;
        node.tell(&format!("CLUSTER MEET 127.0.0.1 {}", nodes[0].port)).await;
    }
    for node in &nodes {
        eventually("a cluster", async || {
            let info: String = node.ask(redis::cmd("CLUSTER").arg("INFO")).await.unwrap();
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        })
        .await;
    }
    nodes
}

fn whole(nodes: &[Server]) -> Options {
    options(nodes.iter().map(Server::url).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn a_cluster_is_a_tier_like_any_other() {
    let nodes = cluster().await;
    let a = Replica::join(whole(&nodes)).await;
    let b = Replica::join(Options { cluster: true, ..options(nodes[1].url()) }).await;
    conformance::run(&a.redis, Keeps::Entries).await;

    let put = entry("shared");
    a.cache.store(&key(1), put.clone()).await;
    eventually("shared", async || b.cache.get(&key(1), Millis::now()).await.is_some()).await;
    a.cache.invalidate(&[Tag(1)]).await.unwrap();
    eventually("invalidated", async || !b.epochs.is_valid(&put)).await;
    assert!(b.cache.get(&key(1), Millis::now()).await.is_none());

    let Claim::Held(guard) = a.redis.claim(&key(2), HELD_FOR).await else { panic!("free") };
    assert!(matches!(b.redis.claim(&key(2), HELD_FOR).await, Claim::Elsewhere));
    guard.release(End::Stored).await;
}

#[tokio::test]
async fn a_door_runs_scripts_whose_keys_share_a_slot() {
    let nodes = cluster().await;
    let door = Door::new(&whole(&nodes)).unwrap();
    let (tasks, drain) = (TaskTracker::new(), CancellationToken::new());
    let (open, token) = (door.clone(), drain.clone());
    tasks.spawn(async move { open.run(&token).await });
    let add = Script::new("return {redis.call('INCR', KEYS[1]), redis.call('INCR', KEYS[2])}");
    // Tags of all three nodes.
    for tag in 0..30 {
        let keys = ["one", "two"].map(|name| format!("{{{tag}}}:{name}"));
        assert_eq!(bounded(door.call(&add, &keys, &[])).await, Ok(vec![1, 1]));
        assert_eq!(bounded(door.beat(&add, &keys, &[])).await, Ok(vec![2, 2]));
    }
    drain.cancel();
}

#[tokio::test]
async fn calls_end_whichever_node_is_gone_and_pass_again_when_it_is_back() {
    let mut nodes = cluster().await;
    let replica = Replica::join(whole(&nodes)).await;
    nodes[2].kill();
    for number in 0..60 {
        let _ = bounded(replica.redis.get(&key(number), Millis::now())).await;
        let _ = bounded(replica.redis.put(&key(number), &entry("x"))).await;
    }
    nodes[2].restart().await;
    eventually("all well", async || {
        for number in 0..60 {
            if bounded(replica.redis.put(&key(number), &entry("x"))).await.is_err() {
                return false;
            }
        }
        true
    })
    .await;
}
