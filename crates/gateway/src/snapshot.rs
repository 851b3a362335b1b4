//! Everything that a configuration decides, resolved once for each worker, so that workers share
//! nothing that a request touches: not a reference count, not a counter. A request takes the snapshot of the
//! moment it arrives and keeps it to its end, so that a reload never changes a request under way.

use crate::auth::{Callers, Keyring};
use crate::config::{Config, Loaded, Server};
use crate::durable::Durable;
use crate::durable::keys::Known;
use crate::durable::usage::Books;
use crate::limits::{Accounts, Limits};
use crate::observe::Observer;
use crate::plan::{Place, Routes};
use crate::protect::Protection;
use crate::remember::Remembered;
use crate::trace::{Inlet, Sampler, Tracer};
use crate::upstream::{Error, Stocks, Upstream};
use measure::metrics::{CacheMetrics, Metrics};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// What snapshots are made of: a configuration, and the keys that the store holds beside it.
#[derive(Clone)]
pub struct Ground {
    /// The configuration.
    pub config: Arc<Config>,
    /// The same as JSON, to be shown: without secrets.
    pub shown: String,
    /// The file it came from, if there was one.
    pub path: Option<PathBuf>,
    /// The keys.
    pub stored: Arc<Known>,
}

impl Ground {
    /// Of a configuration that may be run.
    pub fn new(loaded: &Loaded, stored: Arc<Known>) -> Self {
        let shown = format!("{:#}", loaded.to_json());
        Self { config: Arc::new(loaded.config.clone()), shown, path: loaded.path.clone(), stored }
    }
}

/// One configuration, ready to serve.
pub struct Snapshot {
    /// The data plane's bounds and time-outs.
    pub server: Server,
    /// Who may call.
    pub callers: Callers,
    /// What a model's name leads to.
    pub routes: Routes,
    /// What is one for all workers.
    pub common: Common,
    /// Where what comes of it is counted.
    pub cache_metrics: CacheMetrics,
    /// What records requests; `None`: none are.
    pub tracer: Option<Arc<Tracer>>,
    /// Every provider.
    pub upstreams: Vec<Arc<Upstream>>,
    /// The configuration itself.
    pub config: Config,
    /// The configuration as JSON, to be shown: without secrets.
    pub shown: String,
}

impl Deref for Snapshot {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

/// What all workers share of a configuration, and what is kept of it by the next where that does not change it.
#[derive(Clone)]
pub struct Common {
    /// What is remembered of answers.
    pub remembered: Arc<Remembered>,
    /// What protects the targets.
    pub protection: Arc<Protection>,
    /// Every caller's key.
    pub keyring: Arc<Keyring>,
    /// Where is summed what callers use.
    pub books: Arc<Books>,
    /// What is limited, and how much of it is used.
    pub accounts: Arc<Accounts>,
    /// Every provider's connections, and room for them.
    pub stocks: Arc<Stocks>,
    /// Whoever is told of requests.
    pub observer: Arc<Observer>,
    /// Where traces are handed in; the same as long as the process lives.
    pub traces: Option<Inlet>,
}

impl Common {
    /// What `ground` asks for on so many workers; `before` is kept where it asks for the same.
    pub fn new(
        ground: &Ground,
        durable: &Durable,
        limits: &Limits,
        before: Option<&Self>,
        workers: usize,
        metrics: &Metrics,
    ) -> Self {
        let config = &ground.config;
        let stocks = before.map(|before| &*before.stocks);
        let keyring = Arc::new(Keyring::new(config, &ground.stored, durable.keys.unread()));
        let accounts = Arc::new(Accounts::of(config, &keyring, limits, Instant::now()));
        let remembered = before.map(|before| &before.remembered);
        let protection = before.map(|before| &before.protection);
        Self {
            keyring,
            books: Arc::clone(&durable.books),
            accounts,
            traces: before.and_then(|before| before.traces.clone()),
            stocks: Arc::new(Stocks::new(config, workers, metrics, stocks)),
            observer: match before {
                Some(before) => Arc::clone(&before.observer),
                None => Arc::new(Observer::new(workers, config.observe.enabled)),
            },
            remembered: match remembered.filter(|known| *known.settings() == config.cache) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Remembered::new(&config.cache)),
            },
            protection: match protection.filter(|known| known.suits(&config.guard)) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Protection::new(&config.guard)),
            },
        }
    }
}

impl Snapshot {
    /// Prepares a configuration for the worker of this number. A provider whose settings did not change keeps its connections from the
    /// snapshot before.
    ///
    /// # Errors
    /// The first provider that cannot be prepared, by name, and why.
    pub fn new(
        ground: &Ground,
        before: Option<&Self>,
        common: &Common,
        worker: usize,
        metrics: &Metrics,
    ) -> Result<Self, (String, Error)> {
        let config = Config::clone(&ground.config);
        let mut upstreams = Vec::with_capacity(config.providers.len());
        for settings in config.providers.values() {
            let known =
                before.and_then(|before| before.upstreams.iter().find(|known| known.settings() == settings));
            upstreams.push(match known {
                Some(known) => Arc::clone(known),
                None => {
                    let prepared =
                        Upstream::new(settings.clone(), &common.stocks, worker, metrics.shard(worker));
                    Arc::new(prepared.map_err(|error| (settings.name.clone(), error))?)
                }
            });
        }
        let (tray, sheet) = (common.observer.tray(worker), common.books.sheet(worker));
        let place = Place { metrics: metrics.shard(worker), tray, sheet };
        Ok(Self {
            server: config.server.clone(),
            callers: Callers::new(&common.keyring, &common.accounts),
            routes: Routes::new(&config, &upstreams, common, place),
            common: common.clone(),
            cache_metrics: metrics.shard(worker).cache(),
            tracer: tracer(&config, common),
            upstreams,
            config,
            shown: ground.shown.clone(),
        })
    }
}

/// What records a worker's requests, by the rules of this configuration.
fn tracer(config: &Config, common: &Common) -> Option<Arc<Tracer>> {
    let sampler = Sampler::new(config.traces.ratio, config.traces.slow);
    let tracer = |inlet: &Inlet| Tracer::new(sampler, inlet.clone(), config.server.tls.is_some());
    common.traces.as_ref().map(tracer).map(Arc::new)
}
