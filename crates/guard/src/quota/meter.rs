//! The arithmetic of a bucket: exact, in integers, and out of reach of overflow. It has no lock.
//!
//! A unit of the amount is `per` drops, `per` in nanoseconds; then `amount` drops flow in every
//! nanosecond, and a full bucket is `amount × per` of them. So every moment's level is a whole number, and
//! so is the first nanosecond at which there is enough.

use super::{Level, Rate};
use std::time::{Duration, Instant};

/// The longest time told apart, in nanoseconds: 146 years. A level is then below 2¹²⁶.
const NANOS_MAX: u128 = 1 << 62;

/// A bucket as its owner sees it. Below zero it is in debt.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    amount: i128,
    per: i128,
    drops: i128,
    /// The latest moment seen.
    at: Instant,
}

impl Meter {
    /// A full one.
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        let (amount, per) = (i128::from(rate.amount), nanos(rate.per).max(1));
        Self { amount, per, drops: amount * per, at: now }
    }

    /// How long until `amount` can be taken; zero where it can be now.
    pub(super) fn wait(&mut self, amount: u64, now: Instant) -> Duration {
        self.advance(now);
        if self.amount == 0 && amount > 0 {
            return Duration::MAX;
        }
        let needed = self.to_drops(amount).min(self.full());
        let missing = needed.saturating_sub(self.drops);
        if missing <= 0 {
            return Duration::ZERO;
        }
        // What flows in before the latest moment seen has flowed in already.
        self.time_for(missing).saturating_add(self.at.saturating_duration_since(now))
    }

    /// Takes `amount`, be it there or not.
    pub(super) fn take(&mut self, amount: u64) {
        self.drops = self.drops.saturating_sub(self.to_drops(amount));
    }

    /// Takes `amount`, or the whole units that are there; tells how many.
    pub(super) fn spill(&mut self, amount: u64, now: Instant) -> u64 {
        self.advance(now);
        let spilt = amount.min(self.units());
        self.take(spilt);
        spilt
    }

    /// Exchanges what was reserved for what was used.
    pub(super) fn correct(&mut self, reserved: u64, used: u64, now: Instant) {
        self.advance(now);
        let more = self.to_drops(reserved) - self.to_drops(used);
        self.drops = self.drops.saturating_add(more).min(self.full());
    }

    pub(super) fn level(&mut self, now: Instant) -> Level {
        self.advance(now);
        let missing = self.full().saturating_sub(self.drops);
        Level {
            limit: u64::try_from(self.amount).unwrap_or(u64::MAX),
            remaining: self.units(),
            reset: if missing <= 0 { Duration::ZERO } else { self.time_for(missing) },
        }
    }

    /// Another rate from now on. What was half full is half full, what was in debt for ten seconds is in
    /// debt for ten seconds of each minute that the rate is told in.
    pub(super) fn set_rate(&mut self, rate: Rate, now: Instant) {
        self.advance(now);
        let mut new = Self::new(rate, self.at);
        if self.amount > 0 {
            // The level as time's worth of inflow, which is what the two rates have in common.
            let filled = self.drops.div_euclid(self.amount).saturating_mul(new.per) / self.per;
            new.drops = filled.saturating_mul(new.amount).min(new.full());
        }
        *self = new;
    }

    fn advance(&mut self, now: Instant) {
        let gone = nanos(now.saturating_duration_since(self.at));
        if gone > 0 {
            self.drops = self.drops.saturating_add(gone * self.amount).min(self.full());
            self.at = now;
        }
    }

    /// Whole units that are there.
    fn units(&self) -> u64 {
        u64::try_from(self.drops.max(0) / self.per).unwrap_or(u64::MAX)
    }

    fn full(&self) -> i128 {
        self.amount * self.per
    }

    fn to_drops(&self, amount: u64) -> i128 {
        i128::from(amount) * self.per
    }

    /// The first whole nanosecond at which so many drops have flowed in.
    fn time_for(&self, drops: i128) -> Duration {
        if self.amount == 0 {
            return Duration::MAX;
        }
        let nanos = drops / self.amount + i128::from(drops % self.amount > 0);
        u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
    }
}

fn nanos(time: Duration) -> i128 {
    time.as_nanos().min(NANOS_MAX) as i128
}
