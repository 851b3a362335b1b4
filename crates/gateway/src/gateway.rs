//! What all requests share: the snapshot in force, the metrics, and whether we are leaving.

use crate::advice::Advising;
use crate::alerts::Alerting;
use crate::app::Reloading;
use crate::chores::Chores;
use crate::coalesce::Gatherings;
use crate::config::{CacheRedis, Config, Loaded};
use crate::dashboard::Live;
use crate::desk::Desk;
use crate::durable::Durable;
use crate::durable::keys::Known;
use crate::limits::{Accounts, Limits};
use crate::listener::tls::Certificates;
use crate::observe::Observer;
use crate::pressure::Pressure;
use crate::remember::Remembered;
use crate::remember::tiers::redis_options;
use crate::resources::Resources;
use crate::runtimes::Runtimes;
use crate::snapshot::{Common, Ground, Snapshot};
use crate::trace;
use crate::upstream::Error;
use crate::worker::Worker;
use arc_swap::ArcSwap;
use measure::metrics::Metrics;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The gateway's state, one for the process.
pub struct Gateway {
    /// One for each worker.
    snapshots: Box<[ArcSwap<Snapshot>]>,
    /// What they are made of. Locked while others are made.
    ground: Mutex<Ground>,
    remembered: watch::Sender<Arc<Remembered>>,
    draining: AtomicBool,
    /// How hard pressed the process is.
    pub pressure: Pressure,
    /// What callers and providers have used.
    pub limits: Limits,
    /// With whom that is counted together.
    sharing: Mutex<Sharing>,
    /// Embedding requests that wait for each other.
    pub gatherings: Gatherings,
    /// Where its own parts hand in requests.
    pub desk: Desk,
    /// What lasts, and what is done later.
    pub durable: Durable,
    /// Whoever looks at what requests come to.
    pub observer: Arc<Observer>,
    /// Traces on their way to the collector.
    pub traces: trace::Queue,
    /// When somebody is to be called, and whom.
    pub alerting: Alerting,
    /// What might be changed, and what was.
    pub advising: Advising,
    /// What the process takes of the machine.
    pub resources: Resources,
    /// The threads that run tasks.
    pub runtimes: Runtimes,
    /// Each worker's chores, once it runs.
    chores: Mutex<Vec<Arc<Chores>>>,
    /// Everything that is counted.
    pub metrics: Metrics,
    /// Figures of the moment, for whoever looks.
    pub live: Live,
    /// Where another look at the configuration is asked for.
    pub reloading: Reloading,
    /// What the listeners show; none of it where nothing listens.
    pub certificates: Certificates,
}

/// The Redis through which replicas count together; `None`: each counts alone.
#[derive(PartialEq)]
struct Sharing(Option<CacheRedis>);

impl Sharing {
    fn of(config: &Config, accounts: &Accounts) -> Self {
        let redis = config.cache.redis.clone();
        Self(redis.filter(|_| config.limits.shared && !accounts.is_empty()))
    }

    fn apply(&self, limits: &Limits) {
        let options = self.0.as_ref().map(|redis| redis_options(redis, 0));
        if let Err(fault) = limits.share(options.as_ref()) {
            tracing::error!(%fault, "limits are counted by this replica alone");
        }
    }
}

/// What a request finds on its worker.
pub struct Shared {
    /// The process's state.
    pub gateway: Arc<Gateway>,
    /// The thread it is on.
    pub worker: Worker,
    /// What is done on it behind requests' backs.
    pub chores: Arc<Chores>,
}

impl Shared {
    /// The snapshot in force on this worker.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.gateway.snapshot(self.worker.index)
    }
}

impl Gateway {
    /// A gateway for so many workers that begins with `loaded`.
    ///
    /// # Errors
    /// As [`Snapshot::new`].
    pub fn new(loaded: &Loaded, workers: usize, metrics: Metrics) -> Result<Self, (String, Error)> {
        let limits = Limits::default();
        let traces = trace::Queue::new(&loaded.config.traces, &metrics);
        let (durable, stored) = Durable::new(&loaded.config, workers);
        let ground = Ground::new(loaded, Arc::new(stored));
        let mut common = Common::new(&ground, &durable, &limits, None, workers, &metrics);
        common.traces = traces.inlet();
        let sharing = Sharing::of(&loaded.config, &common.accounts);
        sharing.apply(&limits);
        let snapshots: Result<Vec<_>, _> = (0..workers)
            .map(|worker| Snapshot::new(&ground, None, &common, worker, &metrics))
            .map(|snapshot| snapshot.map(ArcSwap::from_pointee))
            .collect();
        let (remembered, observer) = (watch::Sender::new(common.remembered), common.observer);
        let pressure = Pressure::new(&loaded.config.guard.pressure, workers);
        let draining = AtomicBool::new(false);
        let snapshots = snapshots?.into();
        limits.enforce(common.accounts.iter());
        let (chores, sharing) = (Mutex::default(), Mutex::new(sharing));
        let gatherings = Gatherings::default();
        let (desk, ground) = (Desk::new(workers), Mutex::new(ground));
        Ok(Self {
            snapshots,
            ground,
            remembered,
            draining,
            pressure,
            limits,
            sharing,
            gatherings,
            desk,
            durable,
            observer,
            traces,
            alerting: Alerting::default(),
            advising: Advising::default(),
            resources: Resources::default(),
            runtimes: Runtimes::default(),
            chores,
            metrics,
            live: Live::default(),
            reloading: Reloading::default(),
            certificates: Certificates::default(),
        })
    }

