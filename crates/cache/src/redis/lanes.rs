//! Connections, each shared by many calls at once: opened in the background, given up where they break.
//!
//! A call takes the next open lane in turn and never connects itself. One lane is kept open; a further one
//! is wished for when a call finds its lane busy, up to the bound.

use super::lock;
use super::options::{Nodes, Options};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// A lane with as many calls under way is busy. Calls that share a connection share its system calls too:
/// more connections than needed are slower, not faster.
const BUSY: usize = 64;
/// The pause after the first failed attempt to connect; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause: Redis is found again soon after it is back.
const PAUSE_MAX: Duration = Duration::from_millis(800);
/// A connection that looks well answers within this when asked.
const CHECK_MAX: Duration = Duration::from_secs(1);

/// The connections of one tier.
pub(super) struct Lanes {
    nodes: Nodes,
    config: AsyncConnectionConfig,
    connect_timeout: Duration,
    check_every: Duration,
    lanes: Box<[Lane]>,
    wanted: AtomicUsize,
    turn: AtomicUsize,
    opened_before: AtomicU64,
    /// Wakes whoever connects.
    missing: Notify,
    /// Grows whenever a lane opens, for calls that find none.
    opened: watch::Sender<u64>,
    /// Whether somebody else tells operators of the same Redis.
    quiet: bool,
}

#[derive(Default)]
struct Lane {
    open: Mutex<Option<(u64, Connection)>>,
    calls: AtomicUsize,
}

/// A connection for one call.
pub(super) struct Lease<'a> {
    pub(super) connection: Connection,
    lanes: &'a Lanes,
    lane: &'a Lane,
    number: u64,
}

/// To one server or to a cluster.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Lanes {
    pub(super) fn new(options: &Options, nodes: Nodes) -> Self {
        // A call bounds itself; what it no longer waits for is sorted out by the connection.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(options.pipeline_buffer.max(1));
        Self {
            nodes,
            config,
            connect_timeout: options.connect_timeout,
            check_every: options.check_every.max(Duration::from_millis(100)),
            lanes: (0..options.connections.max(1)).map(|_| Lane::default()).collect(),
            wanted: AtomicUsize::new(1),
            turn: AtomicUsize::new(0),
            opened_before: AtomicU64::new(0),
            missing: Notify::new(),
            opened: watch::Sender::new(0),
            quiet: false,
        }
    }

    /// Lanes beside others to the same Redis, which tell operators where it is not there.
    pub(super) fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    pub(super) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Lanes that are open.
    pub(super) fn open(&self) -> usize {
        self.lanes.iter().filter(|lane| lock(&lane.open).is_some()).count()
    }

    /// Tells when a lane opens.
    pub(super) fn opened(&self) -> watch::Receiver<u64> {
        self.opened.subscribe()
    }

    /// The next open lane; waits for one where there is none.
    pub(super) async fn lease(&self) -> Lease<'_> {
        if let Some(lease) = self.next_open() {
            return lease;
        }
        let mut opened = self.opened.subscribe();
        loop {
            if let Some(lease) = self.next_open() {
                return lease;
            }
            // The sender lives as long as `self`.
            let _ = opened.changed().await;
        }
    }

    fn next_open(&self) -> Option<Lease<'_>> {
        let wanted = self.wanted.load(Ordering::Relaxed);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let lanes = (0..wanted).filter_map(|step| self.lanes.get(turn.wrapping_add(step) % wanted));
        let (lane, number, connection) = lanes
            .filter_map(|lane| {
                lock(&lane.open).clone().map(|(number, connection)| (lane, number, connection))
            })
            .next()?;
        if lane.calls.fetch_add(1, Ordering::Relaxed) >= BUSY && wanted < self.lanes.len() {
            self.want(wanted);
        }
        Some(Lease { connection, lanes: self, lane, number })
    }

    fn want(&self, wanted: usize) {
        if self.wanted.compare_exchange(wanted, wanted + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.missing.notify_one();
        }
    }

    /// Gives all lanes up, as none seems to lead anywhere.
    pub(super) fn abandon(&self) {
        for lane in &self.lanes {
            lock(&lane.open).take();
        }
        self.missing.notify_one();
    }

    /// Keeps the lanes open until the drain.
    pub(super) async fn run(&self, drain: &CancellationToken) {
        let _ = drain.run_until_cancelled(self.keep_open()).await;
    }

    async fn keep_open(&self) {
        let (mut pause, mut checked, mut told) = (PAUSE_MIN, Instant::now(), self.quiet);
        loop {
            if let Err(error) = self.open_missing().await {
                self.tell(&error, mem::replace(&mut told, true));
                sleep(pause.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
            (pause, told) = (PAUSE_MIN, self.quiet);
            if timeout(self.check_every.saturating_sub(checked.elapsed()), self.missing.notified())
                .await
                .is_err()
            {
                self.check().await;
                checked = Instant::now();
            }
        }
    }

    /// Operators are told once an outage, with the place and without the credentials that the address may hold.
    fn tell(&self, error: &RedisError, told: bool) {
        let place = self.nodes.places();
        if told {
            tracing::debug!(%place, %error, "cannot connect to Redis");
        } else {
            tracing::warn!(
                %place,
                %error,
                "cannot connect to Redis: requests go on without it, and it is tried again until it is there"
            );
        }
    }

    async fn open_missing(&self) -> RedisResult<()> {
        for lane in self.lanes.iter().take(self.wanted.load(Ordering::Relaxed)) {
            if lock(&lane.open).is_some() {
                continue;
            }
            let connection = self.connect().await?;
            let number = self.opened_before.fetch_add(1, Ordering::Relaxed) + 1;
            *lock(&lane.open) = Some((number, connection));
            self.opened.send_replace(number);
        }
        Ok(())
    }

    async fn connect(&self) -> RedisResult<Connection> {
        let connecting = async {
            if let Some(cluster) = &self.nodes.cluster {
                return cluster.get_async_connection().await.map(Connection::Cluster);
            }
            let Some(server) = self.nodes.node(0) else { return Err(no_connection()) };
            server.get_multiplexed_async_connection_with_config(&self.config).await.map(Connection::One)
        };
        // The client bounds the connecting, and this what comes after it.
        timeout(self.connect_timeout, connecting).await.unwrap_or_else(|_| Err(no_connection()))
    }

    /// Asks every open lane whether it is well. A cluster's client sees to that itself.
    async fn check(&self) {
        for lane in &self.lanes {
            let Some((number, Connection::One(mut connection))) = lock(&lane.open).clone() else { continue };
            let ping = redis::cmd("PING");
            let asking = ping.exec_async(&mut connection);
            if !matches!(timeout(CHECK_MAX, asking).await, Ok(Ok(()))) {
                self.give_up(lane, number);
            }
        }
    }

    fn give_up(&self, lane: &Lane, number: u64) {
        if lock(&lane.open).take_if(|(held, _)| *held == number).is_some() {
            self.missing.notify_one();
        }
    }
}

impl Lease<'_> {
    /// Says that the connection broke: nobody gets it any more. A cluster's client has lost one node by
    /// that, and connects to it again itself.
    pub(super) fn broke(&self) {
        if matches!(self.connection, Connection::One(_)) {
            self.lanes.give_up(self.lane, self.number);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.lane.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

fn no_connection() -> RedisError {
    RedisError::from((ErrorKind::Io, "no connection in time"))
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
