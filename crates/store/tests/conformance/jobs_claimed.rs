//! Jobs as they are claimed.

use super::make::*;
use std::collections::BTreeSet;
use std::time::Duration;
use store::Store;
use store::jobs::{Band, Claim, Claimed, Lease, NewJob, Rate, Running, State, Token, Turn};

pub async fn what_is_claimed_is_whole_and_runs(store: &Store) {
    let new = NewJob { payload: vec![0, 255], deadline: Some(NOW.after(SECOND)), ..job() };
    let id = add(store, new.clone()).await;
    let claimed = store.jobs.claim(claim(10)).await.unwrap();
    let expected = Running {
        lease: Lease { id, token: Token(1) },
        tenant: new.tenant,
        kind: new.kind,
        band: new.band,
        attempt: 1,
        attempts_max: new.attempts_max,
        created: NOW,
        deadline: new.deadline,
        payload: new.payload,
    };
    assert_eq!(claimed.jobs, [expected]);
    let job = get(store, id).await;
    assert_eq!((job.state, job.attempt, job.started), (State::Running, 1, Some(NOW)));
    assert_eq!((job.owner.as_deref(), job.lease_until), (Some("worker-1"), Some(NOW.after(LEASE))));
    assert_eq!(store.jobs.claim(claim(10)).await.unwrap().jobs, [], "it is claimed once");
}

pub async fn the_urgent_go_first_and_at_times_the_lowest(store: &Store) {
    let backwards = Band::ALL.into_iter().rev();
    let mut ids: Vec<_> = add_all(store, backwards.map(|band| NewJob { band, ..job() }).collect()).await;
    ids.reverse();
    let lowest = Turn { lowest_first: true, ..Turn::default() };
    let first = store.jobs.claim(Claim { turn: lowest, ..claim(1) }).await.unwrap();
    assert_eq!(super::make::ids(&first), [ids[Band::Batch as usize]]);
    assert!(!first.turn.lowest_first, "once");
    let rest = store.jobs.claim(Claim { turn: first.turn, ..claim(9) }).await.unwrap();
    assert_eq!(super::make::ids(&rest), ids[..3]);
}

pub async fn a_tenants_jobs_go_by_their_time_and_then_by_number(store: &Store) {
    let before = |seconds| NewJob { run_at: NOW.before(SECOND * seconds), ..job() };
    let added = add_all(store, vec![before(1), before(3), before(1), before(2)]).await;
    let claimed = store.jobs.claim(claim(10)).await.unwrap();
    assert_eq!(ids(&claimed), [added[1], added[3], added[0], added[2]]);
}

pub async fn one_tenant_alone_gets_all(store: &Store) {
    for tenant in ["acme", ""] {
        let added = add_all(store, vec![job_of(tenant); 7]).await;
        let turn = Turn { after: std::array::from_fn(|_| tenant.to_owned()), lowest_first: false };
        let claimed = store.jobs.claim(Claim { turn, ..claim(5) }).await.unwrap();
        assert_eq!(ids(&claimed), added[..5], "`{tenant}`");
        assert_eq!(store.jobs.claim(claim(5)).await.unwrap().jobs.len(), 2);
    }
}

/// Claims one after the other, each with the turn that the one before gave.
async fn claim_on(store: &Store, limit: u32, turn: &mut Turn) -> Claimed {
    let claimed = store.jobs.claim(Claim { turn: turn.clone(), ..claim(limit) }).await.unwrap();
    *turn = claimed.turn.clone();
    claimed
}

pub async fn tenants_share_by_turns(store: &Store) {
    let mut jobs = vec![job_of("a"); 20];
    for tenant in ["b", "c", "d"] {
        jobs.extend(vec![job_of(tenant); 5]);
    }
    add_all(store, jobs).await;
    let mut turn = Turn::default();
    assert_eq!(tenants(&claim_on(store, 2, &mut turn).await), ["a", "b"]);
    assert_eq!(tenants(&claim_on(store, 3, &mut turn).await), ["c", "d", "a"], "goes on, and round");
    assert_eq!(tenants(&claim_on(store, 1, &mut turn).await), ["b"]);
    let shared = claim_on(store, 8, &mut turn).await;
    let mut shared = tenants(&shared);
    assert_eq!(shared[..4], ["c", "d", "a", "b"], "in turns");
    shared.sort_unstable();
    assert_eq!(shared, ["a", "a", "b", "b", "c", "c", "d", "d"], "the long queue gets no more");
}

