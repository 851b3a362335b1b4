//! The states of a breaker and how it goes from one to the next: plain data, under the breaker's lock.

use super::backoff::Backoff;
use super::trials::Trials;
use super::window::Window;
use super::{Open, Reason, Report, State, Strategy, Verdict};
use crate::clock::later;
use std::time::{Duration, Instant};

pub(super) struct Machine {
    strategy: Strategy,
    phase: Phase,
    since: Option<Instant>,
    /// Counts the phases. A call belongs to the one it was let through in.
    generation: u64,
    consecutive: u32,
    window: Window,
    backoff: Backoff,
    /// The latest time before which a target asked not to be called.
    not_before: Option<Instant>,
    trips: u64,
    reason: Option<Reason>,
}

enum Phase {
    Closed,
    /// Past `until` it is as good as half open, and becomes so with the next call.
    Open {
        until: Instant,
    },
    HalfOpen(Trials),
}

/// What a pass holds of the machine that issued it.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    generation: u64,
    /// The number of a trial call's permit.
    pub trial: Option<u64>,
}

impl Machine {
    pub fn new(strategy: Strategy, seed: u64) -> Self {
        Self {
            strategy,
            phase: Phase::Closed,
            since: None,
            generation: 0,
            consecutive: 0,
            window: Window::new(strategy.window),
            backoff: Backoff::new(seed),
            not_before: None,
            trips: 0,
            reason: None,
        }
    }

    pub fn admit(&mut self, now: Instant) -> Result<Ticket, Open> {
        if let Phase::Open { until } = self.phase {
            if now < until {
                return Err(Open { until });
            }
            self.enter(Phase::HalfOpen(Trials::default()), now);
        }
        let trial = match &mut self.phase {
            Phase::HalfOpen(trials) => Some(trials.take(&self.strategy, now)?),
            Phase::Closed | Phase::Open { .. } => None,
        };
        Ok(Ticket { generation: self.generation, trial })
    }

    pub fn peek(&self, now: Instant) -> Result<(), Open> {
        match &self.phase {
            Phase::Open { until } if now < *until => Err(Open { until: *until }),
            Phase::HalfOpen(trials) => trials.peek(&self.strategy, now),
            Phase::Open { .. } | Phase::Closed => Ok(()),
        }
    }

    pub fn settle(&mut self, ticket: Ticket, verdict: Verdict, now: Instant) {
        if ticket.generation != self.generation {
            return;
        }
        self.give_back(ticket);
        if let Verdict::Soft { after: Some(after) } = verdict {
            let asked = later(now, after.min(self.strategy.open_max));
            self.not_before = self.not_before.max(Some(asked));
        }
        match ticket.trial {
            Some(_) => self.judge(verdict, now),
            None => self.count(verdict, now),
        }
    }

    /// Takes a trial's permit back, if this is still the phase that it was given in.
    pub fn give_back(&mut self, ticket: Ticket) {
        if ticket.generation == self.generation
            && let (Phase::HalfOpen(trials), Some(number)) = (&mut self.phase, ticket.trial)
        {
            trials.give_back(number);
        }
    }

    /// A trial call has ended.
    fn judge(&mut self, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Good => {
                self.backoff.close(&self.strategy, now);
                self.close(now);
            }
            Verdict::Hard | Verdict::Soft { .. } => self.trip(Reason::Trial, now),
            Verdict::Ignored => {}
        }
    }

    /// A call has ended while closed. Only a failure trips, never a success that completes the window.
    fn count(&mut self, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Ignored => return,
            Verdict::Good => {
                self.consecutive = 0;
                self.window.good(now);
                return;
            }
            Verdict::Hard => self.consecutive = self.consecutive.saturating_add(1),
            Verdict::Soft { .. } => {}
        }
        self.window.bad(now);
        if self.strategy.consecutive > 0 && self.consecutive >= self.strategy.consecutive {
            self.trip(Reason::Consecutive, now);
        } else if self.is_rate_low(now) {
            self.trip(Reason::Rate, now);
        }
    }

    fn is_rate_low(&mut self, now: Instant) -> bool {
        let sum = self.window.sum(now);
        sum.calls() >= u64::from(self.strategy.calls_min)
            && (sum.good as f64) < sum.calls() as f64 * self.strategy.success_below
    }

    fn trip(&mut self, reason: Reason, now: Instant) {
        let backoff = later(now, self.backoff.trip(&self.strategy, now));
        let until = self.not_before.take().map_or(backoff, |asked| asked.max(backoff));
        self.trips += 1;
        self.reason = Some(reason);
        self.enter(Phase::Open { until }, now);
    }

    pub fn force(&mut self, now: Instant, for_at_least: Option<Duration>) {
        if !matches!(self.phase, Phase::Open { until } if now < until) {
            self.trip(Reason::Forced, now);
        }
        if let (Phase::Open { until }, Some(span)) = (&mut self.phase, for_at_least) {
            *until = later(now, span).max(*until);
        }
    }

    pub fn reset(&mut self, now: Instant) {
        self.backoff.reset();
        self.not_before = None;
        self.close(now);
    }

    fn close(&mut self, now: Instant) {
        self.consecutive = 0;
        self.window.clear();
        self.enter(Phase::Closed, now);
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = Some(now);
        self.generation += 1;
    }

    pub fn state(&self, now: Instant) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { until } if now < until => State::Open { until },
            Phase::Open { .. } | Phase::HalfOpen(_) => State::HalfOpen,
        }
    }

    pub fn report(&mut self, now: Instant) -> Report {
        let sum = self.window.sum(now);
        let since = match self.phase {
            Phase::Open { until } if until <= now => Some(until),
            _ => self.since,
        };
        Report {
            state: self.state(now),
            since,
            consecutive: self.consecutive,
            calls: sum.calls(),
            failures: sum.bad,
            trips: self.trips,
            reason: self.reason,
        }
    }

    pub fn is_idle(&mut self, now: Instant) -> bool {
        matches!(self.phase, Phase::Closed) && self.window.sum(now).bad == 0 && self.backoff.is_calm(now)
    }

    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    pub fn set_strategy(&mut self, strategy: Strategy) {
        if strategy.window != self.strategy.window {
            self.window = Window::new(strategy.window);
        }
        self.strategy = strategy;
    }
}
