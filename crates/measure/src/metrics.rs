//! The gateway's Prometheus metrics: their names, labels and buckets in one place, a file for each subject.
//!
//! Labels come from the configuration, never from what a caller sends. Handles are resolved when
//! the configuration loads ([`Shard::route`], [`Shard::target`]); on a request's path a metric
//! is an atomic increment, and no label is looked up or formatted.

pub mod alerts;
mod cache;
mod catalogue;
mod classic;
mod database;
mod delimited;
mod examples;
mod exemplified;
mod families;
mod format;
mod histogram;
pub mod jobs;
mod labels;
mod pools;
pub mod protection;
mod requests;
pub mod resources;
mod sharded;
pub mod sums;
mod targets;
mod traces;
pub mod workflows;

pub use cache::{CacheMetrics, CacheResult, Contents};
pub use database::{DatabaseMetrics, QueryTimes};
pub use examples::{Examples, OfAttempts, OfRequests};
pub use format::Format;
pub use histogram::Times;
pub use pools::{Lookup, PoolMetrics, PoolStand, PoolTotals};
pub use requests::{Outcome, REQUEST_SECONDS, RouteMetrics, RouteReading};
pub use targets::{AttemptResult, Joined, TargetMetrics};
pub use traces::{Dropped, TraceMetrics};

use alerts::AlertMetrics;
use catalogue::Catalogue;
use jobs::JobMetrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use protection::ProtectionMetrics;
use resources::ResourceMetrics;
use sharded::Shards;
use sums::Sums;
use workflows::WorkflowMetrics;

/// The metrics as one thread writes them: its own shard of each.
#[derive(Clone, Copy, Debug)]
pub struct Shard<'a> {
    metrics: &'a Metrics,
    index: usize,
}

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub struct Metrics {
    catalogue: Catalogue,
    requests: requests::Families,
    targets: targets::Families,
    pools: pools::Families,
    cache: cache::Families,
    /// What the cache holds; set before the metrics are read.
    pub cached: Contents,
    /// What protects the targets; set before the metrics are read.
    pub protection: ProtectionMetrics,
    /// What is done later; set before the metrics are read.
    pub jobs: JobMetrics,
    /// Runs of workflows; set before the metrics are read.
    pub workflows: WorkflowMetrics,
    /// What becomes of traces.
    pub traces: TraceMetrics,
    /// Alerts, and how telling of them went.
    pub alerts: AlertMetrics,
    /// How long the database takes; set before the metrics are read.
    pub database: DatabaseMetrics,
    /// What the process takes of the machine; set before the metrics are read.
    pub resources: ResourceMetrics,
    /// Callers' connections open now.
    pub connections: Gauge,
    /// Connections refused because `server.connections_max` was reached.
    pub connections_refused: Counter,
    /// Requests of which the observer was not told, as it was too slow; set before the metrics are read.
    pub not_seen: Counter,
    /// Configurations applied since the start, the first among them.
    pub reloads: Counter,
    /// Configurations refused since the start.
    pub reloads_refused: Counter,
}

impl Metrics {
    /// An empty set in so many shards; `version` goes to `tidegate_build_info`.
    pub fn new(version: &str, shards: usize) -> Self {
        let shards = Shards(shards);
        let mut metrics = Self {
            catalogue: Catalogue::default(),
            requests: requests::Families::new(shards),
            targets: targets::Families::new(shards),
            pools: pools::Families::new(shards),
            cache: cache::Families::new(shards),
            cached: Contents::default(),
            protection: ProtectionMetrics::default(),
            jobs: JobMetrics::default(),
            workflows: WorkflowMetrics::default(),
            traces: TraceMetrics::default(),
            alerts: AlertMetrics::default(),
            database: DatabaseMetrics::default(),
            resources: ResourceMetrics::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            not_seen: Counter::default(),
            reloads: Counter::default(),
            reloads_refused: Counter::default(),
        };
        metrics.register(version);
        metrics
    }

