//! A disk without room, as the system tells it: writes fail, and go on by themselves once they can.

use super::{NOW, job, open, passed};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;
use std::process::Command;
use store::jobs::{Added, Filter, JobId, NewJob};
use store::{Error, Result, Store};

pub fn a_full_disk_is_away_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    // A file may not grow, as on a full disk; the signal that would come with it is left to the shell to mute.
    let mut shell = Command::new("sh");
    let program = std::env::current_exe().unwrap();
    shell.args(["-c", r#"trap "" XFSZ; exec "$0" full "$1""#]).arg(program).arg(folder.path());
    assert!(shell.status().unwrap().success());
    passed("a_full_disk_is_away_until_there_is_room", "100 refused");
}

async fn add(store: &Store) -> Result<JobId> {
    let large = NewJob { payload: vec![1; 50_000], ..job("acme") };
    match store.jobs.add(vec![large], NOW).await?[..] {
        [Added::New(id)] => Ok(id),
        ref other => panic!("{other:?}"),
    }
}

async fn all(store: &Store) -> Vec<JobId> {
    let jobs = store.jobs.list(Filter::default(), None, u32::MAX).await.unwrap();
    jobs.iter().rev().map(|job| job.id).collect()
}

/// The child's part.
pub async fn child(folder: &Path) {
    let store = open(folder).await;
    let mut acknowledged = vec![add(&store).await.unwrap()];
    let before = getrlimit(Resource::Fsize);
    // Room for some more in the log, and then none, not even in the middle of a job.
    setrlimit(Resource::Fsize, Rlimit { current: Some(1 << 20), ..before }).unwrap();
    let mut refused = 0;
    while refused < 100 {
        match add(&store).await {
            Ok(id) => acknowledged.push(id),
            Err(Error::Away(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(all(&store).await, acknowledged, "it can be read meanwhile");
    setrlimit(Resource::Fsize, before).unwrap();
    for _ in 0..100 {
        acknowledged.push(add(&store).await.unwrap());
    }
    assert_eq!(all(&store).await, acknowledged);
    drop(store);
    assert_eq!(all(&open(folder).await).await, acknowledged);
}
