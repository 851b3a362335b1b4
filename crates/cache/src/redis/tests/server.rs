//! A Redis process of the test's own.

use super::PATIENCE;
use redis::{Cmd, FromRedisValue, RedisResult};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// A server on a free port of this machine, gone when dropped.
pub(super) struct Server {
    process: Child,
    pub(super) port: u16,
    dir: TempDir,
    args: Vec<String>,
}

impl Server {
    pub(super) async fn start(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        loop {
            let (port, dir) = (free_port(), TempDir::new().unwrap());
            let mut server = Self { process: launch(port, &dir, &args), port, dir, args: args.clone() };
            // Another test may have taken the port in between.
            if server.answers().await {
                return server;
            }
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it keeps its files.
    pub(super) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Sends a command over a connection of its own.
    pub(super) async fn ask<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        cmd.query_async(&mut client.get_multiplexed_async_connection().await?).await
    }

    /// Sends a command of words.
    pub(super) async fn tell(&self, words: &str) -> redis::Value {
        let mut words = words.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            cmd.arg(word);
        });
        self.ask(&cmd).await.unwrap()
    }

    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// The same server once more, with what it had on its disk.
    pub(super) async fn restart(&mut self) {
        self.process = launch(self.port, &self.dir, &self.args);
        assert!(self.answers().await, "port {} was taken meanwhile", self.port);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until this very process answers; gives whether it does.
    async fn answers(&mut self) -> bool {
        let own = format!("process_id:{}\r", self.process.id());
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.ask::<String>(&redis::cmd("INFO")).await.is_ok_and(|info| info.contains(&own)) {
                return true;
            }
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("a Redis that does not answer")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(port: u16, dir: &TempDir, args: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"])
        .arg("--dir")
        .arg(dir.path())
        .args(args)
        .stdout(Stdio::null())
        .spawn()
        .expect("no redis-server: install Debian package redis-server")
}

/// A port that is free, and the one above by 10,000 too, where a cluster's nodes talk. Below the range that
/// the system takes ports from.
fn free_port() -> u16 {
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (0..1000)
        .map(|_| fastrand::u16(15_000..22_000))
        .find(|port| is_free(*port) && is_free(port + 10_000))
        .expect("a free port")
}
