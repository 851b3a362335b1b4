//! A provider that is asked over the network: a connection found, waited for or opened, and one request sent on it.

use super::answer::{Answer, Lease};
use super::dial::{Dialer, Dialled};
use super::outline::Outline;
use super::payload::Payload;
use super::pool::{First, Outcome, Pool, Sender, Turn};
use super::room::{Bound, Entered, Grant, Place};
use super::stock::Stock;
use super::{Call, Error, describe, tls};
use crate::config;
use crate::gather::Gathering;
use crate::spurious::Spared;
use crate::worker::Worker;
use http::Response;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use measure::metrics::{PoolMetrics, Shard};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;

/// How often a request moves on to another connection because the provider had closed the one it
/// was to go out on. Each time it is known that nothing of it was sent.
const STALE_MAX: usize = 4;
/// An HTTP/2 connection on which nothing answers for this long is given up.
const HTTP2_KEEPALIVE: Duration = Duration::from_secs(20);

/// One worker's way to a provider.
pub(super) struct Remote {
    dialer: Dialer,
    outline: Outline,
    /// All workers' connections.
    pub(super) stock: Arc<Stock>,
    /// This one's.
    pool: Arc<Pool>,
    /// How long a connection may take, and may be waited for.
    connect: Duration,
    metrics: PoolMetrics,
}

/// A connection, and whether it has just been opened.
struct Obtained {
    sender: Sender,
    is_new: bool,
}

/// What came of waiting for one's turn to open a connection.
enum Turned {
    /// It has come; others may wait for what comes of it.
    Opens(Option<First>),
    /// Somebody else's connection serves this request as well.
    Found(Sender),
}

impl Remote {
    pub(super) fn new(
        settings: &config::Provider,
        url: &config::BaseUrl,
        stock: &Arc<Stock>,
        worker: usize,
        metrics: Shard<'_>,
    ) -> Result<Self, Error> {
        let tls = url.https.then(|| tls::client(settings.ca_file.as_deref(), settings.http2)).transpose()?;
        let connect = settings.timeouts.connect;
        Ok(Self {
            dialer: Dialer::new(url, Arc::clone(&stock.names), tls, connect)?,
            outline: Outline::new(settings, url)?,
            stock: Arc::clone(stock),
            pool: Arc::clone(&stock.pools[worker % stock.pools.len()]),
            connect,
            metrics: metrics.pool(&settings.name),
        })
    }

    /// Sends one request; nobody waits for a connection beyond `due`.
    pub(super) async fn send(
        &self,
        worker: &Worker,
        call: &Call,
        due: Instant,
    ) -> Result<Response<Answer>, Error> {
        for _ in 0..STALE_MAX {
            let Some(sender) = self.pool.take() else { break };
            if let Some(result) = self.try_on(sender, call).await {
                self.metrics.reused();
                return result;
            }
        }
        for _ in 0..STALE_MAX {
            let Obtained { sender, is_new } = Box::pin(self.obtain(worker, due)).await?;
            if let Some(result) = self.try_on(sender, call).await {
                if !is_new {
                    self.metrics.reused();
                }
                return result;
            }
            if is_new {
                break;
            }
        }
        Err(Error::Unreachable("a new connection was closed before the request was sent".into()))
    }

    /// `None` where the connection had been closed and nothing was sent.
    async fn try_on(&self, sender: Sender, call: &Call) -> Option<Result<Response<Answer>, Error>> {
        let sent = match sender {
            Sender::Http1(mut loan) => {
                loan.sender().ready().await.ok()?;
                let sent = loan.sender().try_send_request(self.outline.request_http1(call)).await;
                sent.map(|response| response.map(|body| Answer::http(body, Lease::Own(loan))))
            }
            Sender::Http2(mut shared) => {
                shared.sender.ready().await.ok()?;
                let sent = shared.sender.try_send_request(self.outline.request_http2(call)).await;
                sent.map(|response| response.map(|body| Answer::http(body, Lease::Shared { _held: shared })))
            }
        };
        match sent {
            Ok(response) => Some(Ok(response)),
            Err(error) if error.message().is_some() => None,
            Err(error) => Some(Err(Error::Cut(describe(&error.into_error())))),
        }
    }

    /// A new connection; or somebody else's, where one is opened that may serve many, or there is no room.
    async fn obtain(&self, worker: &Worker, due: Instant) -> Result<Obtained, Error> {
        let first = match self.turn(due).await? {
            Turned::Found(sender) => return Ok(Obtained { sender, is_new: false }),
            Turned::Opens(first) => first,
        };
        let (place, first) = match self.stock.share.enter() {
            Entered::Place(place) => (place, first),
            no_room => {
                if let Some(first) = first {
                    first.ends(Outcome::NoRoom);
                }
                match self.wait(no_room, due).await? {
                    Grant::Place(place) => (place, None),
                    Grant::Connection(sender) => return Ok(Obtained { sender, is_new: false }),
                }
            }
        };
        let opened = self.open(worker, place).await;
        if let (Some(first), Err(error)) = (first, &opened) {
            first.ends(Outcome::Failed(error.clone()));
        }
        opened.map(|sender| Obtained { sender, is_new: true })
    }

