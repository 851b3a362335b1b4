//! What protects callers and providers from each other, checked: breakers, retries, hedges, concurrency,
//! queues, and the process' own bounds.
//!
//! It says how these behave, not what callers may use: rates are in `limits`.

use std::collections::BTreeMap;
use std::time::Duration;

/// Protection as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// Whether there is any. Without it no breaker, limiter, queue, retry or hedge; limits stay.
    pub enabled: bool,
    /// Every strategy by name: the presets, as the file changed them, and the file's own.
    pub strategies: BTreeMap<String, Strategy>,
    /// How many breakers are kept, and how long.
    pub registry: Registry,
    /// Trying again.
    pub retry: Retry,
    /// Asking twice where the first is slow.
    pub hedge: Hedge,
    /// How many requests a target gets at once; a provider may have its own.
    pub concurrency: Concurrency,
    /// The same for work of [`Priority::Batch`](super::Priority::Batch).
    pub batch: Concurrency,
    /// Those who wait for a target.
    pub queue: Queue,
    /// When this process itself has too much.
    pub pressure: Pressure,
    /// Work that no request waits for.
    pub background: Background,
    /// How it is found out whether a dependency works.
    pub health: Health,
}

/// When a breaker trips, and how it comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strategy {
    /// Trips after so many hard failures in a row; at least one.
    pub consecutive: u32,
    /// Trips when a smaller share than this of the window's calls succeeded; 0 to 1.
    pub success_below: f64,
    /// How far back that share looks.
    pub window: Duration,
    /// The fewest calls within the window that it is judged by; at least one.
    pub calls_min: u32,
    /// How long it stays open the first time.
    pub open: Duration,
    /// How long at most, after it tripped again and again; not less than `open`.
    pub open_max: Duration,
    /// Trial calls at once while half-open; at least one.
    pub half_open: u32,
    /// How long a trial call may take before its place is given to another.
    pub half_open_for: Duration,
    /// Whether it lets calls through all the same where no other target is left.
    pub last_resort: bool,
}

impl Strategy {
    /// The presets' names, from the quickest to trip to the slowest.
    pub const PRESETS: [&'static str; 4] = ["aggressive", "balanced", "conservative", "critical"];

    /// Gives up early: for targets with good alternatives.
    pub const AGGRESSIVE: Self = Self {
        consecutive: 3,
        success_below: 0.8,
        window: Duration::from_secs(10),
        calls_min: 5,
        open: Duration::from_secs(5),
        open_max: Duration::from_secs(60),
        half_open: 1,
        half_open_for: Duration::from_secs(30),
        last_resort: false,
    };

    /// What holds where nothing else is said.
    pub const BALANCED: Self = Self {
        consecutive: 5,
        success_below: 0.6,
        window: Duration::from_secs(30),
        calls_min: 10,
        open: Duration::from_secs(10),
        open_max: Duration::from_secs(300),
        ..Self::AGGRESSIVE
    };

    /// Slow to judge: for targets whose failures come and go.
    pub const CONSERVATIVE: Self = Self {
        consecutive: 10,
        success_below: 0.4,
        window: Duration::from_secs(60),
        calls_min: 30,
        open: Duration::from_secs(15),
        ..Self::BALANCED
    };

    /// For what must be tried whatever happened: never refuses the last candidate.
    pub const CRITICAL: Self = Self {
        consecutive: 20,
        success_below: 0.2,
        window: Duration::from_secs(60),
        calls_min: 50,
        open: Duration::from_secs(5),
        open_max: Duration::from_secs(30),
        last_resort: true,
        ..Self::BALANCED
    };

    /// The preset of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "aggressive" => Some(Self::AGGRESSIVE),
            "balanced" => Some(Self::BALANCED),
            "conservative" => Some(Self::CONSERVATIVE),
            "critical" => Some(Self::CRITICAL),
            _ => None,
        }
    }
}

/// The registry of breakers: bounded in number and age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Whether idle entries are ever swept.
    pub enabled: bool,
    /// Most entries; further targets share their provider's.
    pub entries: usize,
    /// How long an entry may be unused and healthy before it is swept.
    pub idle: Duration,
    /// The time between two sweeps.
    pub sweep: Duration,
}

/// Trying again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all, over all targets; at least one, which is no retry.
    pub tries: u32,
    /// The pause before the second attempt, before jitter.
    pub backoff: Duration,
    /// The longest such pause; not less than `backoff`.
    pub backoff_max: Duration,
    /// The longest `Retry-After` of a provider that is waited for.
    pub wait_max: Duration,
    /// Retries for each request, on the average; 0 to 1.
    pub budget: f64,
    /// Retries a second that are allowed however few requests there are.
    pub budget_per_second: u32,
    /// Whether to try again even where the provider may have accepted the first attempt.
    pub accepted: bool,
}

/// Asking a second time, elsewhere, when the first attempt is slow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge {
    /// Whether it is done for requests that name no alias; an alias says for itself.
    pub enabled: bool,
    /// The quantile of the time to the first token after which an attempt is slow; within 0.5 to 0.999.
    pub quantile: f64,
    /// The share of requests that may be asked twice; 0 to 0.2.
    pub budget: f64,
}

/// How many requests a target gets at once: `min` ≤ `initial` ≤ `max`, and each good threshold below its bad
/// one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concurrency {
    /// What moves the limit.
    pub algorithm: Algorithm,
    /// The limit at first.
    pub initial: u32,
    /// It never falls below; at least one.
    pub min: u32,
    /// It never rises above.
    pub max: u32,
    /// It may rise while the time to the first token is below this.
    pub latency_good: Duration,
    /// It falls when that time is above this.
    pub latency_bad: Duration,
    /// It may rise while a smaller share than this fails.
    pub errors_good: f64,
    /// It falls when a larger share than this fails.
    pub errors_bad: f64,
}

/// What moves a concurrency limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Up by one when all is well, down by a tenth on overload.
    Aimd,
    /// By the time to the first token against its own long-term average.
    Gradient2,
    /// Nothing: it stays at `initial`.
    Fixed,
    /// There is no limit.
    Off,
}

/// Those who wait for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Most who wait.
    pub size: usize,
    /// A priority that was not served for so long gets the next place, so that nobody waits for ever.
    pub aging: Duration,
    /// CoDel: the wait that is no sign of overload.
    pub target: Duration,
    /// CoDel: how long a longer wait must last until requests are dropped; not less than `target`.
    pub interval: Duration,
}

/// When this process itself has too much: shares of what it may use, 0 to 1, `memory_grow_below` ≤ `memory` ≤
/// `memory_shed`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// Processor time above which limits are halved.
    pub cpu: f64,
    /// Memory above which limits are halved.
    pub memory: f64,
    /// Memory above which no limit rises.
    pub memory_grow_below: f64,
    /// Memory above which requests are refused.
    pub memory_shed: f64,
    /// Most bytes of bodies held at once.
    pub buffered_bytes: u64,
}

/// Work that no request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Background {
    /// Pieces of work under way at once.
    pub at_once: usize,
    /// Pieces that wait; further ones are dropped and counted.
    pub waiting: usize,
}

/// How it is found out whether a dependency works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether it is asked where no traffic tells.
    pub probe: bool,
    /// The time between two probes.
    pub interval: Duration,
    /// The longest that one may take; not more than `interval`.
    pub timeout: Duration,
}
