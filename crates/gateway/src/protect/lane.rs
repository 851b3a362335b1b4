//! What is known of one target for one operation.

use super::{Account, Closed, Reason, Seen, Told};
use crate::config::{self, Algorithm};
use crate::plan::{Care, Target};
use guard::balance::Load;
use guard::breaker::{Breaker, Open, Pass, Strategy};
use guard::gate::{self, Gate};
use guard::hedge::Quantile;
use guard::pattern::Patterns;
use guard::registry;
use guard::{limiter, queue};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use wire::operation::Operation;

/// What a credential's breaker trips on: it is refused thrice in a row. To fail a while costs little, as no
/// other credential suffers.
pub(super) const ACCOUNT: Strategy = Strategy {
    consecutive: 3,
    success_below: 0.0,
    calls_min: u32::MAX,
    open: Duration::from_secs(15),
    open_max: Duration::from_secs(300),
    ..Strategy::BALANCED
};

/// The longest that a provider's word keeps requests away.
const REST_MAX: Duration = Duration::from_secs(60);

/// What a lane is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneKey {
    /// Provider and credential.
    pub account: u64,
    /// Model, operation, and how they are treated; `None`: whatever of the account is not told apart.
    pub exact: Option<u64>,
}

impl registry::Key for LaneKey {
    fn coarser(&self) -> Option<Self> {
        self.exact.map(|_| Self { account: self.account, exact: None })
    }
}

/// One target for one operation.
pub struct Lane {
    /// The provider's name.
    pub provider: Box<str>,
    /// The model's name as the provider knows it; `*` where several share the lane.
    pub model: Box<str>,
    /// The operation's name.
    pub operation: &'static str,
    /// The alias that has it judged by a strategy of its own.
    pub alias: Option<Box<str>>,
    /// Our credential with the provider, as a number.
    pub credential: u64,
    /// Whether it works.
    pub breaker: Arc<Breaker>,
    /// What it shares with all other models of the same provider and credential.
    pub account: Arc<Account>,
    /// How many it serves at once, and who waits.
    pub gate: Gate,
    /// How busy it is, and how fast.
    pub load: Load,
    /// How long its first tokens take.
    pub delays: Quantile,
    /// When it last answered, and when it last failed.
    pub seen: Seen,
    /// Whether it has asked to be left alone.
    pub(super) rest: Rest,
    /// Where its failures are put beside others'.
    pub patterns: Arc<Patterns>,
    /// Trips of its breaker that are counted already.
    pub told_trips: Told,
    /// The same of those that its gate refused: the queue was full, the wait too long, the queue stood.
    pub told_refused: [Told; 3],
    /// How it is treated, as a number.
    care: AtomicU64,
}

/// The right to pass both breakers.
pub(super) type Passes = (Pass, Pass);

impl Lane {
    pub(super) fn new(
        key: LaneKey,
        target: &Target,
        operation: Operation,
        account: Arc<Account>,
        patterns: &Arc<Patterns>,
        now: Instant,
    ) -> Self {
        let (model, operation, alias) = match key.exact {
            Some(_) => (&*target.model, operation.name(), target.judged_by()),
            None => ("*", "*", None),
        };
        let care = &target.care;
        Self {
            provider: target.upstream.name().into(),
            model: model.into(),
            operation,
            alias: alias.map(Into::into),
            credential: key.account,
            care: AtomicU64::new(0),
            breaker: Breaker::new(care.strategy.into(), key.exact.unwrap_or(key.account)),
            account,
            gate: Gate::new(gate(care), now),
            load: Load::new(now),
            delays: Quantile::new(now),
            seen: Seen::new(now),
            rest: Rest::new(now),
            patterns: Arc::clone(patterns),
            told_trips: Told::default(),
            told_refused: Default::default(),
        }
    }

    /// The lane of whatever is one too many.
    pub(super) fn shared(account: Arc<Account>, patterns: Arc<Patterns>, now: Instant) -> Self {
        Self {
            provider: "*".into(),
            model: "*".into(),
            operation: "*",
            alias: None,
            credential: 0,
            care: AtomicU64::new(0),
            breaker: Breaker::new(Strategy::BALANCED, 0),
            account,
            gate: Gate::new(gate::Options::default(), now),
            load: Load::new(now),
            delays: Quantile::new(now),
            seen: Seen::new(now),
            rest: Rest::new(now),
            patterns,
            told_trips: Told::default(),
            told_refused: Default::default(),
        }
    }

