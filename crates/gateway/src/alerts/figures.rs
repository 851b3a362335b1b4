//! The figures that rules may name, and where each comes from. To add one: a row in [`KNOWN`], and an arm in
//! [`Readings::take`] or in [`Figures::value`] below. Nothing else knows them.
//!
//! Counters are read once a second from the metrics' shards, and kept as they were, so that any window is a
//! difference; what stands at a level (processors, memory) is kept as a sum and a count, so that it is a mean. Nothing
//! here is on any request's path.

#[cfg(test)]
mod tests;

use crate::gateway::Gateway;
use guard::pattern::{Cause, Scope};
use measure::alerts::{Figures, Labels, Rule};
use measure::metrics::{Outcome, REQUEST_SECONDS, RouteReading};
use measure::moment::Moment;
use measure::past::Past;
use std::collections::BTreeMap;
use std::time::Duration;

/// A figure that rules may name.
#[derive(Debug)]
pub struct Known {
    /// Its name; its last word is its unit.
    pub name: &'static str,
    /// Labels by which it is told apart.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// The figure of how much of a limit is used.
const LIMIT_USED: &str = "limit_used_share";
const ROUTE: &[&str] = &["operation", "model"];

/// Every figure that rules may name.
pub const KNOWN: [Known; 13] = [
    known("requests", ROUTE, "requests that ended in the window"),
    known("requests_per_second", ROUTE, "the same, a second"),
    known("errors", ROUTE, "requests that failed by a provider's fault or the gateway's"),
    known("error_share", ROUTE, "their share of all, from 0 to 1"),
    known("response_p50_seconds", ROUTE, "half of all answers took no longer"),
    known("response_p95_seconds", ROUTE, "95 in 100 took no longer"),
    known("response_p99_seconds", ROUTE, "99 in 100 took no longer"),
    known("cpu_share", &[], "processor time used, of what this process may use"),
    known("memory_share", &[], "memory used, of the fullest limit"),
    known("buffered_share", &[], "bytes of bodies held, of what may be"),
    known("breakers_open", &["provider", "model"], "targets that are left alone now"),
    known("failures", &["scope", "provider", "kind"], "causes that failing calls have in common now"),
    known(
        LIMIT_USED,
        &["scope", "name", "measure"],
        "used now of what keys, tenants, aliases, providers may",
    ),
];

const fn known(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Known {
    Known { name, labels, help }
}

/// Routes that are told apart; those beyond are in the sum alone. Each takes 70 kB.
const ROUTES_MAX: usize = 64;
/// Words of causes that are told together.
const WORDS_MAX: usize = 3;

/// What has been read, as far back as rules look.
#[derive(Default)]
pub struct Readings {
    now: Option<Moment>,
    all: Past<Counted>,
    routes: BTreeMap<Route, Past<Counted>>,
    /// Every route at the last reading, from which one that is told apart from now on begins.
    last: BTreeMap<Route, Counted>,
    /// By figure: what stands at a level, as a sum and a count.
    levels: BTreeMap<&'static str, (Level, Past<Level>)>,
    /// What is so now, by figure.
    present: BTreeMap<&'static str, Vec<Present>>,
}

/// An operation, and a model as the configuration names it.
type Route = (&'static str, String);

/// Requests since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counted {
    ended: [u64; Outcome::ALL.len()],
    durations: [u64; REQUEST_SECONDS.len() + 1],
}

/// A level's readings, added up.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    sum: f64,
    count: f64,
}

/// A figure of this moment.
struct Present {
    labels: Labels,
    value: f64,
    words: Option<String>,
}

impl Readings {
    /// Reads everything once. Routes are told apart only where one of the rules does.
    pub fn take(&mut self, gateway: &Gateway, rules: &[Rule], now: Moment) {
        let tells_apart = |rule: &Rule| !rule.of.by.is_empty() || !rule.of.with.is_empty();
        self.count(&gateway.metrics.routes(), rules.iter().any(tells_apart), now);
        if let Some(verdict) = gateway.pressure.verdict() {
            self.level("cpu_share", verdict.cpu, now);
            self.level("memory_share", verdict.memory, now);
            self.level("buffered_share", Some(verdict.buffered), now);
        }
        let breakers = breakers(gateway, now);
        let causes = gateway.snapshot(0).protection.patterns().causes(now.at);
        self.present.insert("breakers_open", breakers);
        self.present.insert("failures", failures(&causes));
        // Everyone who is limited: dear, and named by no rule of our own.
        let used = if asks(rules, LIMIT_USED) { limits(gateway, now) } else { Vec::new() };
        self.present.insert(LIMIT_USED, used);
        self.now = Some(now);
    }

