//! What the tier in Redis costs: a hit beside a bare `GET`, and a call when Redis is killed, frozen or slow.
//!
//! `cargo run --release -p tidegate-cache --example redis_latency`; needs `redis-server`. Prints
//! milliseconds.

use bytes::Bytes;
use cache::clock::Millis;
use cache::entry::{Entry, Lifetime};
use cache::epochs::{Epochs, Stamp};
use cache::key::Key;
use cache::redis::{Options, Redis};
use cache::tier::Tier;
use rustix::process::{Pid, Signal, kill_process};
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Calls of one figure.
const CALLS: usize = 20_000;
/// How long a fault is watched.
const WATCHED: Duration = Duration::from_secs(10);
/// Pause between calls during a fault: 200 calls a second.
const EVERY: Duration = Duration::from_millis(5);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let (tasks, drain) = (TaskTracker::new(), CancellationToken::new());
    println!("{:<44}{:>9}{:>9}{:>9}", "ms", "p50", "p99", "max");
    for bytes in [1_000, 10_000, 100_000] {
        hits(bytes, &tasks, &drain).await?;
    }
    for fault in [Fault::Killed, Fault::Frozen, Fault::Slow] {
        failing(fault, &tasks, &drain).await?;
    }
    drain.cancel();
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Killed,
    Frozen,
    Slow,
}

async fn hits(bytes: usize, tasks: &TaskTracker, drain: &CancellationToken) -> Outcome<()> {
    let server = Server::start()?;
    let tier = tier(server.port, tasks, drain).await?;
    let key = Key::from_bytes([7; 32]);
    while tier.put(&key, &entry(bytes)).await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port))?;
    let bare = client.get_multiplexed_async_connection().await?;
    let value: Vec<u8> = (0..bytes).map(|_| fastrand::u8(..)).collect();
    let _: () = redis::cmd("SET").arg("bare").arg(value).query_async(&mut bare.clone()).await?;
    for at_once in [1, 32] {
        let took = measure(at_once, || async {
            let _: Vec<u8> = redis::cmd("GET").arg("bare").query_async(&mut bare.clone()).await?;
            Ok(())
        });
        print(&format!("bare GET, {bytes} bytes, {at_once} at once"), took.await?);
        let missed = AtomicU64::new(0);
        let took = measure(at_once, || async {
            if !tier.get(&key, Millis::now()).await.is_ok_and(|found| found.is_some()) {
                missed.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        print(&format!("hit, {bytes} bytes, {at_once} at once"), took.await?);
        // On a machine that is busy with other things the budget may run out.
        if missed.load(Ordering::Relaxed) > 0 {
            println!("  of which {} came to nothing", missed.load(Ordering::Relaxed));
        }
    }
    Ok(())
}

/// Times [`CALLS`] calls, so many of them at once.
async fn measure<F: Future<Output = Outcome<()>>>(
    at_once: usize,
    call: impl Fn() -> F,
) -> Outcome<Vec<Duration>> {
    let lane = || async {
        let mut took = Vec::with_capacity(CALLS / at_once);
        for _ in 0..CALLS / at_once {
            let begun = Instant::now();
            call().await?;
            took.push(begun.elapsed());
        }
        Ok::<_, Box<dyn Error>>(took)
    };
    let lanes = futures_util::future::join_all((0..at_once).map(|_| lane())).await;
    Ok(lanes.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

async fn failing(fault: Fault, tasks: &TaskTracker, drain: &CancellationToken) -> Outcome<()> {
    let mut server = Server::start()?;
    let delay_ms = Arc::new(AtomicU64::new(0));
    let port = proxy(server.port, Arc::clone(&delay_ms), tasks).await?;
    let tier = tier(port, tasks, drain).await?;
    let key = Key::from_bytes([7; 32]);
    tier.put(&key, &entry(1_000)).await?;
    match fault {
        Fault::Killed => server.process.kill()?,
        Fault::Frozen => server.signal(Signal::STOP)?,
        Fault::Slow => delay_ms.store(200, Ordering::Relaxed),
    }
    let (begun, mut ticks) = (Instant::now(), interval(EVERY));
    let mut took = Vec::new();
    while begun.elapsed() < WATCHED {
        ticks.tick().await;
        let call = Instant::now();
        if tier.get(&key, Millis::now()).await.is_ok_and(|found| found.is_some()) {
            println!("an answer in spite of all");
        }
        took.push(call.elapsed());
    }
    print(&format!("{fault:?}, the first second").to_lowercase(), took.iter().take(200).copied().collect());
    print(&format!("{fault:?}, {} s, 200 calls a second", WATCHED.as_secs()).to_lowercase(), took);
    match fault {
        Fault::Killed => server.process = launch(server.port)?,
        Fault::Frozen => server.signal(Signal::CONT)?,
        Fault::Slow => delay_ms.store(0, Ordering::Relaxed),
    }
    let begun = Instant::now();
    while tier.get(&key, Millis::now()).await.is_err() {
        sleep(Duration::from_millis(5)).await;
    }
    println!("{:<44}{:>9.0}", format!("{fault:?}, until served again").to_lowercase(), ms(begun.elapsed()));
    Ok(())
}

async fn tier(port: u16, tasks: &TaskTracker, drain: &CancellationToken) -> Outcome<Redis> {
    let options = Options { url: format!("redis://127.0.0.1:{port}"), ..Options::default() };
    let tier = Redis::new(options, Arc::new(Epochs::default()))?;
    let (running, token) = (tier.clone(), drain.clone());
    tasks.spawn(async move { running.run(token).await });
    while tier.remove(&Key::from_bytes([0; 32])).await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    Ok(tier)
}

fn entry(bytes: usize) -> Arc<Entry> {
    let body: Vec<u8> = (0..bytes).map(|_| fastrand::u8(..)).collect();
    let lifetime = Lifetime { fresh: Duration::from_secs(600), stale: Duration::ZERO };
    Arc::new(Entry::new(body.into(), Bytes::new(), lifetime, Stamp(0), &[]))
}

fn print(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).or(took.last());
    let [p50, p99, max] = [at(0.5), at(0.99), took.last()].map(|time| time.copied().map_or(0.0, ms));
    println!("{what:<44}{p50:>9.3}{p99:>9.3}{max:>9.3}");
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Outcome<Self> {
        let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        Ok(Self { process: launch(port)?, port })
    }

    fn signal(&self, signal: Signal) -> Outcome<()> {
        let pid = Pid::from_raw(i32::try_from(self.process.id())?).ok_or("no process")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(port: u16) -> Outcome<Child> {
    let port = port.to_string();
    let args = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"];
    let started = Command::new("redis-server").args(args).stdout(Stdio::null()).spawn();
    Ok(started.map_err(|error| format!("no redis-server ({error}): install Debian package redis-server"))?)
}

/// A line to `port` whose answers can be held back.
async fn proxy(port: u16, delay_ms: Arc<AtomicU64>, tasks: &TaskTracker) -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let own = listener.local_addr()?.port();
    let lines = tasks.clone();
    tasks.spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            lines.spawn(carry(near, port, Arc::clone(&delay_ms)));
        }
    });
    Ok(own)
}

async fn carry(near: TcpStream, port: u16, delay_ms: Arc<AtomicU64>) {
    let Ok(socket) = TcpSocket::new_v4() else { return };
    let Ok(far) = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
    let answers = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = far_in.read(&mut buffer).await {
            sleep(Duration::from_millis(delay_ms.load(Ordering::Relaxed))).await;
            if near_out.write_all(buffer.get(..length).unwrap_or_default()).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = copy(&mut near_in, &mut far_out) => {}
    }
}
