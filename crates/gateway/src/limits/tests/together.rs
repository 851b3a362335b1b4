//! Several replicas before one Redis that is well.

use super::*;
use crate::limits::Measure;
use crate::limits::shared::LIFE;
use futures_util::future::join_all;

const CALLERS: u64 = 20;
const ROUNDS: u64 = 100;

/// What a tenant has left, as `replica` is told; takes nothing.
async fn left(replica: &Replica, tenant: &Arc<Account>) -> u64 {
    let granted = replica.ask(tenant, 0).await.unwrap();
    granted.levels().tokens.unwrap().remaining
}

#[tokio::test]
async fn twenty_callers_of_two_replicas_never_get_more_than_a_hundred_tokens_a_minute() {
    let server = Server::start().await;
    let replicas: [Replica; 2] = Replica::join(&options(&server)).await;
    for round in 0..ROUNDS {
        let (name, size) = (round.to_string(), 1 + round % 12);
        let tenants = replicas.each_ref().map(|replica| replica.tenant(&name, &tokens(100)));
        let begun = Instant::now();
        let callers = (0..CALLERS).map(|caller| {
            let place = (caller % 2) as usize;
            replicas[place].exhaust(&tenants[place], size)
        });
        let had: u64 = join_all(callers).await.into_iter().sum();
        let flown = inflow(100, begun);
        assert!(had <= 100 + flown, "{had} in a round of {:?}", begun.elapsed());
        assert!(had > 100 - size, "{had} only");
        assert!(replicas.iter().all(|replica| !replica.is_away()));
    }
}