    fn count(&mut self, readings: &[RouteReading], tells_apart: bool, now: Moment) {
        let mut all = Counted::default();
        if !tells_apart {
            self.routes.clear();
        }
        for reading in readings {
            let counted = Counted { ended: reading.ended, durations: reading.durations };
            all.add(&counted);
            let route = (reading.operation, reading.model.clone());
            if tells_apart && counted != Counted::default() {
                self.tell_apart(&route, &counted, now);
            }
            self.last.insert(route, counted);
        }
        self.all.keep(&all, now);
    }

    fn tell_apart(&mut self, route: &Route, counted: &Counted, now: Moment) {
        if let Some(past) = self.routes.get_mut(route) {
            past.keep(counted, now);
        } else if self.routes.len() < ROUTES_MAX {
            let past = self.routes.entry(route.clone()).or_default();
            if let Some(before) = self.now {
                past.keep(&self.last.get(route).copied().unwrap_or_default(), before);
            }
            past.keep(counted, now);
        }
    }

    fn level(&mut self, figure: &'static str, value: Option<f64>, now: Moment) {
        let Some(value) = value else { return };
        let (level, past) = self.levels.entry(figure).or_default();
        *level = Level { sum: level.sum + value, count: level.count + 1.0 };
        past.keep(level, now);
    }

    /// What was counted in the window, and how long that is in truth.
    fn counted(&self, labels: &[(&str, &str)], window: Duration) -> Option<(Counted, Duration)> {
        let now = self.now?;
        let since = |past: &Past<Counted>| {
            let (_, newest) = past.before(Duration::ZERO, now)?;
            let (at, before) = past.before(window, now)?;
            Some((newest.since(before), now.since(at)))
        };
        if labels.is_empty() {
            return since(&self.all);
        }
        let has = |(operation, model): &Route| {
            labels.iter().all(|label| match *label {
                ("operation", value) => value == *operation,
                ("model", value) => value == model,
                _ => false,
            })
        };
        let found = self.routes.iter().filter(|(route, _)| has(route)).filter_map(|(_, past)| since(past));
        found.reduce(|(mut sum, lasted), (one, other)| {
            sum.add(&one);
            (sum, lasted.max(other))
        })
    }

    fn mean(&self, figure: &str, window: Duration) -> Option<f64> {
        let (level, past) = self.levels.get(figure)?;
        let (_, before) = past.before(window, self.now?)?;
        let count = level.count - before.count;
        // Within one reading there is nothing to take the mean of.
        let first = || level.sum / level.count;
        Some(if count > 0.0 { (level.sum - before.sum) / count } else { first() })
    }

    fn present(&self, figure: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Present> {
        let has = |of: &Labels, (name, value): &(&str, &str)| of.get(*name).is_some_and(|own| own == value);
        let all = self.present.get(figure).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(move |present| labels.iter().all(|label| has(&present.labels, label)))
    }
}

impl Figures for Readings {
    fn value(&self, name: &str, labels: &[(&str, &str)], window: Duration) -> Option<f64> {
        match name {
            "cpu_share" | "memory_share" | "buffered_share" => self.mean(name, window),
            LIMIT_USED => self.present(name, labels).map(|present| present.value).reduce(f64::max),
            "breakers_open" | "failures" => {
                Some(self.present(name, labels).map(|present| present.value).sum())
            }
            _ => {
                let (counted, lasted) = self.counted(labels, window)?;
                counted.figure(name, lasted)
            }
        }
    }

    fn series(&self, name: &str) -> Vec<Labels> {
        match self.present.get(name) {
            Some(present) => present.iter().map(|present| present.labels.clone()).collect(),
            None if self.levels.contains_key(name) => vec![Labels::new()],
            None => {
                let of = |(operation, model): &Route| {
                    labels([("operation", *operation), ("model", model.as_str())])
                };
                self.routes.keys().map(of).collect()
            }
        }
    }