    /// Waits for a connection that somebody else opens, if it may serve this request as well.
    async fn turn(&self, due: Instant) -> Result<Turned, Error> {
        let until = due.min(Instant::now() + self.connect);
        loop {
            let wait = match self.pool.turn() {
                Turn::Each => return Ok(Turned::Opens(None)),
                Turn::First(first) => return Ok(Turned::Opens(Some(first))),
                Turn::Wait(wait) => wait,
            };
            match tokio::time::timeout_at(until.into(), wait.outcome()).await {
                Ok(Outcome::Over) => {
                    if let Some(sender) = self.pool.take() {
                        return Ok(Turned::Found(sender));
                    }
                }
                Ok(Outcome::NoRoom) => return Ok(Turned::Opens(None)),
                // To open another would end the same.
                Ok(Outcome::Failed(error)) => return Err(error),
                Err(_) => return Err(Error::ConnectTimeout),
            }
        }
    }

    /// Waits for room as long as a connection may take. Who waits for one has asked for nothing yet, so that
    /// opening it has all of its own time afterwards.
    async fn wait(&self, entered: Entered, due: Instant) -> Result<Grant, Error> {
        let mut waiting = match entered {
            Entered::Place(place) => return Ok(Grant::Place(place)),
            Entered::Waiting(waiting) => waiting,
            Entered::Full(bound) => return Err(self.starved(bound)),
        };
        // Looked for only now: what is given back from here on is offered to those who wait.
        if let Some(sender) = self.stock.lend() {
            return Ok(Grant::Connection(sender));
        }
        let bound = waiting.bound();
        if bound == Bound::All {
            self.stock.share.room().reclaim();
        }
        let began = Instant::now();
        let until = due.min(began + self.connect);
        let granted = tokio::time::timeout_at(until.into(), waiting.granted()).await;
        self.metrics.waited(began.elapsed());
        granted.map_err(|_| self.starved(bound))
    }

    fn starved(&self, bound: Bound) -> Error {
        self.metrics.starved();
        Error::Starved(bound)
    }

    /// Opens a connection in `place`, which is free again when it is closed.
    async fn open(&self, worker: &Worker, place: Place) -> Result<Sender, Error> {
        let Worker { tasks, background, .. } = worker;
        let sender = match self.dialer.dial().await? {
            Dialled::Plain(stream) => {
                let sender = open_http1(TokioIo::new(Gathering(stream)), background, place).await?;
                self.pool.adopt(sender, tasks)
            }
            Dialled::Tls { stream, http2: false } => {
                let sender = open_http1(TokioIo::new(stream), background, place).await?;
                self.pool.adopt(sender, tasks)
            }
            Dialled::Tls { stream, http2: true } => {
                let sender = open_http2(TokioIo::new(stream), background, place).await?;
                self.pool.adopt_shared(sender, tasks)
            }
        };
        self.metrics.opened();
        Ok(sender)
    }

    /// Housekeeping: closes connections that have been idle too long or that nobody needs, opens others until
    /// the configured number is warm, and asks for the provider's addresses before they are too old. A provider
    /// that cannot be reached is not reported here: the first request will tell.
    pub(super) async fn maintain(&self, provider: &str, worker: &Worker) {
        let now = Instant::now();
        self.stock.turn(now);
        for _ in 0..self.pool.sweep(now) {
            // Whoever asks meanwhile waits for this one, where it may serve many.
            let first = match self.pool.turn() {
                Turn::Each => None,
                Turn::First(first) => Some(first),
                Turn::Wait(_) => break,
            };
            // Where there is no room, nobody needs another that is idle.
            let Some(place) = self.stock.share.place() else { break };
            match self.open(worker, place).await {
                Ok(Sender::Http1(loan)) => loan.give_back(Instant::now()),
                Ok(Sender::Http2(_)) => break,
                Err(error) => {
                    tracing::debug!(provider, %error, "no connection warmed");
                    if let Some(first) = first {
                        first.ends(Outcome::Failed(error));
                    }
                    break;
                }
            }
        }
        self.stock.names.refresh().await;
    }
}

async fn open_http1<S>(
    io: TokioIo<S>,
    tasks: &TaskTracker,
    place: Place,
) -> Result<http1::SendRequest<Payload>, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let opened = http1::Builder::new().handshake(io).await;
    let (sender, connection) = opened.map_err(|error| Error::Unreachable(describe(&error)))?;
    tasks.spawn(drive(Spared::new(connection), place));
    Ok(sender)
}

async fn open_http2<S>(
    io: TokioIo<S>,
    tasks: &TaskTracker,
    place: Place,
) -> Result<http2::SendRequest<Payload>, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let opened = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_KEEPALIVE)
        .handshake(io)
        .await;
    let (sender, connection) = opened.map_err(|error| Error::Unreachable(describe(&error)))?;
    tasks.spawn(drive(connection, place));
    Ok(sender)
}

/// A connection's own task. What goes wrong on it is told to the request that is on it, so that
/// nothing is left to say here but for the curious. Its place is free once it is closed.
pub(super) async fn drive(connection: impl Future<Output = hyper::Result<()>>, _place: Place) {
    if let Err(error) = connection.await {
        tracing::debug!(error = %describe(&error), "an upstream connection ended");
    }
}