#[tokio::test]
async fn callers_that_use_more_than_they_reserved_are_one_call_over_each_at_most() {
    let server = Server::start().await;
    let replicas: [Replica; 2] = Replica::join(&options(&server)).await;
    for round in 0..20_u64 {
        let name = round.to_string();
        let tenants = replicas.each_ref().map(|replica| replica.tenant(&name, &tokens(100)));
        let begun = Instant::now();
        let callers = (0..CALLERS).map(|caller| {
            let (replica, tenant) = (&replicas[(caller % 2) as usize], &tenants[(caller % 2) as usize]);
            async move {
                let granted = replica.ask(tenant, 10).await.ok()?;
                granted.settle(15, Instant::now());
                Some(15)
            }
        });
        let used: u64 = join_all(callers).await.into_iter().flatten().sum();
        assert!(used <= 150 + inflow(100, begun), "{used}");
        // The debt is everybody's: nothing more is had before it is paid back.
        for (replica, tenant) in replicas.iter().zip(&tenants) {
            eventually("in debt", async || match replica.ask(tenant, 0).await {
                Err(denied) => denied.after + begun.elapsed() > MINUTE * (used - 101) as u32 / 100,
                Ok(_) => used <= 100,
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_one_replica_uses_or_gives_back_the_other_knows() {
    let server = Server::start().await;
    let [one, other]: [Replica; 2] = Replica::join(&options(&server)).await;
    let (here, there) = (one.tenant("a", &tokens(1000)), other.tenant("a", &tokens(1000)));
    let begun = Instant::now();
    let about = |left: u64, expected: u64| left >= expected && left <= expected + inflow(1000, begun);

    let granted = one.ask(&here, 400).await.unwrap();
    assert!(about(left(&other, &there).await, 600));
    granted.settle(100, Instant::now());
    eventually("credited", async || about(left(&other, &there).await, 900)).await;
    one.ask(&here, 100).await.unwrap().settle(500, Instant::now());
    eventually("charged", async || about(left(&other, &there).await, 400)).await;
    other.ask(&there, 200).await.unwrap().refund(Instant::now());
    eventually("refunded", async || about(left(&one, &here).await, 400)).await;
    drop(other.ask(&there, 200).await.unwrap());
    assert!(about(left(&one, &here).await, 200));
}

#[tokio::test]
async fn all_limits_are_taken_from_or_none() {
    let server = Server::start().await;
    let [one]: [Replica; 1] = Replica::join(&options(&server)).await;
    let now = Instant::now();
    let wide = one.tenant("a", &tokens(1_000_000));
    let rates = Rates { requests_per_minute: Some(2), ..Rates::default() };
    let narrow = one.limits.opened(Scope::Provider, "p", &rates, now).unwrap();
    let subject = Subject { tenant: Some(&wide), provider: Some(&narrow), ..Subject::default() };
    for _ in 0..2 {
        drop(one.limits.admit(&subject, 1000, now).await.unwrap());
    }
    let begun = Instant::now();
    let denied = one.limits.admit(&subject, 1000, now).await.unwrap_err();
    assert_eq!((denied.scope, denied.measure), (Scope::Provider, Measure::Requests));
    assert!(denied.after <= MINUTE / 2 && denied.after + begun.elapsed() > MINUTE / 3);
    assert!(left(&one, &wide).await >= 998_000);
}

/// So many slots, as soon as they are free.
async fn hold(replica: &Replica, tenant: &Arc<Account>, count: usize) -> Vec<Granted> {
    let mut held = Vec::new();
    eventually("free", async || {
        held.extend(replica.ask(tenant, 1).await);
        held.len() == count
    })
    .await;
    held
}

#[tokio::test]
async fn slots_are_shared_and_come_back_whichever_way_a_call_ends() {
    let server = Server::start().await;
    let [one, other]: [Replica; 2] = Replica::join(&options(&server)).await;
    let (here, there) = (one.tenant("a", &slots(3)), other.tenant("a", &slots(3)));
    let ends: [fn(Granted); 3] =
        [|call| call.settle(1, Instant::now()), |call| call.refund(Instant::now()), drop];
    for round in 0..12 {
        let mut held_here = hold(&one, &here, 2).await;
        let held_there = hold(&other, &there, 1).await;
        for (replica, tenant) in [(&one, &here), (&other, &there)] {
            let denied = replica.ask(tenant, 1).await.unwrap_err();
            assert_eq!(denied.measure, Measure::ConcurrentRequests, "round {round}");
        }
        ends[round % 3](held_here.remove(0));
        let again = hold(&other, &there, 1).await;
        assert!(one.ask(&here, 1).await.is_err() && other.ask(&there, 1).await.is_err(), "round {round}");
        drop((held_here, held_there, again));
    }
}

#[tokio::test]
async fn twenty_callers_of_two_replicas_never_hold_more_than_seven_slots() {
    let server = Server::start().await;
    let replicas: [Replica; 2] = Replica::join(&options(&server)).await;
    let tenants = replicas.each_ref().map(|replica| replica.tenant("a", &slots(7)));
    let (held, most) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let callers = (0..CALLERS).map(async |caller| {
        let place = (caller % 2) as usize;
        for _ in 0..50 {
            if let Ok(granted) = replicas[place].ask(&tenants[place], 1).await {
                held.set(held.get() + 1);
                most.set(most.get().max(held.get()));
                tokio::task::yield_now().await;
                held.set(held.get() - 1);
                drop(granted);
            }
        }
    });
    join_all(callers).await;
    assert!(most.get() > 0 && most.get() <= 7, "{} at once", most.get());
}

#[tokio::test]
async fn a_replica_that_dies_gives_up_its_slots_and_its_share() {
    let server = Server::start().await;
    let [one, dying]: [Replica; 2] = Replica::join(&options(&server)).await;
    let (here, there) = (one.tenant("a", &slots(1)), dying.tenant("a", &slots(1)));
    let held = dying.ask(&there, 1).await.unwrap();
    assert!(one.ask(&here, 1).await.is_err());
    let died = Instant::now();
    dying.running.abort();
    eventually("free", async || one.ask(&here, 1).await.is_ok()).await;
    assert!(died.elapsed() + Duration::from_secs(1) >= LIFE, "after {:?}", died.elapsed());
    eventually("alone", async || one.replicas() == 1).await;
    drop(held);
}

#[tokio::test]
async fn a_replica_that_leaves_tells_what_it_knows_and_is_no_longer_counted() {
    let server = Server::start().await;
    let [one, leaving]: [Replica; 2] = Replica::join(&options(&server)).await;
    let rates = Rates { concurrent_requests: Some(1), ..tokens(1000) };
    let (here, there) = (one.tenant("a", &rates), leaving.tenant("a", &rates));
    let begun = Instant::now();
    leaving.ask(&there, 100).await.unwrap().settle(600, Instant::now());
    drop(leaving.drain);
    leaving.running.await.unwrap();
    let level = one.ask(&here, 0).await.unwrap().levels().tokens.unwrap();
    assert!(level.remaining <= 400 + inflow(1000, begun), "{level:?}");
    eventually("alone", async || one.replicas() == 1).await;
}

#[tokio::test]
async fn answers_from_memory_are_told_and_leave_no_debt() {
    let server = Server::start().await;
    let [one, other]: [Replica; 2] = Replica::join(&options(&server)).await;
    let rates = Rates { requests_per_minute: Some(100), ..Rates::default() };
    let (here, there) = (one.tenant("a", &rates), other.tenant("a", &rates));
    let subject = Subject { tenant: Some(&here), ..Subject::default() };
    (0..1000).for_each(|_| one.limits.note(&subject, Instant::now()));
    eventually("told", async || {
        let told = other.ask(&there, 0).await;
        told.is_err_and(|denied| denied.after <= MINUTE / 100)
    })
    .await;
}

#[tokio::test]
async fn another_redis_is_taken_up_and_without_one_everybody_counts_alone() {
    let (first, second) = (Server::start().await, Server::start().await);
    let [one]: [Replica; 1] = Replica::join(&options(&first)).await;
    let tenant = one.tenant("a", &tokens(100));
    drop(one.ask(&tenant, 100).await.unwrap());
    one.limits.share(Some(&options(&second))).unwrap();
    one.counts_with(1).await;
    drop(one.ask(&tenant, 100).await.unwrap());
    one.limits.share(None).unwrap();
    // What was used is known here as well.
    assert!(one.ask(&tenant, 10).await.is_err());
}
