//! Applies a changed configuration to the requests to come. A faulty one is refused, and the one
//! that runs is kept.
//!
//! Files are looked at once a second. That sees every way in which an editor, a deployment or a
//! mounted volume replaces a file, symbolic links included, and costs a few `stat`s.

use crate::config::{Config, Loaded, Sources};
use crate::gateway::Gateway;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tokio::sync::watch::Receiver;

const LOOK: Duration = Duration::from_secs(1);

/// Makes the watch over the files that `loaded` came from; it runs until dropped.
pub(super) fn watch<'a>(
    gateway: &'a Gateway,
    loaded: &'a Loaded,
    sources: &'a Sources,
) -> impl FnOnce(Receiver<()>) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>> {
    move |mut hangups| {
        Box::pin(async move {
            let mut inputs = loaded.inputs.clone();
            let mut seen = stamps(&inputs);
            let mut look = tokio::time::interval(LOOK);
            loop {
                let asked = tokio::select! {
                    _ = look.tick() => false,
                    result = hangups.changed() => result.is_ok(),
                };
                let now = stamps(&inputs);
                if !asked && now == seen {
                    continue;
                }
                inputs = apply(gateway, sources);
                seen = stamps(&inputs);
            }
        })
    }
}

/// What tells one version of a file from the next.
type Stamp = Option<(SystemTime, u64, u64)>;

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let stamp = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    };
    paths.iter().map(stamp).collect()
}

/// Loads and applies; gives the files to watch from now on, a faulty configuration's among them.
fn apply(gateway: &Gateway, sources: &Sources) -> Vec<PathBuf> {
    let refused = |why: &str| {
        gateway.metrics.reloads_refused.inc();
        tracing::error!("the new configuration is refused, the running one stays:\n{why}");
    };
    let loaded = match Config::load(sources) {
        Ok(loaded) => loaded,
        Err(faults) => {
            refused(&faults.render(false));
            return faults.inputs().to_vec();
        }
    };
    warn_of_fixed(&gateway.snapshot(0).config, &loaded.config);
    if let Err((provider, error)) = gateway.replace(&loaded) {
        refused(&format!("provider `{provider}`: {error}"));
        return loaded.inputs;
    }
    gateway.metrics.reloads.inc();
    tracing::info!("the new configuration is in force");
    loaded.inputs
}

/// Some settings are part of the process; a change of theirs waits for a restart.
fn warn_of_fixed(before: &Config, after: &Config) {
    let fixed = [
        ("server.listen", before.server.listen != after.server.listen),
        ("server.workers", before.server.workers != after.server.workers),
        ("server.connections_max", before.server.connections_max != after.server.connections_max),
        ("server.tls", before.server.tls != after.server.tls),
        ("admin.listen", before.admin.listen != after.admin.listen),
        ("admin.tls", before.admin.tls != after.admin.tls),
        ("log", before.log != after.log),
        ("store", before.store != after.store),
        ("jobs.workers_max", before.jobs.workers_max != after.jobs.workers_max),
        ("jobs.batch_workers_max", before.jobs.batch_workers_max != after.jobs.batch_workers_max),
        ("jobs.queues", before.jobs.queues != after.jobs.queues),
        ("jobs.keep_done", before.jobs.keep_done != after.jobs.keep_done),
        ("jobs.keep_dead", before.jobs.keep_dead != after.jobs.keep_dead),
        ("workflows.keep", before.workflows.keep != after.workflows.keep),
        ("traces.endpoint", before.traces.collector != after.traces.collector),
        ("traces.service_name", before.traces.service_name != after.traces.service_name),
        ("traces.attributes", before.traces.attributes != after.traces.attributes),
    ];
    for (setting, changed) in fixed {
        if changed {
            tracing::warn!("`{setting}` has changed; it takes effect with the next start");
        }
    }
}
