//! What the pools of upstream connections show: what a connection cost to get, and how names are resolved.

use super::catalogue::Catalogue;
use super::histogram::{HistogramShard, Histograms, labels as named};
use super::labels::{ConnectionLabels, LookupLabels, ProviderLabels};
use super::sharded::{CounterShard, Counters, Shards};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// What came of asking a name server, as `tidegate_dns_lookups_total{provider,result}` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It answered with addresses.
    Ok,
    /// It did not answer, or had none.
    Failed,
}

impl Lookup {
    /// Both, in the order of their counters.
    pub const ALL: [Self; 2] = [Self::Ok, Self::Failed];

    /// The label's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }
}

/// One thread's handles of one provider's pool.
#[derive(Clone, Debug)]
pub struct PoolMetrics {
    opened: CounterShard,
    reused: CounterShard,
    starved: CounterShard,
    wait: HistogramShard,
    lookups: [CounterShard; Lookup::ALL.len()],
}

/// What all threads have counted of one provider's pool since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolTotals {
    /// Connections opened.
    pub opened: u64,
    /// Requests that found a connection.
    pub reused: u64,
    /// Requests that waited because as many were open as may be.
    pub waited: u64,
    /// Those of them that waited in vain.
    pub starved: u64,
    /// Lookups that were answered.
    pub lookups: u64,
    /// Lookups that were not.
    pub lookups_failed: u64,
}

/// How one provider's connections stand, to be shown.
#[derive(Clone, Copy, Debug)]
pub struct PoolStand<'a> {
    /// The provider's name in the configuration.
    pub provider: &'a str,
    /// Connections that serve nobody just now.
    pub idle: usize,
    /// Those that do, and those that are being opened.
    pub busy: usize,
    /// How long ago its name was resolved; `None` where it never was, or needs no resolving.
    pub dns_age: Option<Duration>,
}

impl PoolMetrics {
    /// A connection was opened.
    pub fn opened(&self) {
        self.opened.inc();
    }

    /// A request found a connection.
    pub fn reused(&self) {
        self.reused.inc();
    }

    /// A request has waited this long for a connection, in vain or not.
    pub fn waited(&self, time: Duration) {
        self.wait.observe(time.as_secs_f64());
    }

    /// A request waited for a connection in vain.
    pub fn starved(&self) {
        self.starved.inc();
    }

    /// A name server was asked.
    pub fn looked_up(&self, result: Lookup) {
        self.lookups[result as usize].inc();
    }

    /// What all threads have counted, this one's among them.
    #[must_use]
    pub fn totals(&self) -> PoolTotals {
        PoolTotals {
            opened: self.opened.total(),
            reused: self.reused.total(),
            waited: self.wait.count(),
            starved: self.starved.total(),
            lookups: self.lookups[Lookup::Ok as usize].total(),
            lookups_failed: self.lookups[Lookup::Failed as usize].total(),
        }
    }
}

/// The families of all pools.
#[derive(Debug)]
pub(super) struct Families {
    connections: Family<ConnectionLabels, Gauge>,
    opened: Counters<ProviderLabels>,
    reused: Counters<ProviderLabels>,
    starved: Counters<ProviderLabels>,
    wait: Histograms,
    lookups: Counters<LookupLabels>,
    dns_age: Family<ProviderLabels, Gauge<f64, AtomicU64>>,
}

impl Families {
    pub(super) fn new(shards: Shards) -> Self {
        Self {
            connections: Family::default(),
            opened: Family::new_with_constructor(shards),
            reused: Family::new_with_constructor(shards),
            starved: Family::new_with_constructor(shards),
            wait: Histograms::new(shards, WAIT_SECONDS),
            lookups: Family::new_with_constructor(shards),
            dns_age: Family::default(),
        }
    }

