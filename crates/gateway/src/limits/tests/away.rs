//! A Redis that is killed, frozen, emptied, and found again. Whatever happens, callers are answered, and the
//! bounds hold that `limits` promises.

use super::*;
use futures_util::future::join_all;

const LIMIT: u64 = 100;

/// Ways for Redis to be away.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Killed,
    Frozen,
}

impl Fault {
    const ALL: [Self; 2] = [Self::Killed, Self::Frozen];

    fn strike(self, server: &mut Server) {
        match self {
            Self::Killed => server.kill(),
            Self::Frozen => server.freeze(),
        }
    }

    async fn end(self, server: &mut Server) {
        match self {
            Self::Killed => server.restart().await,
            Self::Frozen => server.thaw(),
        }
    }
}

async fn exhaust_all(replicas: &[Replica], tenants: &[Arc<Account>]) -> Vec<u64> {
    let each = replicas.iter().zip(tenants).map(async |(replica, tenant)| replica.exhaust(tenant, 1).await);
    join_all(each).await
}

#[tokio::test]
async fn from_the_beginning_each_replica_takes_itself_for_the_only_one() {
    let mut server = Server::start().await;
    server.kill();
    let replica = Replica::start(&brisk(&server));
    let tenant = replica.tenant("a", &tokens(LIMIT));
    let begun = Instant::now();
    let had = replica.exhaust(&tenant, 1).await;
    assert!((LIMIT..=LIMIT + inflow(LIMIT, begun)).contains(&had), "{had}");
    assert!(replica.is_away());
}

#[tokio::test]
async fn while_redis_is_away_replicas_together_admit_the_limit() {
    for fault in Fault::ALL {
        let mut server = Server::start().await;
        let replicas: [Replica; 4] = Replica::join(&brisk(&server)).await;
        let tenants = replicas.each_ref().map(|replica| replica.tenant("a", &tokens(LIMIT)));
        fault.strike(&mut server);
        let begun = Instant::now();
        let had = exhaust_all(&replicas, &tenants).await;
        let flown = inflow(LIMIT, begun);
        for had in &had {
            assert!((LIMIT / 4..=LIMIT / 4 + flown).contains(had), "{fault:?}: {had}");
        }
        assert!(had.iter().sum::<u64>() <= LIMIT + flown);
        assert!(replicas.iter().all(Replica::is_away));
    }
}

#[tokio::test]
async fn over_the_change_is_admitted_what_the_stand_ins_still_hold_and_no_more() {
    // Who asks Redis first: everyone in turn, or one alone.
    for (fault, evenly) in [(Fault::Killed, true), (Fault::Killed, false), (Fault::Frozen, true)] {
        let mut server = Server::start().await;
        let replicas: [Replica; 2] = Replica::join(&options(&server)).await;
        let tenants = replicas.each_ref().map(|replica| replica.tenant("a", &tokens(LIMIT)));
        let begun = Instant::now();
        let mut before = [0; 2];
        for call in 0.. {
            let place = if evenly { call % 2 } else { 0 };
            if replicas[place].ask(&tenants[place], 1).await.is_err() {
                break;
            }
            before[place] += 1;
        }
        fault.strike(&mut server);
        for replica in &replicas {
            replica.goes_away().await;
        }
        let after: u64 = exhaust_all(&replicas, &tenants).await.into_iter().sum();
        let flown = inflow(LIMIT, begun);
        let held: u64 = before.iter().map(|before| (LIMIT / 2).saturating_sub(*before)).sum();
        assert!(after <= held + flown, "{fault:?}: {before:?}, then {after}");
        assert!(after >= held, "{fault:?}: {before:?}, then {after}");
        assert_eq!(held, if evenly { 0 } else { LIMIT / 2 });
    }
}

#[tokio::test]
async fn back_again_redis_knows_what_was_admitted_without_it() {
    for fault in Fault::ALL {
        let mut server = Server::start().await;
        let replicas: [Replica; 2] = Replica::join(&options(&server)).await;
        let tenants = replicas.each_ref().map(|replica| replica.tenant("a", &tokens(LIMIT)));
        fault.strike(&mut server);
        for replica in &replicas {
            replica.goes_away().await;
        }
        let begun = Instant::now();
        let alone: u64 = exhaust_all(&replicas, &tenants).await.into_iter().sum();
        assert!(alone >= LIMIT);
        fault.end(&mut server).await;
        for replica in &replicas {
            replica.counts_with(2).await;
        }
        let again: u64 = exhaust_all(&replicas, &tenants).await.into_iter().sum();
        assert!(alone + again <= LIMIT + inflow(LIMIT, begun), "{fault:?}: {alone}, then {again}");
    }
}

