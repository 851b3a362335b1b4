//! A job in the making: what most jobs have, and what one of them has otherwise.

use serde::Serialize;
use std::time::Duration;
use store::Time;
use store::jobs::{Band, Idempotency, NewJob};

/// A job in the making.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Draft(NewJob);

impl Draft {
    /// A job of this kind and tenant: in the queue `default`, in the band normal, at once, with five attempts,
    /// kept when it is done.
    pub fn new(kind: impl Into<String>, tenant: impl Into<String>) -> Self {
        Self(NewJob {
            queue: "default".to_owned(),
            tenant: tenant.into(),
            kind: kind.into(),
            band: Band::Normal,
            run_at: Time(0),
            deadline: None,
            attempts_max: 5,
            idempotency: None,
            unique: None,
            payload: Vec::new(),
            replay_of: None,
            keep: true,
        })
    }

    /// What its kind is told.
    pub fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.0.payload = payload.into();
        self
    }

    /// The same, as JSON.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub fn json(self, payload: &impl Serialize) -> serde_json::Result<Self> {
        Ok(self.payload(serde_json::to_vec(payload)?))
    }

    /// Where it waits.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.0.queue = queue.into();
        self
    }

    /// How urgent it is.
    pub fn band(mut self, band: Band) -> Self {
        self.0.band = band;
        self
    }

    /// Not before.
    pub fn run_at(mut self, run_at: Time) -> Self {
        self.0.run_at = run_at;
        self
    }

    /// Given up after.
    pub fn deadline(mut self, deadline: Time) -> Self {
        self.0.deadline = Some(deadline);
        self
    }

    /// Not before so much after `now`.
    pub fn delay(self, delay: Duration, now: Time) -> Self {
        self.run_at(now.after(delay))
    }

    /// Attempts that it may cost; at least one.
    pub fn attempts(mut self, max: u32) -> Self {
        self.0.attempts_max = max.max(1);
        self
    }

    /// What makes a second adding of the same harmless; `hash` is of all that was asked.
    pub fn idempotency(mut self, key: impl Into<String>, hash: [u8; 32]) -> Self {
        self.0.idempotency = Some(Idempotency { key: key.into(), hash });
        self
    }

    /// No other of its tenant and kind with this word is added while it is not over.
    pub fn unique(mut self, word: impl Into<String>) -> Self {
        self.0.unique = Some(word.into());
        self
    }

    /// Its row goes with a good end.
    pub fn forget_when_done(mut self) -> Self {
        self.0.keep = false;
        self
    }
}

impl From<Draft> for NewJob {
    fn from(draft: Draft) -> Self {
        draft.0
    }
}
