//! A circuit breaker: calls to a target that keeps failing are refused at once, for a while, instead
//! of being tried.
//!
//! ```text
//!              too many failures                  the open time is over
//!   Closed ───────────────────────► Open ──────────────────────────────► HalfOpen
//!     ▲                              ▲                                    │    │
//!     │                              └──────────── a trial failed ────────┘    │
//!     └──────────────────────────────────── a trial succeeded ─────────────────┘
//! ```
//!
//! It trips on failures in a row, or on the share of successes in a window. Refusals that only say
//! "later" (429, 503, 529) count toward the share alone, and fail a trial; that distinction is
//! linkerd2-proxy's. The open time grows with each trip in a row and is jittered, as Finagle's is.
//!
//! It does not know what a call is, which error is which [`Verdict`], or where else a refused call
//! might go; it spawns nothing and reads no clock. Where many breakers are kept is the
//! [`registry`](crate::registry)'s business.

use crate::registry::Entry;
use crate::sync::{Mutex, MutexGuard, lock};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::pass::Pass;
pub use self::strategy::Strategy;

use self::machine::Machine;

mod backoff;
mod machine;
mod pass;
mod strategy;
mod trials;
mod window;

/// How a call that was let through ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target did its work.
    Good,
    /// The target failed: no connection, 5xx, no first token in time.
    Hard,
    /// The target is there but takes no more: 429, 503, 529. `after` is its `Retry-After`: should the
    /// breaker trip before that has passed, it stays open at least as long, but not past `open_max`.
    Soft {
        /// How long the target asked to be left alone.
        after: Option<Duration>,
    },
    /// The call says nothing about the target: the caller's own error, or the caller left.
    Ignored,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls go through.
    Closed,
    /// Calls are refused.
    Open {
        /// When the first trial call may go through.
        until: Instant,
    },
    /// A few trial calls go through; how they end decides.
    HalfOpen,
}

/// Why a breaker tripped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// As many hard failures in a row as the strategy bears.
    Consecutive,
    /// Too few of the calls in the window succeeded.
    Rate,
    /// A trial call failed.
    Trial,
    /// Somebody called [`Breaker::trip`].
    Forced,
}

/// A breaker's figures, for showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where it stands.
    pub state: State,
    /// When it came to stand there; `None` if it has stood there from the start.
    pub since: Option<Instant>,
    /// Hard failures in a row.
    pub consecutive: u32,
    /// Calls judged in the window. An open breaker keeps showing those that tripped it, until they are
    /// older than the window.
    pub calls: u64,
    /// Failures, hard and soft, among those calls.
    pub failures: u64,
    /// How often it has tripped.
    pub trips: u64,
    /// Why it tripped last.
    pub reason: Option<Reason>,
}

/// A call was refused: the target is not to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The earliest time at which a call may go through. While trial calls are under way, it is when
    /// the first of their permits expires; it may be free sooner.
    pub until: Instant,
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the target failed too often and is left alone for a while")
    }
}

impl std::error::Error for Open {}

/// The breaker of one target, shared by everybody who calls it. Each operation takes one short lock.
pub struct Breaker {
    machine: Mutex<Machine>,
}

impl Breaker {
    /// A closed breaker. The same `seed` and the same calls give the same open times.
    pub fn new(strategy: Strategy, seed: u64) -> Arc<Self> {
        Arc::new(Self { machine: Mutex::new(Machine::new(strategy, seed)) })
    }

    /// Lets a call through, or refuses it. Whoever gets the pass makes the call and
    /// [settles](Pass::settle) it.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Pass, Open> {
        let ticket = self.lock().admit(now)?;
        Ok(Pass::new(Arc::clone(self), Some(ticket)))
    }

    /// [`admit`](Breaker::admit) for a call that has nowhere else to go: where the strategy says
    /// `last_resort`, it is never refused. A call that would have been is not judged: what brings the
    /// target back are its trials.
    pub fn admit_last(self: &Arc<Self>, now: Instant) -> Result<Pass, Open> {
        let mut machine = self.lock();
        let ticket = match machine.admit(now) {
            Ok(ticket) => Some(ticket),
            Err(_) if machine.strategy().last_resort => None,
            Err(open) => return Err(open),
        };
        drop(machine);
        Ok(Pass::new(Arc::clone(self), ticket))
    }

    /// Whether a call would be let through. Takes nothing and changes nothing.
    pub fn peek(&self, now: Instant) -> Result<(), Open> {
        self.lock().peek(now)
    }

    /// Where it stands.
    pub fn state(&self, now: Instant) -> State {
        self.lock().state(now)
    }

    /// Its figures.
    pub fn report(&self, now: Instant) -> Report {
        self.lock().report(now)
    }

    /// Closes it, with a clean record: an operator knows better.
    pub fn reset(&self, now: Instant) {
        self.lock().reset(now);
    }

    /// Opens it, for the backoff's time or `for_at_least`, whichever is longer; the latter is not cut
    /// at `open_max`. One that is open already is at most prolonged.
    pub fn trip(&self, now: Instant, for_at_least: Option<Duration>) {
        self.lock().force(now, for_at_least);
    }

    /// Whether nothing would be lost with it: closed, no failure in its window, and its last trip
    /// forgotten.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.lock().is_idle(now)
    }

    /// What it goes by.
    pub fn strategy(&self) -> Strategy {
        *self.lock().strategy()
    }

    /// Goes by another strategy from now on. It stays open as long as it was to be; the window begins
    /// anew if its length changes.
    pub fn set_strategy(&self, strategy: Strategy) {
        self.lock().set_strategy(strategy);
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }
}

/// A breaker that remembers something must not be forgotten.
impl Entry for Breaker {
    fn is_busy(&self, now: Instant) -> bool {
        !self.is_idle(now)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").finish_non_exhaustive()
    }
}
