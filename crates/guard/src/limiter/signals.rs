//! What a limit is judged by: a smoothed delay, the share of calls that failed of late, and how long a
//! round trip is.

use super::{Options, Outcome, Sample};
use std::time::{Duration, Instant};

/// Weight of a new delay in the smoothed one: it follows a change within about ten calls, and one
/// outlier moves it little.
const DELAY_WEIGHT: f64 = 0.1;
/// Failed calls are counted over one to two of these.
const SPAN: Duration = Duration::from_secs(10);
/// With fewer calls than this, a share of failed ones says nothing.
const CALLS_MIN: u32 = 10;

/// Bounds of what is taken for a round trip, and what it is while no delay is known.
const ROUND_TRIP_MIN: Duration = Duration::from_millis(100);
const ROUND_TRIP_MAX: Duration = Duration::from_secs(5);
const ROUND_TRIP_UNKNOWN: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    /// In seconds.
    delay: Option<f64>,
    /// When the present span began.
    since: Option<Instant>,
    present: Calls,
    /// The span before, if it is just past.
    past: Calls,
}

#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    all: u32,
    failed: u32,
}

impl Signals {
    /// Counts a call; none that was cancelled.
    pub fn note(&mut self, sample: &Sample, now: Instant) {
        self.turn(now);
        self.present.all = self.present.all.saturating_add(1);
        if sample.result != Outcome::Good {
            self.present.failed = self.present.failed.saturating_add(1);
            return;
        }
        if let Some(delay) = sample.delay {
            let new = delay.as_secs_f64();
            self.delay = Some(self.delay.map_or(new, |old| old + DELAY_WEIGHT * (new - old)));
        }
    }

    /// Whether this call, just noted, is evidence of overload. It must show the trouble itself: a good
    /// and quick one among many that are not is no reason to cut once more.
    pub fn show_overload(&self, sample: &Sample, options: &Options, now: Instant) -> bool {
        let bad = options.latency_bad;
        match sample.result {
            Outcome::Overload => true,
            Outcome::Failed => self.failed_share(now) > options.errors_bad,
            Outcome::Good => {
                sample.delay.is_some_and(|delay| delay > bad) && self.delay().is_some_and(|delay| delay > bad)
            }
            Outcome::Cancelled => false,
        }
    }

    /// Whether nothing speaks against a higher limit.
    pub fn are_calm(&self, options: &Options, now: Instant) -> bool {
        self.delay.is_none_or(|delay| delay < options.latency_good.as_secs_f64())
            && self.failed_share(now) < options.errors_good
    }

    /// The smoothed delay.
    pub fn delay(&self) -> Option<Duration> {
        self.delay.and_then(|delay| Duration::try_from_secs_f64(delay).ok())
    }

    /// How long a change of the limit takes to show.
    pub fn round_trip(&self) -> Duration {
        self.delay().unwrap_or(ROUND_TRIP_UNKNOWN).clamp(ROUND_TRIP_MIN, ROUND_TRIP_MAX)
    }

    /// The share of failed calls in this span and the last; 0 while there are too few to tell.
    fn failed_share(&self, now: Instant) -> f64 {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= 2 * SPAN) {
            return 0.0;
        }
        let all = self.present.all.saturating_add(self.past.all);
        let failed = self.present.failed.saturating_add(self.past.failed);
        if all < CALLS_MIN { 0.0 } else { f64::from(failed) / f64::from(all) }
    }

    /// Begins a new span where the present one is over.
    fn turn(&mut self, now: Instant) {
        let Some(since) = self.since else {
            self.since = Some(now);
            return;
        };
        let age = now.saturating_duration_since(since);
        if age >= SPAN {
            self.past = if age < 2 * SPAN { self.present } else { Calls::default() };
            self.present = Calls::default();
            self.since = Some(if age < 2 * SPAN { since + SPAN } else { now });
        }
    }
}
