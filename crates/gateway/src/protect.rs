//! What protects the targets and those who ask them: one for the process, kept from one configuration to the
//! next.
//!
//! A [`Lane`] is all that is known of one target for one operation: its breaker, how many requests it bears
//! and who waits for it, how fast it is. A [`Lease`] is the right to make one call on it; it travels with the
//! answer's body, and its end is what the lane learns from. Where to go when a lane is closed is decided in
//! `dispatch`.

mod lane;
mod lease;
mod seen;
mod told;

pub mod health;
pub mod upkeep;

pub use lane::{Lane, LaneKey};
pub use lease::Lease;
pub use seen::Seen;
pub use told::Told;

use crate::alarm::{Alarm, Late};
use crate::config;
use crate::plan::{Care, Target};
use foldhash::fast::RandomState;
use guard::breaker::Breaker;
use guard::gate::{Entered, Refusal, Ticket};
use guard::pattern::Patterns;
use guard::registry::{self, Registry};
use guard::retry::Budget;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::operation::Operation;

/// Everything that protects targets.
pub struct Protection {
    registry: config::Registry,
    lanes: Registry<LaneKey, Lane, RandomState>,
    /// By provider and credential; there are as many as the configuration has had.
    accounts: Mutex<Accounts>,
    patterns: Arc<Patterns>,
}

type Accounts = HashMap<u64, Arc<Account>, RandomState>;

/// One provider with one credential.
pub struct Account {
    /// The provider's name.
    pub provider: Box<str>,
    /// Trips where the credential is refused or spent, and where the provider as a whole is down.
    pub breaker: Arc<Breaker>,
    /// What tries beyond the first may be made of requests that go here first.
    pub retries: Budget,
    /// The same for tries beside the first.
    pub hedges: Budget,
    /// What it says when it is asked only whether it is there.
    pub probe: Seen,
    /// Trips of its breaker that are counted already.
    pub told_trips: Told,
}

/// One who wants to ask a target.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// Whom.
    pub target: &'a Target,
    /// For what.
    pub operation: Operation,
    /// Where to stand among those who wait.
    pub ticket: Ticket,
    /// Whether nobody has been asked yet.
    pub first: bool,
    /// Whether nobody else is left to be asked.
    pub last: bool,
}

/// Why a target is not to be asked now.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// What is in the way.
    pub reason: Reason,
    /// After how long it may be worth another try.
    pub after: Duration,
}

/// What is in the way of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The target has failed too often.
    Breaker,
    /// More wait for it than may, or longer than this request can.
    Queue(guard::gate::Reason),
    /// We have asked its provider for as much as we may.
    Limit,
}

impl Protection {
    /// Nothing is known yet of any target. `guard` says how much is to be kept.
    pub fn new(guard: &config::Guard) -> Self {
        let now = Instant::now();
        let patterns = Arc::new(Patterns::new(now));
        let options = registry::Options {
            entries: guard.registry.entries,
            idle: guard.registry.idle,
            sweep: guard.registry.sweep,
            enabled: guard.registry.enabled,
            ..registry::Options::default()
        };
        let shared = Arc::new(Lane::shared(Arc::new(Account::new("*", 0, now)), Arc::clone(&patterns), now));
        Self {
            registry: guard.registry,
            lanes: Registry::with_hasher(options, shared, RandomState::default()),
            accounts: Mutex::default(),
            patterns,
        }
    }

    /// Whether it can go on under another configuration. Only a change of how much is kept begins anew.
    pub fn suits(&self, guard: &config::Guard) -> bool {
        self.registry == guard.registry
    }

    /// What is known of a target; begun when it is first asked for, and treated as the target says now.
    pub fn lane(&self, target: &Target, operation: Operation, now: Instant) -> Arc<Lane> {
        let key = target.lane(operation);
        let lane = self.lanes.get(&key, now, |key| {
            let account = self.account(target.upstream.name(), key.account, now);
            Arc::new(Lane::new(*key, target, operation, account, &self.patterns, now))
        });
        lane.care(target, now);
        lane
    }

    /// What is known of a provider with one of its credentials, as a number.
    pub fn account(&self, provider: &str, key: u64, now: Instant) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.entry(key).or_insert_with(|| Arc::new(Account::new(provider, key, now))))
    }

    /// Whether a call would be let through now.
    pub fn is_open(&self, target: &Target, operation: Operation, now: Instant) -> bool {
        self.lane(target, operation, now).is_open(now)
    }

    /// The right to make one call. Waits where others are before, within the ticket's deadline.
    ///
    /// # Errors
    /// Where the call is not to be made.
    pub async fn lease(&self, wish: Wish<'_>, alarm: &mut Alarm, now: Instant) -> Result<Lease, Closed> {
        let lane = self.lane(wish.target, wish.operation, now);
        if wish.first {
            lane.account.retries.deposit(now);
        }
        let passes = lane.admit(wish.last, now)?;
        let waiting = match lane.gate.enter(wish.ticket, now) {
            Entered::Now(permit) => return Ok(Lease::new(lane, passes, permit, now)),
            Entered::Refused(refusal) => return Err(refusal.into()),
            Entered::Wait(waiting) => waiting,
        };
        // A trial call must not be held up by one who only waits.
        drop(passes);
        let granted = match wish.ticket.deadline {
            Some(deadline) => alarm.within(deadline, std::pin::pin!(waiting)).await,
            None => Ok(waiting.await),
        };
        let (entered, now) = (now, Instant::now());
        wish.target.metrics.waited(now.saturating_duration_since(entered));
        let permit = granted.map_err(|Late| Closed::late())??;
        match lane.admit(wish.last, now) {
            Ok(passes) => Ok(Lease::new(lane, passes, permit, now)),
            Err(closed) => {
                permit.unused(now);
                Err(closed)
            }
        }
    }

    /// Whether the budget of whoever was to be asked first has another try. Where the fault is here it would end
    /// the same with anybody.
    pub fn may_retry(&self, first: &Target, operation: Operation, now: Instant) -> bool {
        !self.patterns.is_local(now) && self.lane(first, operation, now).account.retries.withdraw(now)
    }

    /// Visits all that is known.
    pub fn for_each(&self, mut visit: impl FnMut(&Lane)) {
        self.lanes.for_each(|_, lane| visit(lane));
    }

    /// What goes wrong in several places at once.
    pub fn patterns(&self) -> &Patterns {
        &self.patterns
    }
}

impl Account {
    fn new(provider: &str, seed: u64, now: Instant) -> Self {
        Self {
            provider: provider.into(),
            breaker: Breaker::new(lane::ACCOUNT, seed),
            retries: Budget::new(guard::retry::Options::default(), now),
            hedges: guard::hedge::budget(0.0, now),
            probe: Seen::new(now),
            told_trips: Told::default(),
        }
    }

    fn care(&self, care: &Care, now: Instant) {
        let retries = guard::retry::Options {
            share: care.retry.budget,
            per_second: f64::from(care.retry.budget_per_second),
            ..guard::retry::Options::default()
        };
        self.retries.set_options(retries, now);
        self.hedges.set_options(guard::hedge::options(care.hedge.budget), now);
    }
}

impl Closed {
    fn late() -> Self {
        Self { reason: Reason::Queue(guard::gate::Reason::TooLate), after: Duration::from_secs(1) }
    }
}

impl From<Refusal> for Closed {
    fn from(refusal: Refusal) -> Self {
        Self { reason: Reason::Queue(refusal.reason), after: refusal.after }
    }
}
