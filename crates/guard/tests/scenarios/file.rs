//! The form of a scenario's file. All times are in seconds and all rates a second; what is left out is the
//! default of the piece it belongs to.

use super::curve::Curve;
use guard::breaker::Strategy;
use guard::queue::Band;
use guard::{gate, limiter, queue, retry};
use serde::Deserialize;
use std::time::Duration;

/// One scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// What happens, and what is to be seen by it.
    pub about: String,
    /// How long callers come. What is under way then is seen to its end.
    pub seconds: f64,
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub guard: Guard,
    /// The targets, in the order in which they are tried.
    pub upstream: Vec<Upstream>,
    pub caller: Vec<Caller>,
    pub expect: Vec<Expect>,
    /// Merged into the file, makes at least one expectation fail.
    pub fails_with: toml::Table,
}

/// What stands between callers and targets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    pub limiter: Limiter,
    pub batch: Option<Limiter>,
    pub reserve: Option<f64>,
    pub queue: Queue,
    /// None without.
    pub breaker: Option<Breaker>,
    /// No second try without.
    pub retry: Option<Retry>,
    /// None without.
    pub hedge: Option<Hedge>,
    /// How long the first token may take; 10 without.
    pub first_token: Option<f64>,
    /// When the process is hard pressed, and limits are halved.
    pub squeeze: Vec<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limiter {
    pub algorithm: Option<Algorithm>,
    pub initial: Option<u32>,
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub latency_good: Option<f64>,
    pub latency_bad: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Fixed,
    Aimd,
    Gradient2,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    pub size: Option<usize>,
    pub aging: Option<f64>,
    pub target: Option<f64>,
    pub interval: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// A preset, by its name.
    pub like: String,
    pub consecutive: Option<u32>,
    pub success_below: Option<f64>,
    pub open: Option<f64>,
    pub open_max: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Calls in all that one request may cost, its first included, hedges not.
    pub tries: u32,
    #[serde(default = "fifth")]
    pub share: f64,
    #[serde(default = "ten")]
    pub per_second: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hedge {
    pub quantile: f64,
    pub share: f64,
}

/// A target.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Calls that it serves at once without trouble.
    #[serde(default = "plenty")]
    pub capacity: Curve,
    /// What it does with more.
    #[serde(default)]
    pub full: Full,
    /// Time to the first token of a call that is served.
    pub delay: Curve,
    /// Time from the first token to the last.
    #[serde(default)]
    pub stream: Curve,
    /// How far both stray, as a share of them, to either side.
    #[serde(default = "tenth")]
    pub jitter: f64,
    /// Share of calls whose first token takes `slow_factor` times as long.
    #[serde(default)]
    pub slow_share: Curve,
    #[serde(default = "ten")]
    pub slow_factor: f64,
    /// Share of calls that end with a 5xx.
    #[serde(default)]
    pub hard: Curve,
    /// Share of calls that end with a 429.
    #[serde(default)]
    pub overload: Curve,
    /// Share of calls that never get an answer.
    #[serde(default)]
    pub hang: Curve,
    /// What a 429 says of when to come again.
    pub retry_after: Option<f64>,
}

/// What a target does with more calls than it can serve.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Full {
    /// They wait their turn there.
    #[default]
    Queue,
    /// All of them become slower, by as many times as there are too many.
    Slow,
    /// They get a 429.
    Refuse,
    /// They never get an answer.
    Hang,
}

/// Who calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// The number of the first of them.
    #[serde(default)]
    pub tenant: u64,
    /// How many tenants do the same.
    #[serde(default = "one")]
    pub tenants: u64,
    #[serde(default)]
    pub band: BandName,
    /// Requests a second of each tenant, at random times.
    #[serde(default)]
    pub rate: Curve,
    /// Requests that come all at once: when, and how many of each tenant.
    #[serde(default)]
    pub burst: Vec<(f64, usize)>,
    /// Tokens that a request uses.
    #[serde(default = "thousand")]
    pub tokens: u64,
    /// Tokens that it is expected to use; as many without.
    pub expected: Option<u64>,
    /// How long after it came an answer is of use.
    pub deadline: Option<f64>,
    /// Share of the callers who leave, and how long after they came.
    #[serde(default)]
    pub leave_share: f64,
    #[serde(default)]
    pub leave_after: f64,
    /// How many times as long as others' their calls take.
    #[serde(default = "unity")]
    pub slow: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BandName {
    High,
    #[default]
    Normal,
    Low,
    Batch,
}

