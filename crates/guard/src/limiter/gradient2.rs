//! Gradient2 (Netflix concurrency-limits, `Gradient2Limit`): the limit follows the ratio of the usual
//! delay, a long average, to the present one, and a small allowance lets it grow.
//!
//! ```text
//! gradient = clamp(1.5 × usual / present, 0.5, 1)
//! limit   ← 0.8 × limit + 0.2 × (limit × gradient + allowance)
//! ```
//!
//! Three faults of the original are known, and mended here:
//!
//! - *It climbs under stable time-outs* (issue 137), because a delay that is always the same has a ratio
//!   of one. Time-outs are no delays here: they cut the limit as they do with AIMD, once a round trip.
//! - *It ignores drops* (issue 176), whose delay is next to nothing and looks like a very fast target.
//!   They too cut, are no delays, and a window in which one occurred is thrown away.
//! - *It drifts under mild overload that lasts* (pull request 134), for two reasons. The allowance is
//!   added even while the gradient is below one, which at a low limit outweighs it: here it is not.
//!   And the usual delay learns the overloaded one until it finds nothing wrong with it: here it learns
//!   a longer delay only where that cannot be our own queueing: while the limit is not in use, or is at
//!   its minimum. A target that has really become slower is found out at the minimum, within minutes.
//!
//! Besides, the thresholds that all algorithms share bound it absolutely: no growth from `latency_good`
//! on, cuts from `latency_bad` on.

use super::Options;
use std::time::{Duration, Instant};

/// A present delay up to this multiple of the usual one is still well.
const TOLERANCE: f64 = 1.5;
/// The gradient is at least this, so that one window cannot ruin the limit.
const GRADIENT_MIN: f64 = 0.5;
/// Weight of a new limit in the smoothed one.
const SMOOTHING: f64 = 0.2;
/// How many calls may wait at the target: what the limit grows by.
const ALLOWANCE: f64 = 4.0;
/// Windows in the usual delay, and those at the beginning that are simply averaged.
const LONG_WINDOW: f64 = 600.0;
const WARM_UP: u32 = 10;
/// Weight of a longer delay in the usual one where the limit is at its minimum.
const LEARN_AT_MIN: f64 = 0.1;
/// A window has at least so many delays and lasts at least so long.
const CALLS_MIN: u32 = 10;
const WINDOW_MIN: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub(super) struct Gradient2 {
    /// Seconds.
    usual: f64,
    /// Windows learnt, up to [`WARM_UP`].
    windows: u32,
    window: Option<Window>,
}

/// What is measured until the limit is next judged.
#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    calls: u32,
    /// Seconds.
    sum: f64,
    in_flight_max: u32,
}

impl Gradient2 {
    /// Takes a delay and gives the limit that follows: the same one, as a rule, and another at the end
    /// of a window.
    pub fn sample(
        &mut self,
        delay: Duration,
        in_flight: u32,
        limit: f64,
        options: &Options,
        now: Instant,
    ) -> f64 {
        let new = Window { since: now, calls: 0, sum: 0.0, in_flight_max: 0 };
        let window = self.window.get_or_insert(new);
        window.calls += 1;
        window.sum += delay.as_secs_f64();
        window.in_flight_max = window.in_flight_max.max(in_flight);
        if window.calls < CALLS_MIN || now.saturating_duration_since(window.since) < WINDOW_MIN {
            return limit;
        }
        let present = window.sum / f64::from(window.calls);
        let in_use = f64::from(window.in_flight_max) >= limit / 2.0;
        self.window = None;
        self.learn(present, in_use, limit <= f64::from(options.min));
        if in_use { self.follow(present, limit) } else { limit }
    }

    /// Throws the present window away.
    pub fn restart(&mut self) {
        self.window = None;
    }

    fn follow(&self, present: f64, limit: f64) -> f64 {
        let gradient = (TOLERANCE * self.usual / present.max(f64::MIN_POSITIVE)).clamp(GRADIENT_MIN, 1.0);
        let allowance = if gradient < 1.0 { 0.0 } else { ALLOWANCE };
        limit * (1.0 - SMOOTHING) + (limit * gradient + allowance) * SMOOTHING
    }

    fn learn(&mut self, present: f64, in_use: bool, at_min: bool) {
        if self.windows < WARM_UP {
            self.windows += 1;
            self.usual += (present - self.usual) / f64::from(self.windows);
            return;
        }
        let weight = match (present > self.usual, at_min) {
            (true, true) => LEARN_AT_MIN,
            (true, false) if in_use => 0.0,
            _ => 2.0 / (LONG_WINDOW + 1.0),
        };
        self.usual += (present - self.usual) * weight;
        if self.usual > 2.0 * present {
            // Long overload is over: the average alone would need minutes to notice.
            self.usual *= 0.9;
        }
    }
}