pub async fn what_one_tenant_leaves_goes_to_the_others(store: &Store) {
    let mut jobs = vec![job_of("a"); 20];
    jobs.extend(vec![job_of("b"); 2]);
    jobs.extend(vec![job_of("c"); 20]);
    add_all(store, jobs).await;
    let claimed = store.jobs.claim(claim(12)).await.unwrap();
    let count = |tenant: &str| tenants(&claimed).iter().filter(|found| **found == tenant).count();
    let (a, b, c) = (count("a"), count("b"), count("c"));
    assert!(
        b == 2 && a >= 4 && c >= 4 && a + b + c == 12,
        "shares of 4, and b's rest to others: {a}, {b}, {c}"
    );
    let claimed = store.jobs.claim(claim(100)).await.unwrap();
    assert_eq!(claimed.jobs.len(), 30, "as long as there is any");
}

pub async fn a_queue_gives_only_its_own(store: &Store) {
    add(store, NewJob { queue: "second".to_owned(), ..job() }).await;
    assert_eq!(store.jobs.claim(claim(9)).await.unwrap().jobs, []);
    let second = Claim { queue: "second".to_owned(), ..claim(9) };
    assert_eq!(store.jobs.claim(second).await.unwrap().jobs.len(), 1);
}

pub async fn what_is_too_late_is_a_dead_letter(store: &Store) {
    let late = NewJob { deadline: Some(NOW), ..job() };
    let mut jobs = vec![late; 25];
    jobs.extend(vec![NewJob { deadline: Some(NOW.after(SECOND)), ..job() }; 3]);
    let added = add_all(store, jobs).await;
    let claimed = store.jobs.claim(claim(3)).await.unwrap();
    assert_eq!(ids(&claimed), added[25..], "they take nobody's place");
    let job = get(store, added[0]).await;
    assert_eq!((job.state, job.ended, job.attempt), (State::Dead, Some(NOW), 0));
    assert_eq!(job.fault.unwrap().class, "deadline");
    assert_eq!(store.jobs.faults(added[0]).await.unwrap().len(), 1);
}

pub async fn a_rate_bounds_all_who_claim(store: &Store) {
    add_all(store, vec![job(); 40]).await;
    let rate = Some(Rate { per_second: 2.0, burst: 5.0 });
    let cases: &[(u64, u32, usize)] =
        &[(0, 3, 3), (0, 10, 2), (0, 10, 0), (400, 10, 0), (500, 10, 1), (2000, 10, 3), (60_000, 10, 5)];
    for &(ms, limit, expected) in cases {
        let now = NOW.after(Duration::from_millis(ms));
        let claimed = store.jobs.claim(Claim { now, rate, ..claim(limit) }).await.unwrap();
        assert_eq!(claimed.jobs.len(), expected, "{limit} after {ms} ms");
    }
    assert_eq!(store.jobs.claim(claim(10)).await.unwrap().jobs.len(), 10, "without a rate");
}

pub async fn claims_at_once_never_share_a_job(store: &Store) {
    let tenants = ["a", "b", "c", "d", "e"];
    add_all(store, (0..1000).map(|number| job_of(tenants[number % 5])).collect()).await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        workers.spawn(async move {
            let (mut all, mut turn) = (Vec::new(), Turn::default());
            loop {
                let claimed = claim_on(&store, 7, &mut turn).await;
                if claimed.jobs.is_empty() {
                    return all;
                }
                all.extend(ids(&claimed));
            }
        });
    }
    let all: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), 1000);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 1000);
}