#[tokio::test]
async fn what_a_call_used_counts_wherever_it_was_admitted_and_whenever_it_ends() {
    let server = Server::start().await;
    let [one]: [Replica; 1] = Replica::join(&brisk(&server)).await;
    let tenant = one.tenant("a", &tokens(1000));
    let begun = Instant::now();
    let together = one.ask(&tenant, 100).await.unwrap();
    server.freeze();
    one.goes_away().await;
    let alone = [one.ask(&tenant, 100).await.unwrap(), one.ask(&tenant, 100).await.unwrap()];
    let [less, more] = alone;
    together.settle(300, Instant::now());
    less.settle(50, Instant::now());
    server.thaw();
    one.counts_with(1).await;
    more.settle(150, Instant::now());
    let expected = 1000 - 300 - 50 - 150;
    eventually("counted", async || {
        let left = one.ask(&tenant, 0).await.unwrap().levels().tokens.unwrap().remaining;
        left >= expected && left <= expected + inflow(1000, begun)
    })
    .await;
}

#[tokio::test]
async fn an_emptied_redis_is_told_again_which_slots_are_taken() {
    let mut server = Server::start().await;
    let [one, other]: [Replica; 2] = Replica::join(&brisk(&server)).await;
    let (here, there) = (one.tenant("a", &slots(2)), other.tenant("a", &slots(2)));
    let held = one.ask(&here, 1).await.unwrap();
    server.kill();
    one.goes_away().await;
    other.goes_away().await;
    // One of two replicas has one of two slots, and that is taken.
    assert!(one.ask(&here, 1).await.is_err());
    let alone = other.ask(&there, 1).await.unwrap();
    server.restart().await;
    one.counts_with(2).await;
    other.counts_with(2).await;
    assert!(one.ask(&here, 1).await.is_err() && other.ask(&there, 1).await.is_err());
    drop((held, alone));
    eventually("free", async || {
        let both = [one.ask(&here, 1).await, one.ask(&here, 1).await];
        both.iter().all(Result::is_ok)
    })
    .await;
}

#[tokio::test]
async fn callers_under_way_when_redis_freezes_are_all_answered() {
    let server = Server::start().await;
    let replicas: [Replica; 2] = Replica::join(&brisk(&server)).await;
    let tenants = replicas.each_ref().map(|replica| replica.tenant("a", &tokens(1_000_000)));
    for _ in 0..3 {
        server.freeze();
        let calls = (0..400).map(|call| replicas[call % 2].ask(&tenants[call % 2], 10));
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        server.thaw();
        for replica in &replicas {
            replica.counts_with(2).await;
        }
    }
}

#[tokio::test]
async fn what_was_asked_of_a_frozen_redis_and_not_waited_for_holds_no_slot() {
    let server = Server::start().await;
    let replicas: [Replica; 2] = Replica::join(&brisk(&server)).await;
    let tenants = replicas.each_ref().map(|replica| replica.tenant("a", &slots(20)));
    for round in 0..6 {
        server.freeze();
        let calls = (0..20).map(|call| replicas[call % 2].ask(&tenants[call % 2], 1));
        assert!(join_all(calls).await.iter().all(Result::is_ok), "each has half of them");
        server.thaw();
        for replica in &replicas {
            replica.counts_with(2).await;
        }
        let (replica, tenant) = (&replicas[round % 2], &tenants[round % 2]);
        eventually("all free", async || {
            let calls = (0..20).map(|_| replica.ask(tenant, 1));
            join_all(calls).await.iter().all(Result::is_ok)
        })
        .await;
    }
}

#[tokio::test]
async fn callers_that_leave_half_way_hold_no_slot() {
    let server = Server::start().await;
    let [one, other]: [Replica; 2] = Replica::join(&options(&server)).await;
    let (here, there) = (one.tenant("a", &slots(50)), other.tenant("a", &slots(50)));
    for _ in 0..20 {
        let asking: Vec<_> = (0..50).map(|_| one.ask(&here, 1)).collect();
        let _ = timeout(Duration::from_micros(fastrand::u64(..2000)), join_all(asking)).await;
    }
    eventually("all free", async || {
        let calls = (0..50).map(|_| other.ask(&there, 1));
        join_all(calls).await.iter().all(Result::is_ok)
    })
    .await;
}