    fn register(&mut self, version: &str) {
        let build = Info::new([("version", version.to_owned())]);
        self.catalogue.registry.register("tidegate_build", "The version that runs", build);
        self.requests.register(&mut self.catalogue);
        self.targets.register(&mut self.catalogue);
        self.cache.register(&mut self.catalogue);
        self.pools.register(&mut self.catalogue);
        let registry = &mut self.catalogue.registry;
        self.cached.register(registry);
        registry.register("tidegate_connections", "Callers' connections open", self.connections.clone());
        registry.register(
            "tidegate_connections_refused",
            "Connections refused at the limit",
            self.connections_refused.clone(),
        );
        registry.register(
            "tidegate_observer_dropped",
            "Requests that are missing in the live figures: the observer was too slow",
            self.not_seen.clone(),
        );
        registry.register("tidegate_config_reloads", "Configurations applied", self.reloads.clone());
        registry.register(
            "tidegate_config_reloads_refused",
            "Configurations refused",
            self.reloads_refused.clone(),
        );
        self.protection.register(registry);
        self.jobs.register(registry);
        self.workflows.register(registry);
        self.traces.register(registry);
        self.alerts.register(registry);
        self.database.register(registry);
        self.resources.register(registry);
    }

    /// The shard that the thread of this number writes.
    pub fn shard(&self, index: usize) -> Shard<'_> {
        Shard { metrics: self, index }
    }

    /// How every pool of connections to a provider stands now; to be told before the metrics are read. What
    /// is not told any more is not shown any more.
    pub fn pools_stand<'a>(&self, stands: impl IntoIterator<Item = PoolStand<'a>>) {
        self.pools.stand(stands);
    }

    /// What every route's requests have come to since the start.
    pub fn routes(&self) -> Vec<RouteReading> {
        self.requests.readings()
    }

    /// All requests and tokens so far, added up.
    pub fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        self.requests.add_to(&mut sums);
        self.targets.add_to(&mut sums);
        sums
    }

    /// Everything in this form, as `GET /metrics` answers.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn told(&self, format: Format) -> Result<Vec<u8>, std::fmt::Error> {
        Ok(match format {
            Format::Protobuf => {
                let others = self.catalogue.text_of_others()?;
                delimited::of(&families::of(&others), &self.catalogue)
            }
            Format::Open => exemplified::of(&self.encode()?, &self.catalogue).into(),
            Format::Classic => classic::of(&self.encode()?).into(),
        })
    }

    /// The OpenMetrics text of everything, without exemplars.
    ///
    /// # Errors
    /// Only where a metric cannot be written as text, which is a fault of this module.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        self.catalogue.text()
    }
}

impl Shard<'_> {
    /// The handles of the cache.
    pub fn cache(self) -> CacheMetrics {
        self.metrics.cache.handles(self.index)
    }

    /// The handles of one operation on one model as the configuration names it.
    pub fn route(self, operation: &'static str, model: &str) -> RouteMetrics {
        self.metrics.requests.route(operation, model, self.index)
    }

    /// The handles of one provider's model as the configuration names it.
    pub fn target(self, provider: &str, model: &str) -> TargetMetrics {
        self.metrics.targets.target(provider, model, self.index)
    }

    /// The handles of one provider's pool of connections.
    pub fn pool(self, provider: &str) -> PoolMetrics {
        self.metrics.pools.pool(provider, self.index)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{AttemptResult, Metrics, Outcome};
    use std::time::Duration;

    #[test]
    fn the_shards_of_a_metric_are_read_as_one() {
        let metrics = Metrics::new("0", 2);
        for (shard, seconds) in [(0, 1), (1, 2), (1, 2000)] {
            metrics.shard(shard).target("p", "m").attempted(AttemptResult::Ok, Duration::ZERO);
            let route = metrics.shard(shard).route("chat", "m");
            route.begins();
            route.ends(Outcome::Ok, Duration::from_secs(seconds), Duration::ZERO);
        }
        // A request may end on another thread than the one it began on.
        metrics.shard(0).route("embeddings", "m").begins();
        metrics.shard(1).route("embeddings", "m").ends(Outcome::Ok, Duration::ZERO, Duration::ZERO);
        let text = metrics.encode().unwrap();
        for line in [
            r#"tidegate_upstream_attempts_total{provider="p",model="m",result="ok"} 3"#,
            r#"tidegate_requests_in_flight{operation="embeddings"} 0"#,
            r#"http_request_duration_seconds_sum{operation="chat",model="m"} 2003.0"#,
            r#"http_request_duration_seconds_count{operation="chat",model="m"} 3"#,
            r#"http_request_duration_seconds_bucket{le="1.28",operation="chat",model="m"} 1"#,
            r#"http_request_duration_seconds_bucket{le="2.56",operation="chat",model="m"} 2"#,
            r#"http_request_duration_seconds_bucket{le="81.92",operation="chat",model="m"} 2"#,
            r#"http_request_duration_seconds_bucket{le="+Inf",operation="chat",model="m"} 3"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