    /// Treats it from now on as `target` says: a reload changes how, and forgets nothing.
    pub(super) fn care(&self, target: &Target, now: Instant) {
        let care_id = target.care_id();
        if self.care.load(Relaxed) == care_id || self.care.swap(care_id, Relaxed) == care_id {
            return;
        }
        self.breaker.set_strategy(target.care.strategy.into());
        self.gate.set_options(gate(&target.care), now);
        self.account.care(&target.care, now);
    }

    /// Whether to ask it before others now: a call would be let through, and it has not asked to be left alone.
    pub fn is_open(&self, now: Instant) -> bool {
        self.account.breaker.peek(now).is_ok() && self.breaker.peek(now).is_ok() && !self.rest.lasts(now)
    }

    /// Whether it answered when it was last asked only whether it is there, and not long before it failed.
    pub fn answers_probes(&self) -> bool {
        let failed = self.seen.bad().map(|(at, _)| at);
        self.account.probe.fails().is_none() && self.account.probe.good() > failed
    }

    pub(super) fn admit(&self, last: bool, now: Instant) -> Result<Passes, Closed> {
        let closed =
            |open: Open| Closed { reason: Reason::Breaker, after: open.until.saturating_duration_since(now) };
        let account = self.account.breaker.admit(now).map_err(closed)?;
        let own = if last { self.breaker.admit_last(now) } else { self.breaker.admit(now) };
        Ok((account, own.map_err(closed)?))
    }
}

/// How long a target has asked to be left alone. Whoever can ask another does; who cannot may try it all the
/// same, as a limit that one request has met may let a smaller one pass.
#[derive(Debug)]
pub(super) struct Rest {
    begun: Instant,
    /// Milliseconds from there.
    until: AtomicU64,
}

impl Rest {
    fn new(now: Instant) -> Self {
        Self { begun: now, until: AtomicU64::new(0) }
    }

    /// It asks for so long.
    pub(super) fn ask(&self, after: Duration, now: Instant) {
        self.until.fetch_max(self.millis(now + after.min(REST_MAX)), Relaxed);
    }

    /// An operator knows better.
    pub(super) fn is_over(&self) {
        self.until.store(0, Relaxed);
    }

    fn lasts(&self, now: Instant) -> bool {
        let until = self.until.load(Relaxed);
        until > 0 && self.millis(now) < until
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }
}

impl registry::Entry for Lane {
    fn is_busy(&self, now: Instant) -> bool {
        !self.breaker.is_idle(now) || !self.gate.is_idle()
    }
}

impl From<config::Strategy> for Strategy {
    fn from(strategy: config::Strategy) -> Self {
        let config::Strategy {
            consecutive,
            success_below,
            window,
            calls_min,
            open,
            open_max,
            half_open,
            half_open_for,
            last_resort,
        } = strategy;
        Self {
            consecutive,
            success_below,
            window,
            calls_min,
            open,
            open_max,
            half_open,
            half_open_for,
            last_resort,
        }
    }
}

fn gate(care: &Care) -> gate::Options {
    let config::Queue { size, aging, target, interval } = care.queue;
    gate::Options {
        limiter: limits(&care.concurrency),
        batch: limits(&care.batch),
        queue: queue::Options { size, aging, codel_target: target, codel_interval: interval },
        ..gate::Options::default()
    }
}

/// Where any number is let through the limit is one that is never reached.
fn limits(concurrency: &config::Concurrency) -> limiter::Options {
    let config::Concurrency {
        algorithm,
        initial,
        min,
        max,
        latency_good,
        latency_bad,
        errors_good,
        errors_bad,
    } = *concurrency;
    let (algorithm, initial, max) = match algorithm {
        Algorithm::Aimd => (limiter::Algorithm::Aimd, initial, max),
        Algorithm::Gradient2 => (limiter::Algorithm::Gradient2, initial, max),
        Algorithm::Fixed => (limiter::Algorithm::Fixed, initial, max),
        Algorithm::Off => (limiter::Algorithm::Fixed, u32::MAX, u32::MAX),
    };
    limiter::Options { algorithm, initial, min, max, latency_good, latency_bad, errors_good, errors_bad }
}