    pub(super) fn register(&self, catalogue: &mut Catalogue) {
        let registry = &mut catalogue.registry;
        registry.register(
            "tidegate_upstream_connections",
            "Connections open to each provider",
            self.connections.clone(),
        );
        registry.register(
            "tidegate_upstream_connections_opened",
            "Connections opened to each provider",
            self.opened.clone(),
        );
        registry.register(
            "tidegate_upstream_connections_reused",
            "Requests that found a connection to their provider",
            self.reused.clone(),
        );
        registry.register(
            "tidegate_upstream_connections_starved",
            "Requests that waited for a connection in vain",
            self.starved.clone(),
        );
        registry.register(
            "tidegate_dns_lookups",
            "Times a name server was asked for a provider's addresses",
            self.lookups.clone(),
        );
        registry.register_with_unit(
            "tidegate_dns_age",
            "Time since a provider's name was resolved",
            Unit::Seconds,
            self.dns_age.clone(),
        );
        catalogue.durations(
            "tidegate_upstream_connections_wait",
            "Time that requests waited because as many connections were open as may be",
            &self.wait,
        );
    }

    /// One thread's handles of one provider's pool.
    pub(super) fn pool(&self, provider: &str, shard: usize) -> PoolMetrics {
        let labels = ProviderLabels { provider: provider.to_owned() };
        let wait = self.wait.of(named([("provider", provider)])).shard(shard);
        PoolMetrics {
            wait,
            opened: self.opened.get_or_create_owned(&labels).shard(shard),
            reused: self.reused.get_or_create_owned(&labels).shard(shard),
            starved: self.starved.get_or_create_owned(&labels).shard(shard),
            lookups: Lookup::ALL.map(|result| {
                let labels = LookupLabels { provider: provider.to_owned(), result: result.name() };
                self.lookups.get_or_create_owned(&labels).shard(shard)
            }),
        }
    }

    pub(super) fn stand<'a>(&self, stands: impl IntoIterator<Item = PoolStand<'a>>) {
        self.connections.clear();
        self.dns_age.clear();
        for stand in stands {
            let provider = stand.provider.to_owned();
            for (state, count) in [("idle", stand.idle), ("busy", stand.busy)] {
                let labels = ConnectionLabels { provider: provider.clone(), state };
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                self.connections.get_or_create_owned(&labels).set(count);
            }
            if let Some(age) = stand.dns_age {
                self.dns_age.get_or_create_owned(&ProviderLabels { provider }).set(age.as_secs_f64());
            }
        }
    }
}

/// 1 ms … 10 s: from the end of somebody's short answer to more than a connection is waited for.
const WAIT_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Lookup, PoolStand, PoolTotals};
    use crate::metrics::Metrics;
    use std::time::Duration;

    #[test]
    fn a_pool_shows_how_it_stands_and_what_it_cost() {
        let metrics = Metrics::new("0", 2);
        for shard in [0, 1] {
            let pool = metrics.shard(shard).pool("p");
            pool.opened();
            pool.reused();
            pool.reused();
            pool.waited(Duration::from_millis(30));
            pool.looked_up(Lookup::Failed);
        }
        let stand = PoolStand { provider: "p", idle: 3, busy: 2, dns_age: Some(Duration::from_millis(1500)) };
        metrics.pools_stand([PoolStand { provider: "gone", ..stand }]);
        metrics.pools_stand([stand]);
        let text = metrics.encode().unwrap();
        for line in [
            r#"tidegate_upstream_connections{provider="p",state="idle"} 3"#,
            r#"tidegate_upstream_connections{provider="p",state="busy"} 2"#,
            r#"tidegate_upstream_connections_opened_total{provider="p"} 2"#,
            r#"tidegate_upstream_connections_reused_total{provider="p"} 4"#,
            r#"tidegate_upstream_connections_starved_total{provider="p"} 0"#,
            r#"tidegate_upstream_connections_wait_seconds_count{provider="p"} 2"#,
            r#"tidegate_dns_lookups_total{provider="p",result="ok"} 0"#,
            r#"tidegate_dns_lookups_total{provider="p",result="failed"} 2"#,
            r#"tidegate_dns_age_seconds{provider="p"} 1.5"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("gone"), "{text}");
        let totals =
            PoolTotals { opened: 2, reused: 4, waited: 2, lookups_failed: 2, ..PoolTotals::default() };
        assert_eq!(metrics.shard(0).pool("p").totals(), totals);
    }
}
