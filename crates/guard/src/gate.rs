//! The one queue before a target: so many calls at once as the [`limiter`] allows, the others in the
//! order of the [`queue`], and whoever cannot be served in time told so at the door.
//!
//! ```text
//! enter ──► room? ──────────────► Permit ── held until the call's last byte ──► finish, or drop
//!             │ no                  ▲                                              │
//!             ▼                     │ granted                                      │ limit judged,
//!           in time? ── yes ──► Waiting ◄──────── the next in order ◄──────────────┘ place free
//!             │ no
//!             ▼
//!          Refusal, with when to come again
//! ```
//!
//! Batch work has a limit of its own within the whole, and it and the band low leave the last few
//! places to others, so that what is urgent finds one.
//!
//! It spawns nothing and has no timer. Who waits is told by its waker when its turn comes or when it is
//! refused; nothing happens when its deadline passes, so whoever waits drops the [`Waiting`] then.
//! Every decision is taken under one lock, held for one step, and every waker is woken after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::limiter::{self, Limiter};
use crate::mutex::{Guard, Mutex};
use crate::queue;
use crate::wakes::Wakes;

pub use self::permit::Permit;
pub use self::waiting::Waiting;
pub use crate::queue::{Band, Ticket};

use self::state::State;

mod pace;
mod permit;
mod state;
mod waiting;

#[cfg(test)]
mod tests;

/// What a gate is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Of all calls at once.
    pub limiter: limiter::Options,
    /// Of those in the band batch, which count within the whole.
    pub batch: limiter::Options,
    /// Of those who wait.
    pub queue: queue::Options,
    /// The share of the limit that the bands low and batch leave to the others, from 0 to 1. It makes
    /// at least one place where the limit is 10 or more, and none below. Where others keep all the rest,
    /// [`aging`](queue::Options::aging) goes past it.
    pub reserve: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limiter: limiter::Options::INTERACTIVE,
            batch: limiter::Options::BATCH,
            queue: queue::Options::default(),
            reserve: 0.1,
        }
    }
}

/// The door of one target. A clone is another handle to the same.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

/// What gates, permits and those who wait share.
struct Inner {
    state: Mutex<State>,
}

/// What came of entering.
#[derive(Debug)]
pub enum Entered {
    /// There was room.
    Now(Permit),
    /// There will be, as far as can be told before the deadline.
    Wait(Waiting),
    /// There is none.
    Refused(Refusal),
}

/// Nothing was called. The caller hears that there is too much to do, and when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// When it may be worth another try: what the wait would be now. From 100 ms to 60 s, without
    /// jitter.
    pub after: Duration,
}

/// Why somebody was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// As many wait as may, and none gave way, or this one did.
    Full,
    /// The wait, and a call of the usual length after it, would pass or has passed the deadline.
    TooLate,
    /// Its band stands, and this one waited for too long, or would have.
    Dropped,
}

/// How a gate is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Calls that may be under way.
    pub limit: u32,
    /// Calls under way; beyond the limit where that has shrunk.
    pub in_flight: u32,
    /// Calls in the band batch that may be under way.
    pub batch_limit: u32,
    /// Calls in the band batch under way.
    pub batch_in_flight: u32,
    /// Who waits, by band: high, normal, low, batch.
    pub waiting: [usize; 4],
    /// What somebody who came now in the band normal would wait.
    pub wait: Duration,
    /// The smoothed time to the first token, once one was measured.
    pub delay: Option<Duration>,
    /// Permits given since the beginning.
    pub granted: u64,
    /// Refused since the beginning because the queue was full.
    pub refused_full: u64,
    /// Refused since the beginning because of their deadline.
    pub refused_late: u64,
    /// Dropped from a standing queue, or turned away from it, since the beginning.
    pub dropped: u64,
    /// How often the limit was cut for overload.
    pub cuts: u64,
}

impl Gate {
    /// A gate that nobody has passed yet.
    pub fn new(options: Options, now: Instant) -> Self {
        Self { inner: Arc::new(Inner { state: Mutex::new(State::new(options, now)) }) }
    }

    /// Asks for a place.
    pub fn enter(&self, ticket: Ticket, now: Instant) -> Entered {
        let mut state = self.inner.lock(now);
        if !state.is_quiet() {
            // Time has passed: a band may have waited for too long, or who waits be too late.
            self.inner.admit(state);
            state = self.inner.lock(now);
        }
        if let Some(lease) = state.admit_now(&ticket) {
            drop(state);
            return Entered::Now(Permit::new(Arc::clone(&self.inner), lease));
        }
        let (waiter, displaced) = match state.join(ticket) {
            Ok(joined) => joined,
            Err(refusal) => return Entered::Refused(refusal),
        };
        drop(state);
        if let Some(waker) = displaced {
            waker.wake();
        }
        Entered::Wait(Waiting::new(Arc::clone(&self.inner), waiter))
    }

    /// Halves the limits, because this process has too much to do: see [`Limiter::squeeze`].
    pub fn squeeze(&self, now: Instant) {
        self.inner.lock(now).limiters().for_each(|limiter| limiter.squeeze(now));
    }

    /// Keeps the limits from growing while `held`: see [`Limiter::hold`].
    pub fn hold(&self, held: bool, now: Instant) {
        self.inner.lock(now).limiters().for_each(|limiter| limiter.hold(held));
    }

    /// Takes other options; the limits stay what they are, within the new bounds. Nobody who waits or
    /// holds a permit loses it.
    pub fn set_options(&self, options: Options, now: Instant) {
        let mut state = self.inner.lock(now);
        state.set_options(options);
        self.inner.admit(state);
    }

    /// How it is doing.
    pub fn report(&self, now: Instant) -> Report {
        self.inner.lock(now).report()
    }

    /// Whether nobody holds a permit and nobody waits.
    pub fn is_idle(&self) -> bool {
        self.inner.state.lock().is_idle()
    }
}

impl Inner {
    /// Locks, and lets the time pass. It never goes back: of several threads that read the clock before
    /// they lock, the last one to read need not be the last one to lock.
    fn lock(&self, now: Instant) -> Guard<'_, State> {
        let mut state = self.state.lock();
        state.pass(now);
        state
    }

    /// Gives permits to those who wait while there is room, and wakes them, a batch at a time. To be
    /// called after everything that may have made room.
    fn admit<'a>(&'a self, mut state: Guard<'a, State>) {
        while !state.is_quiet() {
            let mut wakes = Wakes::new();
            state.admit_waiting(&mut wakes);
            let may_go_on = wakes.is_full();
            drop(state);
            wakes.wake();
            if !may_go_on {
                return;
            }
            state = self.state.lock();
        }
    }
}

impl State {
    fn limiters(&mut self) -> impl Iterator<Item = &mut Limiter> {
        [&mut self.limiter, &mut self.batch_limiter].into_iter()
    }
}
