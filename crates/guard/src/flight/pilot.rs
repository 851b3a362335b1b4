//! The one who computes.

use super::Flights;
use super::cabin::{Cabin, End, Luggage};
use super::fate::Abandoned;
use super::weigh::Weigh;
use std::future::poll_fn;
use std::hash::Hash;
use std::sync::Arc;

/// Brings the items of one flight, and its end. To be flown by one task, which is not the caller's:
/// of two tasks that await [`push`](Pilot::push) or [`abandoned`](Pilot::abandoned) at once, only the
/// later one would be woken.
///
/// Dropped without [`finish`](Pilot::finish), by a cancelled task or a panic, the flight is lost:
/// every seat hears so at once and may board again, and one of them becomes the next pilot.
pub struct Pilot<K: Eq + Hash, T, E> {
    flights: Flights<K, T, E>,
    key: K,
    cabin: Arc<Cabin<T, E>>,
    finished: bool,
}

impl<K: Eq + Hash, T, E> Pilot<K, T, E> {
    pub(super) fn new(flights: Flights<K, T, E>, key: K, cabin: Arc<Cabin<T, E>>) -> Self {
        Self { flights, key, cabin, finished: false }
    }

    /// What this pilot computes.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Resolves when no seat is left. It stays so: the work can be stopped.
    pub async fn abandoned(&self) {
        poll_fn(|cx| self.cabin.poll_abandoned(cx)).await;
    }

    /// Ends the flight, well or with an error that every seat gets after the items before it. The key
    /// is free first, so that nobody who comes after the end finds the old flight.
    pub fn finish(mut self, result: Result<(), E>) {
        self.finished = true;
        self.end(match result {
            Ok(()) => End::Landed,
            Err(error) => End::Failed(error),
        });
    }

    fn end(&self, end: End<E>) {
        self.flights.free(&self.key, &self.cabin);
        self.cabin.end(end);
    }
}

impl<K: Eq + Hash, T: Weigh, E> Pilot<K, T, E> {
    /// Hands an item to every seat. At once, as a rule; where the flight keeps as much as it may, the
    /// seats furthest behind are expelled if another has read everything, and waited for if none has.
    /// Dropped before it resolves, the item was handed to nobody.
    ///
    /// # Errors
    ///
    /// [`Abandoned`] where no seat is left.
    pub async fn push(&self, item: T) -> Result<(), Abandoned> {
        let bytes = item.weigh().max(1);
        let mut luggage = Luggage::new(item, bytes);
        poll_fn(|cx| self.cabin.poll_push(cx, &mut luggage)).await
    }
}

impl<K: Eq + Hash, T, E> Drop for Pilot<K, T, E> {
    fn drop(&mut self) {
        if !self.finished {
            self.end(End::Lost);
        }
    }
}
