//! A bucket that callers share: a meter behind a lock.

use super::meter::Meter;
use super::{Level, Rate, Reservation, Short, reserve};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One limit. A clone is another handle to the same bucket.
#[derive(Clone, Debug)]
pub struct Bucket(Arc<Mutex<Meter>>);

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Meter::new(rate, now))))
    }

    /// [`reserve`]s from this bucket alone.
    ///
    /// # Errors
    /// [`Short`] says how long to wait.
    pub fn reserve(&self, amount: u64, now: Instant) -> Result<Reservation, Short> {
        reserve(&[(self, amount)], now)
    }

    /// Takes `amount` without asking whether it is there, for what has happened already.
    pub fn charge(&self, amount: u64, now: Instant) {
        self.correct(0, amount, now);
    }

    /// Takes `amount`, or as much of it as is there, so that nobody goes into debt; tells how much it was.
    pub fn spill(&self, amount: u64, now: Instant) -> u64 {
        self.lock().spill(amount, now)
    }

    /// Gives `amount` back, as far as there is room for it.
    pub fn credit(&self, amount: u64, now: Instant) {
        self.correct(amount, 0, now);
    }

    /// How it stands. A bucket whose `reset` is zero is full, and may be forgotten: a new one is like it.
    #[must_use]
    pub fn level(&self, now: Instant) -> Level {
        self.lock().level(now)
    }

    /// Another rate from now on, as after a reload. What was half full stays half full.
    pub fn set_rate(&self, rate: Rate, now: Instant) {
        self.lock().set_rate(rate, now);
    }

    pub(super) fn correct(&self, reserved: u64, used: u64, now: Instant) {
        self.lock().correct(reserved, used, now);
    }

    /// A meter is whole at every moment, whoever panicked.
    pub(super) fn lock(&self) -> MutexGuard<'_, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}
