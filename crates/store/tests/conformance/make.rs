//! What tests make: jobs, claims, moments.

use std::time::Duration;
use store::batches::Stretch;
use store::jobs::{
    Added, Band, Claim, Claimed, End, Fault, Finish, Job, JobId, Lease, NewJob, Running, Turn,
};
use store::{Store, Time};

/// When tests begin.
pub const NOW: Time = Time(1_750_000_000_000);
pub const SECOND: Duration = Duration::from_secs(1);
/// How long leases last in tests.
pub const LEASE: Duration = Duration::from_secs(30);

/// A job that is ready, and is kept.
pub fn job() -> NewJob {
    NewJob {
        queue: "default".to_owned(),
        tenant: "acme".to_owned(),
        kind: "test".to_owned(),
        band: Band::Normal,
        run_at: NOW,
        deadline: None,
        attempts_max: 3,
        idempotency: None,
        unique: None,
        payload: b"{}".to_vec(),
        replay_of: None,
        keep: true,
    }
}

/// The same of another tenant.
pub fn job_of(tenant: &str) -> NewJob {
    NewJob { tenant: tenant.to_owned(), ..job() }
}

pub fn claim(limit: u32) -> Claim {
    Claim {
        queue: "default".to_owned(),
        owner: "worker-1".to_owned(),
        limit,
        lease: LEASE,
        now: NOW,
        turn: Turn::default(),
        rate: None,
    }
}

pub fn fault(class: &str) -> Fault {
    Fault { class: class.to_owned(), message: format!("it was {class}") }
}

/// So many lines, the first ones.
pub fn first(limit: u32) -> Stretch {
    Stretch { after: None, limit, bytes: 1 << 20 }
}

pub fn finish(lease: Lease, end: End) -> Finish {
    Finish { lease, at: NOW, end, then: Vec::new(), line: None }
}

pub fn done(lease: Lease) -> Finish {
    finish(lease, End::Done { result: b"42".to_vec() })
}

/// Adds one, which must be new.
pub async fn add(store: &Store, job: NewJob) -> JobId {
    match store.jobs.add(vec![job], NOW).await.unwrap()[..] {
        [Added::New(id)] => id,
        ref other => panic!("{other:?}"),
    }
}

/// Adds several, which must be new.
pub async fn add_all(store: &Store, jobs: Vec<NewJob>) -> Vec<JobId> {
    let added = store.jobs.add(jobs, NOW).await.unwrap();
    added.into_iter().map(|added| if let Added::New(id) = added { id } else { panic!("{added:?}") }).collect()
}

/// Adds one and claims it.
pub async fn run(store: &Store, job: NewJob) -> Running {
    let id = add(store, job).await;
    let running = claim_one(store, NOW).await.unwrap();
    assert_eq!(running.lease.id, id);
    running
}

pub async fn claim_one(store: &Store, now: Time) -> Option<Running> {
    store.jobs.claim(Claim { now, ..claim(1) }).await.unwrap().jobs.pop()
}

pub async fn get(store: &Store, id: JobId) -> Job {
    store.jobs.get(id, None).await.unwrap().unwrap()
}

/// Ends one attempt; whether its lease was held.
pub async fn end(store: &Store, finish: Finish) -> bool {
    store.jobs.finish(vec![finish]).await.unwrap()[0]
}

pub fn ids(claimed: &Claimed) -> Vec<JobId> {
    claimed.jobs.iter().map(|job| job.lease.id).collect()
}

pub fn tenants(claimed: &Claimed) -> Vec<&str> {
    claimed.jobs.iter().map(|job| job.tenant.as_str()).collect()
}
