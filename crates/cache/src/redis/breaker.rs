//! A breaker: leaves alone what keeps failing, so that nobody waits for it.
//!
//! *Closed*, it lets everything through and counts. It opens after [`RUN_MAX`] failures in a row, or where at
//! least half of the last second's calls failed, of [`CALLS_MIN`] or more. *Open*, it refuses at once.
//! After a second, and after twice as long each time it did not help, up to [`PERIOD_MAX`], it is *half open*
//! for one probe, whose outcome decides. The background may probe earlier than a caller, so that callers do
//! not pay for it.
//!
//! Time is handed in: the state is a plain machine.

use super::lock;
use std::fmt::Display;
use std::mem;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Failures in a row that open it.
const RUN_MAX: u32 = 5;
/// Calls in the last second that a share of failures is told of.
const CALLS_MIN: u32 = 10;
/// The shortest time for which it is open; also how often the background probes.
const PERIOD_MIN: Duration = Duration::from_secs(1);
/// The longest.
const PERIOD_MAX: Duration = Duration::from_secs(30);
/// Whoever fails again so soon after being well was not well: the period goes on growing.
const CALM: Duration = Duration::from_secs(10);
/// How far a period strays, so that replicas do not probe together.
const JITTER: f64 = 0.2;
/// Slices of the last second.
const SLICES: usize = 10;
const SLICE: Duration = Duration::from_millis(100);

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything passes.
    Closed,
    /// Nothing does.
    Open,
    /// One probe is let through, or would be.
    HalfOpen,
}

/// A breaker round one thing.
#[derive(Debug)]
pub(super) struct Breaker {
    /// What it guards, for the log.
    what: &'static str,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    /// The last period for which it was open.
    period: Duration,
    trips: u64,
    born: Instant,
}

#[derive(Debug)]
enum Phase {
    Closed { since: Instant, run: u32, window: Window },
    Open { until: Instant, probe_at: Instant },
    HalfOpen { probing: bool },
}

/// Leave to make one call. Dropped without an outcome it counts for nothing.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Breaker {
    pub(super) fn new(what: &'static str, now: Instant) -> Self {
        let phase = Phase::Closed { since: now, run: 0, window: Window::default() };
        Self { what, inner: Mutex::new(Inner { phase, period: Duration::ZERO, trips: 0, born: now }) }
    }

    pub(super) fn state(&self) -> State {
        match lock(&self.inner).phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// How often it has opened.
    pub(super) fn trips(&self) -> u64 {
        lock(&self.inner).trips
    }

    /// Leave for a caller, if there is any.
    pub(super) fn admit(&self, now: Instant) -> Option<Permit<'_>> {
        self.pass(|phase| match phase {
            Phase::Closed { .. } => true,
            Phase::Open { until, .. } => now >= *until,
            Phase::HalfOpen { probing } => !*probing,
        })
    }

    /// Leave for the background to probe, where there is something to be found out.
    pub(super) fn probe(&self, now: Instant) -> Option<Permit<'_>> {
        self.pass(|phase| match phase {
            Phase::Closed { .. } => false,
            Phase::Open { probe_at, .. } => now >= *probe_at,
            Phase::HalfOpen { probing } => !*probing,
        })
    }

    fn pass(&self, passes: impl Fn(&Phase) -> bool) -> Option<Permit<'_>> {
        let mut inner = lock(&self.inner);
        if !passes(&inner.phase) {
            return None;
        }
        let probe = !matches!(inner.phase, Phase::Closed { .. });
        if probe {
            inner.phase = Phase::HalfOpen { probing: true };
        }
        Some(Permit { breaker: self, probe })
    }
}

impl Permit<'_> {
    /// The call did what it should.
    pub(super) fn succeed(mut self, now: Instant) {
        let mut inner = lock(&self.breaker.inner);
        if mem::take(&mut self.probe) {
            inner.phase = Phase::Closed { since: now, run: 0, window: Window::default() };
            tracing::info!(breaker = self.breaker.what, "cache breaker closed: calls pass again");
            return;
        }
        let slice = inner.slice(now);
        if let Phase::Closed { run, window, .. } = &mut inner.phase {
            *run = 0;
            window.count(slice, false);
        }
    }

    /// The call failed, or took too long: why, for the log, if it trips by that.
    pub(super) fn fail(mut self, now: Instant, why: impl Display) {
        let mut inner = lock(&self.breaker.inner);
        if mem::take(&mut self.probe) {
            inner.open(now, true);
            return;
        }
        let slice = inner.slice(now);
        let Phase::Closed { since, run, window } = &mut inner.phase else { return };
        *run += 1;
        window.count(slice, true);
        if *run < RUN_MAX && !window.is_bad(slice) {
            return;
        }
        let again = now.saturating_duration_since(*since) < CALM;
        inner.open(now, again);
        inner.trips += 1;
        tracing::warn!(
            breaker = self.breaker.what,
            seconds = inner.period.as_secs_f64(),
            reason = %why,
            "cache breaker tripped: left alone until it answers again"
        );
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe
            && let Phase::HalfOpen { probing } = &mut lock(&self.breaker.inner).phase
        {
            *probing = false;
        }
    }
}

impl Inner {
    fn open(&mut self, now: Instant, again: bool) {
        self.period = if again { self.period * 2 } else { PERIOD_MIN }.clamp(PERIOD_MIN, PERIOD_MAX);
        let stray = 1.0 + JITTER * (2.0 * fastrand::f64() - 1.0);
        let until = now + self.period.mul_f64(stray);
        self.phase = Phase::Open { until, probe_at: (now + PERIOD_MIN.mul_f64(stray)).min(until) };
    }

    fn slice(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.born).as_millis() / SLICE.as_millis()) as u64
    }
}

/// The calls of the last second and how many of them failed, in tenths.
#[derive(Debug, Default)]
struct Window([Slice; SLICES]);

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    number: u64,
    calls: u32,
    failed: u32,
}

impl Window {
    fn count(&mut self, number: u64, failed: bool) {
        let slice = &mut self.0[number as usize % SLICES];
        if slice.number != number {
            *slice = Slice { number, ..Slice::default() };
        }
        slice.calls += 1;
        slice.failed += u32::from(failed);
    }

    fn is_bad(&self, now: u64) -> bool {
        let recent = self.0.iter().filter(|slice| slice.number + SLICES as u64 > now);
        let (calls, failed) =
            recent.fold((0, 0), |(calls, failed), slice| (calls + slice.calls, failed + slice.failed));
        calls >= CALLS_MIN && failed * 2 >= calls
    }
}
