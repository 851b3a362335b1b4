//! Several processes on one file: SQLite's locks keep them apart, and no job is claimed twice.

use super::{NOW, job, open, passed, runtime, start};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;
use store::jobs::{Claim, Depth, End, Finish, NewJob, Turn};
use store::{Answer, Store};

const PROCESSES: usize = 2;
const WORKERS: usize = 8;

pub fn workers_of_several_processes_never_share_a_job(jobs: usize) {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(fill(folder.path(), jobs));
    let children: Vec<_> =
        (0..PROCESSES).map(|_| start(&["shared", folder.path().to_str().unwrap()])).collect();
    let mut all = HashSet::new();
    for mut child in children {
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let id: i64 = line.unwrap().parse().unwrap();
            assert!(all.insert(id), "{id} was claimed twice");
        }
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(all.len(), jobs);
    let left: Vec<Depth> =
        runtime().block_on(async { open(folder.path()).await.jobs.depths().await.unwrap() });
    assert_eq!(left, []);
    let figures = format!("{jobs} jobs, {PROCESSES} processes of {WORKERS} workers");
    passed("workers_of_several_processes_never_share_a_job", &figures);
}

async fn fill(folder: &Path, jobs: usize) {
    let store = open(folder).await;
    let all: Vec<NewJob> =
        (0..jobs).map(|number| NewJob { keep: false, ..job(&format!("tenant-{}", number % 100)) }).collect();
    for some in all.chunks(1000) {
        store.jobs.add(some.to_vec(), NOW).await.unwrap();
    }
}

/// The child's part: claims and ends jobs until there are none.
pub async fn child(folder: &Path) {
    let store = open(folder).await;
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(work(store.clone(), number));
    }
    for ids in workers.join_all().await {
        for id in ids {
            println!("{id}");
        }
    }
}

async fn work(store: Store, number: usize) -> Vec<i64> {
    let mut claim = Claim {
        queue: "default".to_owned(),
        owner: format!("worker-{number}"),
        limit: 20,
        lease: Duration::from_secs(30),
        now: NOW,
        turn: Turn::default(),
        rate: None,
    };
    let mut ids = Vec::new();
    loop {
        let claimed = patiently(|| store.jobs.claim(claim.clone())).await;
        if claimed.jobs.is_empty() {
            return ids;
        }
        claim.turn = claimed.turn;
        ids.extend(claimed.jobs.iter().map(|job| job.lease.id.0));
        let ends = claimed.jobs.iter().map(|job| Finish {
            lease: job.lease,
            at: NOW,
            end: End::Done { result: Vec::new() },
            then: Vec::new(),
            line: None,
        });
        let ends: Vec<Finish> = ends.collect();
        let expected = vec![true; ends.len()];
        assert_eq!(patiently(|| store.jobs.finish(ends.clone())).await, expected);
    }
}

/// As often as the other process has the file for longer than we wait: then nothing was begun.
async fn patiently<'a, T>(ask: impl Fn() -> Answer<'a, T>) -> T {
    loop {
        match ask().await {
            Err(store::Error::Away(why)) if why.contains("locked") => {}
            answer => return answer.unwrap(),
        }
    }
}