    /// Begins a worker's chores.
    pub fn begin_chores(&self, worker: &Worker) -> Arc<Chores> {
        let settings = self.snapshot(worker.index).config.guard.background;
        let chores = Arc::new(Chores::new(&settings, self.snapshots.len(), &worker.background));
        self.chores.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&chores));
        chores
    }

    /// Each worker's chores.
    pub fn chores(&self) -> Vec<Arc<Chores>> {
        self.chores.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The snapshot in force on a worker; each says the same.
    pub fn snapshot(&self, worker: usize) -> Arc<Snapshot> {
        self.snapshots[worker].load_full()
    }

    /// Puts a new configuration in force on all workers, for the requests to come.
    ///
    /// # Errors
    /// As [`Snapshot::new`]; nothing has changed then.
    pub fn replace(&self, loaded: &Loaded) -> Result<(), (String, Error)> {
        self.rebuild(|ground| Ground::new(loaded, Arc::clone(&ground.stored)))
    }

    /// Puts the keys that the store holds now in force on all workers, for the requests to come.
    pub fn know(&self, stored: Known) {
        let rebuilt = self.rebuild(|ground| Ground { stored: Arc::new(stored), ..ground.clone() });
        if let Err((provider, error)) = rebuilt {
            // Not to be expected: every provider is kept as it was prepared.
            tracing::error!(provider, %error, "stored keys cannot be put in force");
        }
    }

    /// The keys that the store holds, as they are in force.
    pub fn stored(&self) -> Arc<Known> {
        Arc::clone(&self.ground.lock().unwrap_or_else(PoisonError::into_inner).stored)
    }

    /// The file that the configuration in force came from, if there was one.
    pub fn file(&self) -> Option<PathBuf> {
        self.ground.lock().unwrap_or_else(PoisonError::into_inner).path.clone()
    }

    /// Makes snapshots of another ground. One at a time, and beside the path of requests.
    fn rebuild(&self, change: impl FnOnce(&Ground) -> Ground) -> Result<(), (String, Error)> {
        let mut current = self.ground.lock().unwrap_or_else(PoisonError::into_inner);
        let ground = change(&current);
        self.put(&ground)?;
        *current = ground;
        Ok(())
    }

    fn put(&self, ground: &Ground) -> Result<(), (String, Error)> {
        let workers = self.snapshots.len();
        let (limits, metrics) = (&self.limits, &self.metrics);
        let before = |worker| self.snapshot(worker);
        let common = Common::new(ground, &self.durable, limits, Some(&before(0).common), workers, metrics);
        let fresh: Result<Vec<_>, _> = (0..workers)
            .map(|worker| Snapshot::new(ground, Some(&before(worker)), &common, worker, metrics))
            .collect();
        let fresh = fresh?;
        limits.enforce(common.accounts.iter());
        for (snapshot, fresh) in self.snapshots.iter().zip(fresh) {
            snapshot.store(Arc::new(fresh));
        }
        limits.sweep();
        common.stocks.bound(&ground.config);
        let sharing = Sharing::of(&ground.config, &common.accounts);
        let mut known = self.sharing.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != sharing {
            sharing.apply(&self.limits);
            *known = sharing;
        }
        drop(known);
        self.remembered.send_if_modified(|known| {
            let is_new = !Arc::ptr_eq(known, &common.remembered);
            *known = common.remembered;
            is_new
        });
        Ok(())
    }

    /// What is remembered, from one configuration to the next.
    pub fn remembered(&self) -> watch::Receiver<Arc<Remembered>> {
        self.remembered.subscribe()
    }

    /// Says that we are leaving: `/health/ready` turns to 503, and no more jobs are begun.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.durable.leaving().cancel();
    }

    /// Whether we are leaving.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
