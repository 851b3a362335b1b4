//! The trial calls of a half-open breaker: so many at once, each with a permit that expires. A permit
//! that is never given back can therefore not wedge the breaker (resilience4j #903).

use super::{Open, Strategy};
use crate::clock::later;
use std::time::Instant;

/// The permits that are out.
#[derive(Default)]
pub(super) struct Trials {
    permits: Vec<Permit>,
    next: u64,
}

struct Permit {
    number: u64,
    expires: Instant,
}

impl Trials {
    /// Takes a permit and gives its number.
    pub fn take(&mut self, strategy: &Strategy, now: Instant) -> Result<u64, Open> {
        self.permits.retain(|permit| now < permit.expires);
        self.peek(strategy, now)?;
        let number = self.next;
        self.next += 1;
        self.permits.push(Permit { number, expires: later(now, strategy.half_open_for) });
        Ok(number)
    }

    /// Whether there is a permit to be had.
    pub fn peek(&self, strategy: &Strategy, now: Instant) -> Result<(), Open> {
        let out = self.permits.iter().map(|permit| permit.expires).filter(|expires| now < *expires);
        if out.clone().count() < strategy.half_open.max(1) as usize {
            return Ok(());
        }
        Err(Open { until: out.min().unwrap_or(now) })
    }

    /// Gives a permit back. One that has expired is no longer known.
    pub fn give_back(&mut self, number: u64) {
        self.permits.retain(|permit| permit.number != number);
    }
}
