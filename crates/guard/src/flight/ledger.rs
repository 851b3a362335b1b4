//! The sums over all flights, and the bounds on them. Counters only: no lock is needed to read them.

use super::Options;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What all flights hold together. Nothing is read on the strength of these counters, so the weakest
/// ordering will do.
pub(super) struct Ledger {
    options: Options,
    flights: AtomicUsize,
    bytes: AtomicUsize,
}

impl Ledger {
    pub fn new(options: Options) -> Self {
        Self { options, flights: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    pub fn flights(&self) -> usize {
        self.flights.load(Relaxed)
    }

    /// Counts a flight in, or says that there are as many as there may be.
    pub fn begin_flight(&self) -> bool {
        let counted_in = |flights| (flights < self.options.flights_max).then_some(flights + 1);
        self.flights.fetch_update(Relaxed, Relaxed, counted_in).is_ok()
    }

    pub fn end_flight(&self) {
        self.flights.fetch_sub(1, Relaxed);
    }

    pub fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    pub fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub fn take_bytes(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }

    /// Whether a new flight may begin, as far as bytes go.
    pub fn has_bytes(&self) -> bool {
        self.bytes() < self.options.bytes_max
    }

    /// Whether a flight that keeps `kept` bytes may take `more` and still keep all it has.
    pub fn lets_keep(&self, kept: usize, more: usize) -> bool {
        kept.saturating_add(more) <= self.options.flight_bytes_max
            && self.bytes().saturating_add(more) <= self.options.bytes_max
    }

    /// Bytes that, unread in one flight, make somebody read or go before the next item. Never 0: where
    /// nothing is unread there is always room.
    pub fn unread_bytes_max(&self) -> usize {
        self.options.flight_bytes_max.max(1)
    }
}
