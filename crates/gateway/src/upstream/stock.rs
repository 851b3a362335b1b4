//! What all workers' pools of one provider have in common, and all providers' pools: one for the process,
//! kept from one configuration to the next where that does not change it.

use super::names::Names;
use super::pool::{Pool, Sender};
use super::report::{PoolReport, Recent};
use super::room::{Level, Room, Share};
use crate::config::{BaseUrl, Config, Connections, Provider};
use measure::metrics::{Metrics, PoolMetrics, PoolTotals};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A round of what pools are judged by; two are looked at.
const ROUND: Duration = Duration::from_secs(300);

/// Every provider's connections.
pub struct Stocks {
    room: Arc<Room>,
    by_name: BTreeMap<String, Arc<Stock>>,
}

/// One provider's connections.
pub struct Stock {
    line: Line,
    pub(super) share: Share,
    /// One for each worker.
    pub(super) pools: Box<[Arc<Pool>]>,
    pub(super) names: Arc<Names>,
    metrics: PoolMetrics,
    history: Mutex<History>,
}

/// What decides which connections there are: where they lead, and how many lie idle. Whatever else a provider's
/// settings say may change, and the connections stay; how many there may be, the room knows.
#[derive(PartialEq)]
struct Line {
    provider: String,
    url: BaseUrl,
    ca_file: Option<PathBuf>,
    http2: bool,
    connections: Connections,
}

impl Line {
    /// `None`: it needs none, as it runs in process.
    fn of(settings: &Provider) -> Option<Self> {
        Some(Self {
            provider: settings.name.clone(),
            url: settings.base_url.clone()?,
            ca_file: settings.ca_file.clone(),
            http2: settings.http2,
            connections: Connections { max: 0, ..settings.connections },
        })
    }
}

/// What had been counted when the last rounds began.
struct History {
    turned: Instant,
    older: Past,
    newer: Past,
}

#[derive(Clone, Copy)]
struct Past {
    totals: PoolTotals,
    crowded: u64,
    level: Level,
}

impl Stocks {
    /// What `config` asks for, on so many workers. A provider that `before` has with the same line keeps its
    /// connections; one with another keeps its share of the room, as old connections may be open still.
    pub fn new(config: &Config, workers: usize, metrics: &Metrics, before: Option<&Self>) -> Self {
        let room = match before {
            Some(before) => Arc::clone(&before.room),
            None => Room::new(config.server.upstream_connections_max),
        };
        let stock = |(name, settings): (&String, &Provider)| {
            let line = Line::of(settings)?;
            let known = before.and_then(|before| before.by_name.get(name)).filter(|known| known.line == line);
            let stock = match known {
                Some(known) => Arc::clone(known),
                None => {
                    let share = room.share(name, settings.connections.max);
                    Arc::new(Stock::new(line, share, workers, metrics))
                }
            };
            Some((name.clone(), stock))
        };
        Self { by_name: config.providers.iter().filter_map(stock).collect(), room }
    }

    /// Puts the bounds of `config` in force.
    pub fn bound(&self, config: &Config) {
        let of = |name: &str| config.providers.get(name).map(|provider| provider.connections.max);
        self.room.bound(config.server.upstream_connections_max, of);
    }

    /// One provider's.
    pub(super) fn of(&self, provider: &str) -> Option<&Arc<Stock>> {
        self.by_name.get(provider)
    }

    /// How many connections are open in all, and how many may be.
    pub fn stand(&self) -> (usize, usize) {
        self.room.stand()
    }
}

impl Stock {
    fn new(line: Line, share: Share, workers: usize, metrics: &Metrics) -> Self {
        let metrics = metrics.shard(0).pool(&line.provider);
        let now = Past { totals: metrics.totals(), crowded: 0, level: share.level() };
        let may_be_http2 = line.url.https && line.http2;
        let pool = |_| Pool::new(share.clone(), &line.connections, workers, may_be_http2);
        Self {
            pools: (0..workers.max(1)).map(pool).collect(),
            names: Arc::new(Names::new(&line.url, metrics.clone())),
            line,
            share,
            metrics,
            history: Mutex::new(History { turned: Instant::now(), older: now, newer: now }),
        }
    }

    /// A connection that lies idle on any worker.
    pub(super) fn lend(&self) -> Option<Sender> {
        self.pools.iter().find_map(Pool::lend)
    }

    /// Begins a new round where the last one is over.
    pub(super) fn turn(&self, now: Instant) {
        let present = self.present();
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(history.turned) >= ROUND {
            *history = History { turned: now, older: history.newer, newer: present };
            self.share.turn();
        }
    }

    /// How it stands.
    pub(super) fn report(&self) -> PoolReport {
        let Past { totals, crowded, level } = self.present();
        let older = self.history.lock().unwrap_or_else(PoisonError::into_inner).older;
        let recent = Recent {
            opened: totals.opened.saturating_sub(older.totals.opened),
            reused: totals.reused.saturating_sub(older.totals.reused),
            crowded: crowded.saturating_sub(older.crowded),
            waits: level.waits.since(&older.level.waits),
            most: level.most,
            most_waiting: level.most_waiting,
        };
        let idle = self.pools.iter().map(|pool| pool.stand().idle).sum();
        let connections = Connections { max: level.max, ..self.line.connections };
        PoolReport {
            provider: self.line.provider.clone(),
            idle,
            busy: level.open.saturating_sub(idle),
            waiting: level.waiting,
            max: level.max,
            most: level.most,
            totals,
            dns_age: self.names.age(),
            advice: recent.advice(&connections, self.share.room().stand().1),
        }
    }

    fn present(&self) -> Past {
        let crowded = self.pools.iter().map(|pool| pool.stand().crowded).sum();
        Past { totals: self.metrics.totals(), crowded, level: self.share.level() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Stocks;
    use crate::config::{Config, Override, Sources};
    use measure::metrics::Metrics;
    use std::sync::Arc;

    /// One provider with these settings beside its preset.
    fn config(settings: &str) -> Config {
        let providers = format!(r#"{{"p": {{"preset": "vllm"{settings}}}}}"#);
        let overrides = vec![Override::new("--test", "providers", providers)];
        Config::load(&Sources { overrides, ..Sources::default() }).expect("a sound one").config
    }

    #[test]
    fn a_reload_keeps_the_connections_unless_it_changes_them() {
        let metrics = Metrics::new("0", 2);
        let before = Stocks::new(&config(""), 2, &metrics, None);
        for (settings, kept) in [
            ("", true),
            (r#", "strategy": "critical""#, true),
            (r#", "limits": {"requests_per_minute": 7}"#, true),
            (r#", "concurrency": {"max": 7}"#, true),
            (r#", "timeouts": {"first_token": "7s"}"#, true),
            (r#", "api_key": "another""#, true),
            (r#", "connections": {"max": 7}"#, true),
            (r#", "connections": {"warm": 7}"#, false),
            (r#", "base_url": "http://127.0.0.1:7/v1""#, false),
            (r#", "http2": false"#, false),
        ] {
            let config = config(settings);
            let after = Stocks::new(&config, 2, &metrics, Some(&before));
            after.bound(&config);
            let (old, new) = (before.of("p").unwrap(), after.of("p").unwrap());
            assert_eq!(Arc::ptr_eq(old, new), kept, "{settings}");
            assert_eq!(new.report().max, config.providers["p"].connections.max, "{settings}");
        }
    }
}
