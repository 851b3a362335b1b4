//! The process: built from a configuration, served, reloaded, drained.
//!
//! The thread that calls [`run`] is the control thread: it accepts, serves the admin plane, watches
//! the configuration and waits for signals. Requests live on the [workers](crate::worker).

mod beside;
mod control;
mod fixed;
mod probe;
mod reload;
mod upkeep;

pub use reload::{Reloading, Told};

use crate::config::{Config, Loaded, Sources};
use crate::gateway::{Gateway, Shared};
use crate::listener::tls::Certificates;
use crate::listener::watch::{SWEEP, Watches};
use crate::listener::{self, Accepted, Bounds};
use crate::worker::{self, Dealer, Dealt, Worker};
use crate::{admin, advice, dashboard, http, pressure, remember, resources};
use beside::Beside;
use control::Signals;
use measure::metrics::Metrics;
use probe::Prober;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often each worker looks after its upstream connections.
const MAINTENANCE: Duration = Duration::from_secs(5);

/// Why the gateway cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; set `{setting}` to another address, or end what uses this one"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting it comes from.
        setting: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("cannot serve TLS: {0}")]
    Tls(String),
    /// A provider cannot be prepared.
    #[error("provider `{name}`: {reason}")]
    Provider {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The system refused a thread, a runtime or a signal handler.
    #[error("the system refuses to start the gateway: {0}")]
    System(#[from] std::io::Error),
}

/// Both planes, once they are bound.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// The data plane's address.
    pub data: SocketAddr,
    /// The admin plane's.
    pub admin: SocketAddr,
    /// Whether callers need a key.
    pub needs_key: bool,
}

/// Serves until a signal says to stop, then drains. `announce` is called once both listeners are
/// open.
///
/// # Errors
/// Where it cannot start. Nothing that a caller or a provider does ends it.
pub fn run(
    loaded: &Loaded,
    sources: &Sources,
    announce: impl FnOnce(&Config, Listening),
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let certificates = Certificates::read(&loaded.config).map_err(Error::Tls)?;
    let doors = Doors::open(&loaded.config, &certificates)?;
    let count = worker_count(&loaded.config);
    let gateway = Arc::new(prepare(loaded, count, certificates)?);
    let workers = Workers::start(&gateway, count, doors.data_tls.clone())?;

    let cache_end = CancellationToken::new();
    let caching = remember::tiers::keep(gateway.remembered(), cache_end.clone());
    let counting = gateway.limits.run(cache_end.clone());
    let beside = Beside::start(&gateway, &workers.abort)?;
    runtime.block_on(async {
        // To its end on every way out: what was done and what is remembered is written before the process goes.
        let serving = async {
            let result = serve(&gateway, loaded, sources, doors, workers, announce).await;
            gateway.drain();
            beside.finish().await;
            cache_end.cancel();
            result
        };
        tokio::join!(serving, caching, counting).0
    })
}

/// The gateway as it begins, for so many workers.
fn prepare(loaded: &Loaded, workers: usize, certificates: Certificates) -> Result<Gateway, Error> {
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), workers);
    let mut gateway = Gateway::new(loaded, workers, metrics)
        .map_err(|(name, error)| Error::Provider { name, reason: error.to_string() })?;
    gateway.certificates = certificates;
    gateway.metrics.reloads.inc();
    Ok(gateway)
}

/// Both planes from the control thread, until a signal says to stop; then the drain.
async fn serve(
    gateway: &Arc<Gateway>,
    loaded: &Loaded,
    sources: &Sources,
    doors: Doors,
    workers: Workers,
    announce: impl FnOnce(&Config, Listening),
) -> Result<(), Error> {
    let mut signals = Signals::listen()?;
    gateway.runtimes.join("control");
    gateway.durable.settled().await;
    announce(&loaded.config, doors.listening(gateway)?);
    let server = &loaded.config.server;
    let router = admin::router(Arc::clone(gateway));
    // Both until the very end: operators watch the drain.
    let mut admin_plane = pin!(control::serve_admin(doors.admin, doors.admin_tls, router));
    let mut keepers = pin!(keep(gateway));
    let reload = |hangups| reload::watch(gateway, loaded, sources, hangups);
    let Workers { dealer, threads, stop, abort } = workers;
    tokio::select! {
        result = listener::accept(doors.data, &dealer, &gateway.metrics, server.connections_max, &stop) => result?,
        () = signals.run(reload) => {}
        never = &mut admin_plane => match never? {},
        never = &mut keepers => match never {},
    }
    gateway.drain();
    stop.cancel();
    drop(dealer);
    tokio::select! {
        () = control::drain(threads, server.timeouts.drain, &abort, &mut signals) => Ok(()),
        never = admin_plane => match never? {},
        never = keepers => match never {},
    }
}

/// What looks after the gateway on the control thread; until dropped.
async fn keep(gateway: &Gateway) -> Infallible {
    tokio::join!(
        pressure::watch(gateway),
        upkeep::keep(gateway),
        resources::watch(gateway),
        dashboard::live::keep(gateway),
        advice::keep(gateway),
    )
    .0
}

