//! A Redis process of the test's own.

use super::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A server on a free port of this machine that keeps nothing, gone when dropped.
pub(super) struct Server {
    process: Child,
    port: u16,
}

impl Server {
    pub(super) async fn start() -> Self {
        loop {
            let port = free_port();
            let mut server = Self { process: launch(port), port };
            // Another test may have taken the port in between.
            if server.answers().await {
                return server;
            }
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
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

    /// The same server once more, with nothing in it.
    pub(super) async fn restart(&mut self) {
        self.process = launch(self.port);
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
            if info(self.port).is_ok_and(|info| info.contains(&own)) {
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

fn launch(port: u16) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"])
        .stdout(Stdio::null())
        .spawn()
        .expect("no redis-server: install Debian package redis-server")
}

/// What the server says of itself, over a connection that ends after it.
fn info(port: u16) -> std::io::Result<String> {
    let mut line = TcpStream::connect(("127.0.0.1", port))?;
    line.set_read_timeout(Some(Duration::from_secs(1)))?;
    line.write_all(b"INFO server\r\nQUIT\r\n")?;
    let mut answer = String::new();
    line.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A port that is free, below the range that the system takes ports from.
fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..1000).map(|_| fastrand::u16(15_000..22_000)).find(is_free).expect("a free port")
}