    fn words(&self, name: &str, labels: &[(&str, &str)]) -> Option<String> {
        let words = self.present(name, labels).filter_map(|present| present.words.as_deref());
        let words: Vec<&str> = words.take(WORDS_MAX).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

impl Counted {
    fn add(&mut self, other: &Self) {
        self.ended.iter_mut().zip(other.ended).for_each(|(own, other)| *own += other);
        self.durations.iter_mut().zip(other.durations).for_each(|(own, other)| *own += other);
    }

    fn since(&self, before: &Self) -> Self {
        let mut since = *self;
        since.ended.iter_mut().zip(before.ended).for_each(|(own, before)| *own = own.saturating_sub(before));
        let durations = since.durations.iter_mut().zip(before.durations);
        durations.for_each(|(own, before)| *own = own.saturating_sub(before));
        since
    }

    fn figure(&self, name: &str, lasted: Duration) -> Option<f64> {
        let requests = self.ended.iter().sum::<u64>() as f64;
        let of = |outcome: Outcome| self.ended[outcome as usize] as f64;
        let errors = of(Outcome::ProviderError) + of(Outcome::GatewayError);
        match name {
            "requests" => Some(requests),
            "requests_per_second" => Some(requests / lasted.as_secs_f64()).filter(|rate| rate.is_finite()),
            "errors" => Some(errors),
            "error_share" => (requests > 0.0).then(|| errors / requests),
            "response_p50_seconds" => self.quantile(0.5),
            "response_p95_seconds" => self.quantile(0.95),
            "response_p99_seconds" => self.quantile(0.99),
            _ => None,
        }
    }

    /// Within its bucket a quantile is guessed by a straight line, as Prometheus' `histogram_quantile` does; beyond
    /// the last bound it is that bound.
    fn quantile(&self, share: f64) -> Option<f64> {
        let all = self.durations.iter().sum::<u64>() as f64;
        if all == 0.0 {
            return None;
        }
        let (mut below, rank) = (0.0, share * all);
        let mut lower = 0.0;
        for (upper, count) in REQUEST_SECONDS.into_iter().zip(self.durations) {
            let count = count as f64;
            if count > 0.0 && below + count >= rank {
                return Some(lower + (upper - lower) * (rank - below) / count);
            }
            (below, lower) = (below + count, upper);
        }
        REQUEST_SECONDS.last().copied()
    }
}

/// Whether one of the rules goes by this figure.
fn asks(rules: &[Rule], figure: &str) -> bool {
    let counts = |rule: &Rule| rule.traffic.as_ref().is_some_and(|traffic| traffic.figure == figure);
    rules.iter().any(|rule| rule.of.figure == figure || counts(rule))
}

fn labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Targets whose breakers let not every call through.
fn breakers(gateway: &Gateway, now: Moment) -> Vec<Present> {
    let mut open = Vec::new();
    gateway.snapshot(0).protection.for_each(|lane| {
        let state = lane.breaker.report(now.at).state;
        if state != guard::breaker::State::Closed {
            let labels = labels([("provider", &*lane.provider), ("model", &*lane.model)]);
            open.push(Present { labels, value: 1.0, words: None });
        }
    });
    open
}

/// What failures have in common. A model's name may be a caller's word: it is in the words, never in a label.
fn failures(causes: &[Cause]) -> Vec<Present> {
    let of = |cause: &Cause| {
        let (scope, provider) = match &cause.scope {
            Scope::Here => ("here", ""),
            Scope::Provider(provider) => ("provider", provider.as_str()),
            Scope::Credential(provider, _) => ("credential", provider.as_str()),
            Scope::Model(provider, _) => ("model", provider.as_str()),
        };
        let kind = crate::admin::breakers::fault_name(cause.kind);
        let words = format!("{}: {}", cause.words, cause.advice);
        let labels = labels([("scope", scope), ("provider", provider), ("kind", kind)]);
        Present { labels, value: 1.0, words: Some(words) }
    };
    causes.iter().map(of).collect()
}

/// How much everyone who is limited has used, as far as this replica knows.
fn limits(gateway: &Gateway, now: Moment) -> Vec<Present> {
    let mut used = Vec::new();
    for (scope, name, report) in gateway.limits.report(now.at) {
        let levels = [("requests", report.requests), ("tokens", report.tokens)];
        let shares = levels.into_iter().filter_map(|(measure, level)| {
            let level = level?;
            Some((measure, 1.0 - level.remaining as f64 / level.limit.max(1) as f64))
        });
        let rooms = [
            ("concurrent_requests", report.concurrent_requests),
            ("concurrent_streams", report.concurrent_streams),
        ];
        let rooms = rooms.into_iter().filter_map(|(measure, room)| {
            let (limit, in_use) = room?;
            Some((measure, in_use as f64 / limit.max(1) as f64))
        });
        used.extend(shares.chain(rooms).map(|(measure, value)| {
            let labels = labels([("scope", scope.name()), ("name", &name), ("measure", measure)]);
            Present { labels, value, words: None }
        }));
    }
    used
}
