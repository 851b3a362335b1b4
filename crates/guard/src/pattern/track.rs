//! What happened lately to one model or one credential.

use super::{Kind, LATELY, NOW};
use crate::ring::Ring;
use std::time::Instant;

/// Failures by kind.
pub(super) type Counts = [u32; Kind::ALL.len()];

/// Its failures in a row, and its failures of the last minute.
pub(super) struct Track {
    counts: Ring<Counts, 6>,
    streak: Option<Streak>,
}

/// Failures without a success between them.
#[derive(Clone, Copy)]
pub(super) struct Streak {
    pub since: Instant,
    pub last: Instant,
    pub count: u32,
    /// What the last one was.
    pub kind: Kind,
}

impl Streak {
    /// None so far.
    pub fn new(kind: Kind, now: Instant) -> Self {
        Self { since: now, last: now, count: 0, kind }
    }

    pub fn add(&mut self, kind: Kind, now: Instant) {
        self.last = self.last.max(now);
        self.count = self.count.saturating_add(1);
        self.kind = kind;
    }

    /// Whether the last failure says something about now.
    pub fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < NOW
    }
}

impl Default for Track {
    fn default() -> Self {
        Self { counts: Ring::new(LATELY), streak: None }
    }
}

impl Track {
    /// Counts a failure, which is one more in a row if `breaks`.
    pub fn note(&mut self, kind: Kind, breaks: bool, now: Instant) {
        let count = &mut self.counts.newest(now)[kind as usize];
        *count = count.saturating_add(1);
        if breaks {
            self.streak.get_or_insert(Streak::new(kind, now)).add(kind, now);
        }
    }

    pub fn succeeded(&mut self) {
        self.streak = None;
    }

    /// Its failures in a row, if there are at least `count` and the last is no older than `NOW`.
    pub fn streak(&self, count: u32, now: Instant) -> Option<Streak> {
        self.streak.filter(|streak| streak.count >= count && streak.is_recent(now))
    }

    /// How many failures of that kind there were in the last minute, and since when.
    pub fn lately(&mut self, kind: Kind, now: Instant) -> Option<(u32, Instant)> {
        let buckets = self.counts.buckets(now).map(|(began, counts)| (counts[kind as usize], began));
        buckets.filter(|(count, _)| *count > 0).reduce(|sum, older| (sum.0.saturating_add(older.0), older.1))
    }
}
