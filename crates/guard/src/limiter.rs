//! How many calls a target is given at once: a number that shrinks on evidence of overload and grows
//! while all is well and the number is felt.
//!
//! A controller is pure arithmetic over the [`Sample`]s it is fed. It counts no calls, queues nobody and
//! reads no clock: that is the [`gate`](crate::gate)'s. Delays are times to the first token, never whole
//! durations: an answer's length says nothing of how busy a provider is. Whoever feeds them in divides out
//! what the prompt's size explains.

use std::time::{Duration, Instant};

use self::gradient2::Gradient2;
use self::signals::Signals;

mod gradient2;
mod signals;

#[cfg(test)]
mod tests;

/// What is left of the limit after evidence of overload: AIMD's usual backoff (Netflix
/// concurrency-limits, `AIMDLimit`).
const BACKOFF: f64 = 0.9;
/// What is left of the limit after a [`squeeze`](Limiter::squeeze).
const SQUEEZE: f64 = 0.5;
/// Between two squeezes: what was admitted before the first needs time to end before its effect shows.
const SQUEEZE_EVERY: Duration = Duration::from_secs(5);

/// How the limit is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Stays at [`Options::initial`], whatever happens: the operator knows.
    Fixed,
    /// One more for each limit's worth of successes, ×0.9 on overload, at most once a round trip
    /// (Chiu and Jain, 1989). Before the first overload, and after an outage, one more for each success:
    /// TCP's slow start (RFC 5681).
    #[default]
    Aimd,
    /// Follows the ratio of the usual delay to the present one (Netflix concurrency-limits,
    /// `Gradient2Limit`), with its known faults mended: `limiter/gradient2.rs` says how.
    Gradient2,
}

/// Bounds and thresholds of a limit. Nothing is checked here: where `min > max`, `max` counts, and no
/// limit is below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How the limit is found.
    pub algorithm: Algorithm,
    /// The limit before there is evidence.
    pub initial: u32,
    /// The limit never falls below.
    pub min: u32,
    /// The limit never grows beyond.
    pub max: u32,
    /// The limit grows only while the smoothed delay is below.
    pub latency_good: Duration,
    /// A smoothed delay above it is overload.
    pub latency_bad: Duration,
    /// The limit grows only while a smaller share of calls fails; from 0 to 1.
    pub errors_good: f64,
    /// A greater share of failed calls is overload; from 0 to 1.
    pub errors_bad: f64,
}

impl Options {
    /// For callers who wait: starts where it is not felt, and shrinks on evidence.
    pub const INTERACTIVE: Self = Self {
        algorithm: Algorithm::Aimd,
        initial: 256,
        min: 4,
        max: 10_000,
        latency_good: Duration::from_secs(2),
        latency_bad: Duration::from_secs(5),
        errors_good: 0.05,
        errors_bad: 0.15,
    };

    /// For work that nobody waits for: starts small, and stays so.
    pub const BATCH: Self = Self { initial: 5, min: 1, max: 20, ..Self::INTERACTIVE };

    /// `limit` brought within the bounds.
    fn clamp(&self, limit: f64) -> f64 {
        limit.max(f64::from(self.min)).min(f64::from(self.max)).max(1.0)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::INTERACTIVE
    }
}

/// How a call ended, as far as the limit is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered. A caller's own fault (a bad request) is an answer too.
    Good,
    /// The target said it has too much to do (429, 503, 529), or said nothing in time.
    Overload,
    /// It failed in another way. A few such calls say nothing; many are overload.
    Failed,
    /// The caller left. It says nothing of the target and counts for nothing.
    Cancelled,
}

/// One call that has begun to be answered, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Time to the first token, the prompt's size divided out. `None` where there was no token or
    /// where it was not measured. Counts only with [`Outcome::Good`]: a time-out's delay is the
    /// time-out, and a refusal's is none.
    pub delay: Option<Duration>,
    /// How it ended; good where it has begun to be answered.
    pub result: Outcome,
    /// Calls under way just before, itself among them.
    pub in_flight: u32,
}

/// A limit, and what it is judged by.
#[derive(Clone, Debug)]
pub struct Limiter {
    options: Options,
    limit: f64,
    signals: Signals,
    gradient: Gradient2,
    /// AIMD grows by one for each success below it: infinite until there was trouble.
    slow_start_below: f64,
    /// Whether the limit has grown since it was last cut.
    grown: bool,
    held: bool,
    cut_at: Option<Instant>,
    squeezed_at: Option<Instant>,
    cuts: u64,
}

