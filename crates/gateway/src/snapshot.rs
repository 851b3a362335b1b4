//! Everything that a configuration decides, resolved once for each worker, so that workers share
//! nothing that a request touches: not a reference count, not a counter. A request takes the snapshot of the
//! moment it arrives and keeps it to its end, so that a reload never changes a request under way.

use crate::auth::Callers;
use crate::config::{Config, Loaded, Server};
use crate::plan::Routes;
use crate::remember::Remembered;
use crate::upstream::{Error, Upstream};
use measure::metrics::{CacheMetrics, Metrics};
use std::sync::Arc;

/// One configuration, ready to serve.
pub struct Snapshot {
    /// The data plane's bounds and time-outs.
    pub server: Server,
    /// Who may call.
    pub callers: Callers,
    /// What a model's name leads to.
    pub routes: Routes,
    /// What is remembered of answers: one for all workers.
    pub remembered: Arc<Remembered>,
    /// Where what comes of it is counted.
    pub cache_metrics: CacheMetrics,
    /// Every provider.
    pub upstreams: Vec<Arc<Upstream>>,
    /// The configuration itself.
    pub config: Config,
    /// The configuration as JSON, to be shown: without secrets.
    pub shown: String,
}

impl Snapshot {
    /// Prepares a configuration for the worker of this number. A provider whose settings did not change keeps its connections from the
    /// snapshot before.
    ///
    /// # Errors
    /// The first provider that cannot be prepared, by name, and why.
    pub fn new(
        loaded: &Loaded,
        before: Option<&Self>,
        remembered: &Arc<Remembered>,
        worker: usize,
        workers: usize,
        metrics: &Metrics,
    ) -> Result<Self, (String, Error)> {
        let config = loaded.config.clone();
        let mut upstreams = Vec::with_capacity(config.providers.len());
        for settings in config.providers.values() {
            let known =
                before.and_then(|before| before.upstreams.iter().find(|known| known.settings() == settings));
            upstreams.push(match known {
                Some(known) => Arc::clone(known),
                None => {
                    let prepared = Upstream::new(settings.clone(), workers);
                    Arc::new(prepared.map_err(|error| (settings.name.clone(), error))?)
                }
            });
        }
        Ok(Self {
            server: config.server.clone(),
            callers: Callers::new(&config.keys),
            routes: Routes::new(&config, &upstreams, remembered, metrics.shard(worker)),
            remembered: Arc::clone(remembered),
            cache_metrics: metrics.shard(worker).cache(),
            upstreams,
            config,
            shown: format!("{:#}", loaded.to_json()),
        })
    }
}
