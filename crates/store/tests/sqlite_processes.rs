//! SQLite between processes: one is killed again and again, several work on one file, one has a full disk.
//!
//! A program and not a list of tests, as it starts itself as the other process. Its arguments, if any, are how
//! many times to kill and how many jobs several processes share: `cargo test --test sqlite_processes -- 1000 100000`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "sqlite_processes/full.rs"]
mod full;
#[path = "sqlite_processes/killed.rs"]
mod killed;
#[path = "sqlite_processes/shared.rs"]
mod shared;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use store::jobs::{Band, NewJob};
use store::{Options, Store, Time};

const NOW: Time = Time(1_750_000_000_000);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["killed", folder, round] => runtime().block_on(killed::child(Path::new(folder), round)),
        ["shared", folder] => runtime().block_on(shared::child(Path::new(folder))),
        ["full", folder] => runtime().block_on(full::child(Path::new(folder))),
        ref numbers => {
            let number = |place, usual| numbers.get(place).map_or(usual, |word: &&str| word.parse().unwrap());
            killed::what_was_acknowledged_outlives_a_kill(number(0, 12));
            shared::workers_of_several_processes_never_share_a_job(number(1, 20_000));
            full::a_full_disk_is_away_until_there_is_room();
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn open(folder: &Path) -> Store {
    Store::open(&Options::new(format!("sqlite:{}", folder.join("store.db").display()))).await.unwrap()
}

/// This program as another process, that says what it does line by line.
fn start(args: &[&str]) -> Child {
    Command::new(std::env::current_exe().unwrap()).args(args).stdout(Stdio::piped()).spawn().unwrap()
}

fn passed(name: &str, figures: &str) {
    println!("{name} ... ok ({figures})");
}

fn job(tenant: &str) -> NewJob {
    NewJob {
        queue: "default".to_owned(),
        tenant: tenant.to_owned(),
        kind: "test".to_owned(),
        band: Band::Normal,
        run_at: NOW,
        deadline: None,
        attempts_max: 9,
        idempotency: None,
        unique: None,
        payload: Vec::new(),
        replay_of: None,
        keep: true,
    }
}
