//! The keys of `[guard]`, and of a provider's `concurrency`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::quantity::{Size, Span};

/// What protects callers and providers from each other.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Guard {
    /// Whether there is any. Without it no breaker, limiter, queue, retry or hedge; limits stay.
    pub(in crate::config) enabled: bool,
    /// When breakers trip, by name: changes of the presets aggressive, balanced, conservative and critical, or
    /// strategies of one's own.
    pub(in crate::config) strategies: BTreeMap<String, Strategy>,
    /// How many breakers are kept, and how long.
    pub(in crate::config) registry: Registry,
    /// Trying again.
    pub(in crate::config) retry: Retry,
    /// Asking a second time, elsewhere, when the first attempt is slow.
    pub(in crate::config) hedge: Hedge,
    /// How many requests a target gets at once.
    pub(in crate::config) concurrency: Concurrency,
    /// The same for requests of priority batch.
    pub(in crate::config) batch: Batch,
    /// Those who wait for a target.
    pub(in crate::config) queue: Queue,
    /// When this process itself has too much.
    pub(in crate::config) process: Process,
    /// Work that no request waits for.
    pub(in crate::config) background: Background,
    /// How it is found out whether a dependency works.
    pub(in crate::config) health: Health,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            enabled: true,
            strategies: BTreeMap::new(),
            registry: Registry::default(),
            retry: Retry::default(),
            hedge: Hedge::default(),
            concurrency: Concurrency::default(),
            batch: Batch::default(),
            queue: Queue::default(),
            process: Process::default(),
            background: Background::default(),
            health: Health::default(),
        }
    }
}

/// A strategy: when a breaker trips, and how it comes back. What is left out is as in `like`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Strategy {
    /// The strategy that it starts from; by default the preset of its own name, otherwise balanced.
    pub(in crate::config) like: Option<String>,
    /// Trips after so many hard failures in a row.
    #[schemars(range(min = 1, max = 100_000))]
    pub(in crate::config) consecutive: Option<u32>,
    /// Trips when a smaller share than this of the window's calls succeeded.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) success_below: Option<f64>,
    /// How far back that share looks.
    pub(in crate::config) window: Option<Span>,
    /// The fewest calls within the window that it is judged by.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) calls_min: Option<u32>,
    /// How long it stays open the first time; twice as long each time after.
    pub(in crate::config) open: Option<Span>,
    /// How long at most.
    pub(in crate::config) open_max: Option<Span>,
    /// Trial calls at once while half-open.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) half_open: Option<u32>,
    /// How long a trial call may take before its place is given to another.
    pub(in crate::config) half_open_for: Option<Span>,
    /// Whether it lets calls through all the same where no other target is left.
    pub(in crate::config) last_resort: Option<bool>,
}

/// The registry of breakers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Registry {
    /// Whether idle entries are ever swept.
    pub(in crate::config) enabled: bool,
    /// Most entries; further targets share their provider's.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) entries: u32,
    /// How long an entry may be unused and healthy before it is swept.
    pub(in crate::config) idle: Span,
    /// The time between two sweeps.
    pub(in crate::config) sweep: Span,
}

impl Default for Registry {
    fn default() -> Self {
        Self { enabled: true, entries: 1000, idle: Span::seconds(3600), sweep: Span::seconds(300) }
    }
}

/// Trying again, always within the request's deadline and before the first byte of an answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Retry {
    /// Attempts in all, over all targets; 1 is no retry.
    #[schemars(range(min = 1, max = 10))]
    pub(in crate::config) tries: u32,
    /// The pause before the second attempt; twice as long each time after, with jitter.
    pub(in crate::config) backoff: Span,
    /// The longest such pause.
    pub(in crate::config) backoff_max: Span,
    /// The longest `Retry-After` of a provider that is waited for.
    pub(in crate::config) wait_max: Span,
    /// Retries as a share of requests.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) budget: f64,
    /// Retries a second that are allowed however few requests there are.
    #[schemars(range(max = 1_000_000))]
    pub(in crate::config) budget_per_second: u32,
    /// Whether to try again even where the provider may have accepted the first attempt.
    pub(in crate::config) accepted: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 3,
            backoff: Span(Duration::from_millis(100)),
            backoff_max: Span::seconds(5),
            wait_max: Span::seconds(5),
            budget: 0.2,
            budget_per_second: 10,
            accepted: false,
        }
    }
}

