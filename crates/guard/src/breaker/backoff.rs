//! How long a breaker stays open: twice as long with each trip in a row, half of it random, so that
//! many breakers do not try a target at the same instant (Brooker, "Exponential Backoff and Jitter",
//! 2015: equal jitter).

use super::Strategy;
use crate::clock::later;
use std::time::{Duration, Instant};

/// The open times of one breaker.
pub(super) struct Backoff {
    dice: fastrand::Rng,
    /// Trips in a row.
    trips: u32,
    /// The open time before its jitter, as of the last trip.
    last: Duration,
    /// When the trips are forgotten; `None` unless the breaker is closed after a trip.
    calm: Option<Instant>,
}

impl Backoff {
    pub fn new(seed: u64) -> Self {
        Self { dice: fastrand::Rng::with_seed(seed), trips: 0, last: Duration::ZERO, calm: None }
    }

    /// The open time of a trip at `now`.
    pub fn trip(&mut self, strategy: &Strategy, now: Instant) -> Duration {
        if self.is_calm(now) {
            self.trips = 0;
        }
        self.calm = None;
        let doubled = strategy.open.saturating_mul(1_u32.checked_shl(self.trips).unwrap_or(u32::MAX));
        self.trips = self.trips.saturating_add(1);
        self.last = doubled.min(strategy.open_max);
        let half = self.last / 2;
        half + half.mul_f64(self.dice.f64())
    }

    /// The breaker has closed. Its trips are forgotten once it has stayed closed for a window, or for
    /// as long as it was to be open, whichever is longer: a target that flaps is not one that recovers.
    pub fn close(&mut self, strategy: &Strategy, now: Instant) {
        self.calm = Some(later(now, self.last.max(strategy.window)));
    }

    /// Forgets all trips.
    pub fn reset(&mut self) {
        (self.trips, self.calm) = (0, None);
    }

    /// Whether the next trip would be a first one.
    pub fn is_calm(&self, now: Instant) -> bool {
        self.trips == 0 || self.calm.is_some_and(|calm| calm <= now)
    }
}
