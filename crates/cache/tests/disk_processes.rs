//! The disk tier between processes: one is killed, one comes second, one may not write, one has a full disk.
//!
//! A program and not a list of tests, as it starts itself as the other process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../examples/disk_torture.rs"]
mod torture;

use cache::clock::Millis;
use cache::disk::{Disk, OpenError, State};
use cache::epochs::Tag;
use cache::tier::{Error, Tier};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use torture::{entry, key, options, runtime};

/// Nobody, to whom a folder of another's is read-only.
const NOBODY: u32 = 65_534;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["child", folder, seed] => torture::child(Path::new(folder), seed.parse().unwrap()),
        ["second", folder] => runtime().block_on(come_second(Path::new(folder))),
        ["read-only", folder] => runtime().block_on(find_it_read_only(Path::new(folder))),
        ["full", folder] => runtime().block_on(fill_the_disk(Path::new(folder))),
        _ => {
            torture::torture(5);
            a_second_process_is_refused();
            a_folder_that_is_read_only_leaves_the_tier_resting();
            a_full_disk_leaves_the_tier_resting_until_there_is_room();
        }
    }
}

fn program() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}

fn passes(mut command: Command, name: &str) {
    assert!(command.status().unwrap().success(), "{name} failed");
    println!("{name} ... ok");
}

fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = runtime().block_on(Disk::open(options(folder.path()), Arc::default())).unwrap();
    let mut second = Command::new(program());
    second.arg("second").arg(folder.path());
    passes(second, "a_second_process_is_refused");
    runtime().block_on(first.close());
}

async fn come_second(folder: &Path) {
    assert!(matches!(Disk::open(options(folder), Arc::default()).await, Err(OpenError::Owned)));
}

fn a_folder_that_is_read_only_leaves_the_tier_resting() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere; and nobody may not start a program in a folder that is hidden.
    let outside = tempfile::tempdir().unwrap();
    std::fs::set_permissions(outside.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = outside.path().join("program");
    std::fs::copy(program(), &copy).unwrap();
    let mut other = Command::new(copy);
    other.arg("read-only").arg(folder.path());
    if rustix::process::geteuid().is_root() {
        other.uid(NOBODY).gid(NOBODY);
    }
    passes(other, "a_folder_that_is_read_only_leaves_the_tier_resting");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
}

async fn find_it_read_only(folder: &Path) {
    assert!(matches!(Disk::open(options(folder), Arc::default()).await, Err(OpenError::Refused(_))));
    let (disk, hindrance) = Disk::start(options(folder), Arc::default()).await.unwrap();
    assert!(matches!(hindrance, Some(OpenError::Refused(_))));
    assert_eq!(disk.state(), State::Resting);
    assert_eq!(disk.get(&key(1), Millis::now()).await, Err(Error::Tripped));
    disk.close().await;
}

fn a_full_disk_leaves_the_tier_resting_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    // A file may not grow, as on a full disk; the signal that would come with it is left to the shell to mute.
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap "" XFSZ; exec "$0" full "$1""#, &program()]).arg(folder.path());
    passes(shell, "a_full_disk_leaves_the_tier_resting_until_there_is_room");
}

async fn fill_the_disk(folder: &Path) {
    let epochs = Arc::default();
    let disk = Disk::open(options(folder), Arc::clone(&epochs)).await.unwrap();
    for number in [1, 2, 4] {
        disk.put(&key(number), &entry(number, 1)).await.unwrap();
    }
    disk.flush().await.unwrap();
    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(0), ..before }).unwrap();

    disk.put(&key(2), &entry(2, 2)).await.unwrap();
    disk.put(&key(3), &entry(3, 1)).await.unwrap();
    assert_eq!(disk.flush().await, Err(Error::Tripped));
    for number in 1..=4 {
        // Nothing of what was to be written is served in its old form, nor anything in a torn one.
        let _ = disk.put(&key(4), &entry(4, 2)).await;
        assert!(!matches!(disk.get(&key(number), Millis::now()).await, Ok(Some(_))), "{number}");
    }
    let number = epochs.invalidate(&[Tag(1)]);
    assert!(disk.invalidated(number, &[Tag(1)]).await.is_err());
    assert!(disk.counts().outages > 0);

    setrlimit(Resource::Fsize, before).unwrap();
    while disk.state() != State::Open {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(disk.get(&key(1), Millis::now()).await.unwrap().is_some(), "what was written is still there");
    for number in 2..=4 {
        assert_eq!(disk.get(&key(number), Millis::now()).await, Ok(None), "{number} has no older form");
    }
    disk.put(&key(5), &entry(5, 1)).await.unwrap();
    disk.flush().await.unwrap();
    disk.close().await;
    let disk = Disk::open(options(folder), Arc::default()).await.unwrap();
    assert!(disk.get(&key(5), Millis::now()).await.unwrap().is_some());
    assert_eq!(disk.get(&key(2), Millis::now()).await, Ok(None));
    disk.close().await;
}