/// Asking a second time, elsewhere, when the first attempt is slow; the first answer wins. Costs what the loser
/// costs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Hedge {
    /// Whether it is done, where an alias does not say.
    pub(in crate::config) enabled: bool,
    /// The quantile of the time to the first token after which an attempt is slow.
    #[schemars(range(min = 0.5, max = 0.999))]
    pub(in crate::config) quantile: f64,
    /// The share of requests that may be asked twice.
    #[schemars(range(min = 0.0, max = 0.2))]
    pub(in crate::config) budget: f64,
}

impl Default for Hedge {
    fn default() -> Self {
        Self { enabled: false, quantile: 0.95, budget: 0.02 }
    }
}

/// How many requests a target gets at once: a limit that follows what it can bear.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Concurrency {
    /// What moves the limit.
    pub(in crate::config) algorithm: Algorithm,
    /// The limit at first.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) initial: u32,
    /// It never falls below.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) min: u32,
    /// It never rises above.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) max: u32,
    /// It may rise while the time to the first token is below this.
    pub(in crate::config) latency_good: Span,
    /// It falls when that time is above this.
    pub(in crate::config) latency_bad: Span,
    /// It may rise while a smaller share than this fails.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) errors_good: f64,
    /// It falls when a larger share than this fails.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) errors_bad: f64,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Aimd,
            initial: 256,
            min: 4,
            max: 10_000,
            latency_good: Span::seconds(2),
            latency_bad: Span::seconds(5),
            errors_good: 0.05,
            errors_bad: 0.15,
        }
    }
}

/// How many requests of priority batch a target gets at once; what moves that limit is as in
/// `[guard.concurrency]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Batch {
    /// The limit at first.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) initial: u32,
    /// It never falls below.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) min: u32,
    /// It never rises above.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) max: u32,
}

impl Default for Batch {
    fn default() -> Self {
        Self { initial: 5, min: 1, max: 20 }
    }
}

/// What a provider changes of `[guard.concurrency]`. What is left out there is brought within what is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct ConcurrencyChange {
    /// What moves the limit.
    pub(in crate::config) algorithm: Option<Algorithm>,
    /// The limit at first.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) initial: Option<u32>,
    /// It never falls below.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) min: Option<u32>,
    /// It never rises above.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) max: Option<u32>,
}

/// What moves a concurrency limit.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Algorithm {
    /// Up by one when all is well, down by a tenth on overload.
    #[default]
    Aimd,
    /// By the time to the first token against its own long-term average.
    Gradient2,
    /// Nothing: it stays at `initial`.
    Fixed,
    /// There is no limit.
    Off,
}

/// Those who wait for a target.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Queue {
    /// Most who wait.
    #[schemars(range(max = 1_000_000))]
    pub(in crate::config) size: u32,
    /// A priority that was not served for so long gets the next place, so that nobody waits for ever.
    pub(in crate::config) aging: Span,
    /// The wait that is no sign of overload.
    pub(in crate::config) target: Span,
    /// How long waits must be longer until requests are dropped.
    pub(in crate::config) interval: Span,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            size: 100,
            aging: Span::seconds(10),
            target: Span(Duration::from_millis(100)),
            interval: Span(Duration::from_millis(500)),
        }
    }
}

/// When this process itself has too much: shares of the processor time and memory it may use, a container's
/// limits heeded.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Process {
    /// Processor time above which limits are halved.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub(in crate::config) cpu: f64,
    /// Memory above which limits are halved.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub(in crate::config) memory: f64,
    /// Memory below which limits may rise.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub(in crate::config) memory_grow_below: f64,
    /// Memory above which requests are refused.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub(in crate::config) memory_shed: f64,
    /// Most bytes of bodies held at once.
    pub(in crate::config) buffered_bytes: Size,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            cpu: 0.8,
            memory: 0.85,
            memory_grow_below: 0.8,
            memory_shed: 0.9,
            buffered_bytes: Size(512 << 20),
        }
    }
}

/// Work that no request waits for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Background {
    /// Pieces of work under way at once.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) at_once: u32,
    /// Pieces that wait; further ones are dropped and counted.
    #[schemars(range(max = 1_000_000))]
    pub(in crate::config) waiting: u32,
}

impl Default for Background {
    fn default() -> Self {
        Self { at_once: 5, waiting: 1000 }
    }
}

/// How it is found out whether a dependency works, besides from the traffic itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Health {
    /// Whether it is asked where no traffic tells.
    pub(in crate::config) probe: bool,
    /// The time between two probes.
    pub(in crate::config) interval: Span,
    /// The longest that one may take.
    pub(in crate::config) timeout: Span,
}

impl Default for Health {
    fn default() -> Self {
        Self { probe: false, interval: Span::seconds(30), timeout: Span::seconds(5) }
    }
}