/// A figure and the range it must be in. The figures' names are in `figures.rs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub what: String,
    /// The least and the most.
    pub is: (f64, f64),
    /// Of the samples taken and the requests that came from then on.
    #[serde(default)]
    pub from: f64,
    /// And before that; to the end without.
    pub until: Option<f64>,
    /// Of this target, for figures of targets.
    #[serde(default)]
    pub upstream: usize,
    /// Of this tenant's requests only.
    pub tenant: Option<u64>,
    /// Of this band's requests only.
    pub band: Option<BandName>,
}

fn one() -> u64 {
    1
}

fn thousand() -> u64 {
    1000
}

fn unity() -> f64 {
    1.0
}

fn ten() -> f64 {
    10.0
}

fn tenth() -> f64 {
    0.1
}

fn fifth() -> f64 {
    0.2
}

fn plenty() -> Curve {
    Curve::Constant(1e9)
}

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

impl Guard {
    pub fn gate(&self) -> gate::Options {
        let default = gate::Options::default();
        gate::Options {
            limiter: self.limiter.options(default.limiter),
            batch: self.batch.as_ref().map_or(default.batch, |batch| batch.options(default.batch)),
            queue: self.queue.options(default.queue),
            reserve: self.reserve.unwrap_or(default.reserve),
        }
    }

    pub fn first_token(&self) -> Duration {
        seconds(self.first_token.unwrap_or(10.0))
    }
}

impl Limiter {
    fn options(&self, base: limiter::Options) -> limiter::Options {
        limiter::Options {
            algorithm: match self.algorithm {
                Some(Algorithm::Fixed) => limiter::Algorithm::Fixed,
                Some(Algorithm::Aimd) => limiter::Algorithm::Aimd,
                Some(Algorithm::Gradient2) => limiter::Algorithm::Gradient2,
                None => base.algorithm,
            },
            initial: self.initial.unwrap_or(base.initial),
            min: self.min.unwrap_or(base.min),
            max: self.max.unwrap_or(base.max),
            latency_good: self.latency_good.map_or(base.latency_good, seconds),
            latency_bad: self.latency_bad.map_or(base.latency_bad, seconds),
            ..base
        }
    }
}

impl Queue {
    fn options(&self, base: queue::Options) -> queue::Options {
        queue::Options {
            size: self.size.unwrap_or(base.size),
            aging: self.aging.map_or(base.aging, seconds),
            codel_target: self.target.map_or(base.codel_target, seconds),
            codel_interval: self.interval.map_or(base.codel_interval, seconds),
        }
    }
}

impl Breaker {
    pub fn strategy(&self) -> Strategy {
        let base = Strategy::named(&self.like).expect("a preset of that name");
        Strategy {
            consecutive: self.consecutive.unwrap_or(base.consecutive),
            success_below: self.success_below.unwrap_or(base.success_below),
            open: self.open.map_or(base.open, seconds),
            open_max: self.open_max.map_or(base.open_max, seconds),
            ..base
        }
    }
}

impl Retry {
    pub fn options(&self) -> retry::Options {
        retry::Options { share: self.share, per_second: self.per_second, ..retry::Options::default() }
    }
}

impl From<BandName> for Band {
    fn from(name: BandName) -> Self {
        match name {
            BandName::High => Self::High,
            BandName::Normal => Self::Normal,
            BandName::Low => Self::Low,
            BandName::Batch => Self::Batch,
        }
    }
}