impl Limiter {
    /// A limit at its initial value, within its bounds.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            limit: options.clamp(f64::from(options.initial)),
            signals: Signals::default(),
            gradient: Gradient2::default(),
            slow_start_below: f64::INFINITY,
            grown: false,
            held: false,
            cut_at: None,
            squeezed_at: None,
            cuts: 0,
        }
    }

    /// How many calls may be under way; at least 1.
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// How often the limit was cut for overload; squeezes are not counted.
    pub fn cuts(&self) -> u64 {
        self.cuts
    }

    /// The smoothed delay, once one was measured.
    pub fn delay(&self) -> Option<Duration> {
        self.signals.delay()
    }

    /// Takes into account that a call was begun to be answered, or its end.
    pub fn sample(&mut self, sample: Sample, now: Instant) {
        if sample.result == Outcome::Cancelled || self.options.algorithm == Algorithm::Fixed {
            return;
        }
        self.signals.note(&sample, now);
        if self.signals.show_overload(&sample, &self.options, now) {
            self.cut(now);
            return;
        }
        if sample.result != Outcome::Good {
            return;
        }
        let may_grow = !self.held && self.signals.are_calm(&self.options, now);
        match (self.options.algorithm, sample.delay) {
            (Algorithm::Aimd, _) => self.add(sample.in_flight, may_grow),
            (Algorithm::Gradient2, Some(delay)) => {
                let limit = self.gradient.sample(delay, sample.in_flight, self.limit, &self.options, now);
                if limit < self.limit || may_grow {
                    self.limit = self.options.clamp(limit);
                }
            }
            (Algorithm::Gradient2 | Algorithm::Fixed, _) => {}
        }
    }

    /// Halves the limit because this process, not the target, has too much to do (CPU or memory). Of
    /// several calls within five seconds the first counts.
    pub fn squeeze(&mut self, now: Instant) {
        let waits = self.squeezed_at.is_some_and(|last| now.saturating_duration_since(last) < SQUEEZE_EVERY);
        if waits || self.options.algorithm == Algorithm::Fixed {
            return;
        }
        self.squeezed_at = Some(now);
        self.limit = self.options.clamp(self.limit * SQUEEZE);
        // It may not double right back.
        self.slow_start_below = self.slow_start_below.min(self.limit);
        self.gradient.restart();
    }

    /// Keeps the limit from growing while `held`: memory is used that must be given back first. It
    /// shrinks as ever.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Takes other options. The limit stays what it was, within the new bounds; a fixed one is set.
    pub fn set_options(&mut self, options: Options) {
        let fixed = options.algorithm == Algorithm::Fixed;
        let limit = if fixed { f64::from(options.initial) } else { self.limit };
        self.limit = options.clamp(limit);
        self.options = options;
    }

    /// AIMD's growth: by one for each limit's worth of successes. Before there was trouble, and below half
    /// of where it began, by one for each success. A healthy target must not be the place where callers
    /// wait; and after an outage that cut the limit to its minimum, one more for each round of calls that
    /// take many seconds would need half an hour to be back.
    fn add(&mut self, in_flight: u32, may_grow: bool) {
        if !may_grow || f64::from(in_flight) < self.limit / 2.0 {
            return;
        }
        let step = if self.limit < self.slow_start_below { 1.0 } else { 1.0 / self.limit };
        self.limit = self.options.clamp(self.limit + step);
        self.grown = true;
    }

    /// Cuts the limit, at most once a round trip: what was under way at the last cut cannot know of it.
    fn cut(&mut self, now: Instant) {
        let pause = self.signals.round_trip();
        if self.cut_at.is_some_and(|last| now.saturating_duration_since(last) < pause) {
            return;
        }
        // Several cuts without growth between them are one spell of trouble, and what is remembered is
        // where it began. Trouble met while growing back begins a new one.
        if std::mem::replace(&mut self.grown, false) || self.slow_start_below.is_infinite() {
            self.slow_start_below = self.limit / 2.0;
        }
        self.cut_at = Some(now);
        self.cuts += 1;
        self.limit = self.options.clamp(self.limit * BACKOFF);
        self.gradient.restart();
    }
}
