//! Others' scripts, before a Redis that is killed and frozen.

use super::proxy::Proxy;
use super::server::Server;
use super::{bounded, eventually, options};
use crate::redis::{Door, Options, Script, State};
use crate::tier::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Adds to what is under a key, and gives the sum and the number of arguments.
const ADD: &str = "return {redis.call('INCRBY', KEYS[1], ARGV[1]), #ARGV}";

/// A door with somebody who keeps it open.
struct Open {
    door: Door,
    add: Script,
    _drain: DropGuard,
}

impl Open {
    fn start(options: &Options) -> Self {
        let door = Door::new(options).unwrap();
        let (tasks, drain) = (TaskTracker::new(), CancellationToken::new());
        let (running, token) = (door.clone(), drain.clone());
        tasks.spawn(async move { running.run(&token).await });
        Self { door, add: Script::new(ADD), _drain: drain.drop_guard() }
    }

    async fn add(&self, number: i64) -> Result<Vec<i64>, Error> {
        bounded(self.door.call(&self.add, &["sum".to_owned()], &[number.to_string()])).await
    }

    async fn beat(&self) -> bool {
        bounded(self.door.beat(&self.add, &["sum".to_owned()], &["0".to_owned()])).await.is_ok()
    }
}

fn brisk(url: String) -> Options {
    Options { budget: Options::default().budget, ..options(url) }
}

#[tokio::test]
async fn a_script_runs_whether_the_server_knows_it_or_not() {
    let server = Server::start(&[]).await;
    let open = Open::start(&options(server.url()));
    assert_eq!(open.add(2).await, Ok(vec![2, 1]));
    server.tell("SCRIPT FLUSH").await;
    assert_eq!(open.add(3).await, Ok(vec![5, 1]));
}

#[tokio::test]
async fn what_is_no_list_of_whole_numbers_is_an_error() {
    let server = Server::start(&[]).await;
    let open = Open::start(&options(server.url()));
    for text in ["return 1", "return {1, 'two'}", "return redis.call('NO-SUCH-COMMAND')"] {
        let answer = open.door.call(&Script::new(text), &["sum".to_owned()], &[]).await;
        assert!(matches!(answer, Err(Error::Refused(_))), "{text}: {answer:?}");
    }
}

#[tokio::test]
async fn frozen_it_is_left_alone_and_the_first_beat_that_is_answered_opens_it_again() {
    let server = Server::start(&[]).await;
    let open = Open::start(&brisk(server.url()));
    eventually("connected", async || open.add(0).await.is_ok()).await;
    server.freeze();
    eventually("tripped", async || open.add(1).await == Err(Error::Tripped)).await;
    assert!(!open.beat().await);
    assert_eq!(open.door.state(), State::Open);
    server.thaw();
    eventually("closed", async || open.beat().await && open.door.state() == State::Closed).await;
    eventually("answered", async || open.add(1).await.is_ok()).await;
}

#[tokio::test]
async fn slower_than_a_caller_would_wait_for_it_stays_left_alone() {
    let server = Server::start(&[]).await;
    let proxy = Proxy::before(server.port).await;
    let open = Open::start(&brisk(format!("redis://127.0.0.1:{}", proxy.port)));
    eventually("connected", async || open.add(0).await.is_ok()).await;
    proxy.delay(Duration::from_millis(100));
    eventually("tripped", async || open.add(1).await == Err(Error::Tripped)).await;
    for _ in 0..20 {
        assert!(open.beat().await, "slow, but there");
        assert_ne!(open.door.state(), State::Closed);
    }
    proxy.delay(Duration::ZERO);
    eventually("closed", async || open.beat().await && open.door.state() == State::Closed).await;
}

#[tokio::test]
async fn killed_and_started_again_it_is_found_by_beats_alone() {
    let mut server = Server::start(&[]).await;
    let open = Open::start(&brisk(server.url()));
    eventually("connected", async || open.add(0).await.is_ok()).await;
    server.kill();
    eventually("tripped", async || open.add(1).await == Err(Error::Tripped)).await;
    server.restart().await;
    eventually("closed", async || open.beat().await && open.door.state() == State::Closed).await;
    eventually("answered", async || open.add(1).await.is_ok()).await;
}

/// A server that takes a script and closes the connection without a word; gives its port and how many it took.
async fn silent() -> (u16, Arc<AtomicUsize>, DropGuard) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (port, taken) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let (tasks, drain, counted) = (TaskTracker::new(), CancellationToken::new(), Arc::clone(&taken));
    tasks.spawn(drain.clone().run_until_cancelled_owned(async move {
        while let Ok((mut line, _)) = listener.accept().await {
            let mut buffer = vec![0; 4096];
            while let Ok(length @ 1..) = line.read(&mut buffer).await {
                let asked = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if asked.contains("EVALSHA") {
                    counted.fetch_add(1, SeqCst);
                    break;
                }
                // What a client says of itself when it connects.
                let answers = "+OK\r\n".repeat(asked.matches('*').count());
                line.write_all(answers.as_bytes()).await.unwrap();
            }
        }
    }));
    (port, taken, drain.drop_guard())
}

#[tokio::test]
async fn nothing_is_sent_twice() {
    let (port, taken, _drain) = silent().await;
    let open = Open::start(&options(format!("redis://127.0.0.1:{port}")));
    for round in 1..=3 {
        assert!(open.add(1).await.is_err());
        assert_eq!(taken.load(SeqCst), round);
        assert!(!open.beat().await);
        assert_eq!(taken.fetch_sub(1, SeqCst), round + 1);
    }
}