/// Where both planes come in.
struct Doors {
    data: TcpListener,
    data_tls: Option<TlsAcceptor>,
    admin: TcpListener,
    admin_tls: Option<TlsAcceptor>,
}

impl Doors {
    fn open(config: &Config, certificates: &Certificates) -> Result<Self, Error> {
        Ok(Self {
            data: open(config.server.listen, "server.listen")?,
            data_tls: certificates.data_acceptor(),
            admin: open(config.admin.listen, "admin.listen")?,
            admin_tls: certificates.admin_acceptor(),
        })
    }

    fn listening(&self, gateway: &Gateway) -> std::io::Result<Listening> {
        let needs_key = gateway.snapshot(0).keyring.needed;
        Ok(Listening { data: self.data.local_addr()?, admin: self.admin.local_addr()?, needs_key })
    }
}

fn open(address: SocketAddr, setting: &'static str) -> Result<TcpListener, Error> {
    listener::bind(address).map_err(|source| Error::Listen { address, setting, source })
}

/// One a core that this process may use, as the scheduler or the container says.
fn worker_count(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    config.server.workers.unwrap_or_else(cores).max(1)
}

/// The threads that requests live on.
struct Workers {
    dealer: Dealer<Accepted>,
    threads: Vec<JoinHandle<()>>,
    /// Takes up nothing new.
    stop: CancellationToken,
    /// Ends what is under way, too.
    abort: CancellationToken,
}

impl Workers {
    fn start(gateway: &Arc<Gateway>, count: usize, acceptor: Option<TlsAcceptor>) -> std::io::Result<Self> {
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let plane = DataPlane { gateway: Arc::clone(gateway), acceptor, stop: stop.clone() };
        let (dealer, threads) = worker::start(count, &abort, move |dealt| plane.clone().run(dealt))?;
        Ok(Self { dealer, threads, stop, abort })
    }
}

/// What every worker runs.
#[derive(Clone)]
struct DataPlane {
    gateway: Arc<Gateway>,
    acceptor: Option<TlsAcceptor>,
    stop: CancellationToken,
}

impl DataPlane {
    async fn run(self, mut dealt: Dealt<Accepted>) {
        let watches = Watches::new();
        let worker = dealt.worker.clone();
        self.gateway.runtimes.join(format!("worker-{}", worker.index));
        let housekeeping = self.housekeeping(&watches, &worker);
        let chores = self.gateway.begin_chores(&worker);
        let shared = || Shared {
            gateway: Arc::clone(&self.gateway),
            worker: worker.clone(),
            chores: Arc::clone(&chores),
        };
        let serving = async {
            while let Some(accepted) = dealt.receiver.recv().await {
                worker.tasks.spawn(self.clone().connection(accepted, shared(), Arc::clone(&watches)));
            }
        };
        let own = Arc::new(shared());
        let attending = self.gateway.desk.attend(&own, &self.stop);
        // Housekeeping goes on while the last requests finish.
        tokio::select! {
            () = async {
                tokio::join!(serving, attending);
                worker.tasks.close();
                worker.tasks.wait().await;
            } => {}
            () = housekeeping => {}
        }
    }

    async fn connection(self, accepted: Accepted, shared: Shared, watches: Arc<Watches>) {
        let _open = Open::count(&self.gateway);
        let server = shared.snapshot().server.clone();
        let bounds = Bounds { header_bytes_max: server.header_bytes_max, handshake: server.timeouts.header };
        let shared = Arc::new(shared);
        let handle = move |request, underway| http::handle(Arc::clone(&shared), request, underway);
        listener::serve(accepted, self.acceptor.as_ref(), bounds, &watches, handle).await;
    }

    async fn housekeeping(&self, watches: &Arc<Watches>, worker: &Worker) {
        let mut sweep = tokio::time::interval(SWEEP);
        let mut maintenance = tokio::time::interval(MAINTENANCE);
        let mut tick = tokio::time::interval(pressure::TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut probes, mut prober) = (tokio::time::interval(probe::LOOK), Prober::default());
        let mut leaving = false;
        loop {
            tokio::select! {
                _ = sweep.tick() => watches.sweep(&self.gateway.snapshot(worker.index).server.timeouts),
                _ = maintenance.tick() => self.maintain(worker),
                due = tick.tick() => self.gateway.pressure.lagged(worker.index, due.elapsed()),
                // One worker asks for all.
                _ = probes.tick(), if worker.index == 0 && !leaving => {
                    prober.look(&self.gateway.snapshot(worker.index), worker, Instant::now());
                }
                () = self.stop.cancelled(), if !leaving => {
                    leaving = true;
                    watches.leave();
                }
            }
        }
    }

    /// Each provider on a task of its own, so that one that cannot be reached holds up none.
    fn maintain(&self, worker: &Worker) {
        for upstream in &self.gateway.snapshot(worker.index).upstreams {
            let (upstream, own) = (Arc::clone(upstream), worker.clone());
            worker.background.spawn(async move { upstream.maintain(&own).await });
        }
    }
}

/// A connection counted as open for as long as this lives, also through a panic.
struct Open(Arc<Gateway>);

impl Open {
    fn count(gateway: &Arc<Gateway>) -> Self {
        gateway.metrics.connections.inc();
        Self(Arc::clone(gateway))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}
