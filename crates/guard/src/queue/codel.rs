//! CoDel for requests: tells a queue that smooths bursts from one that stands, and how long one may have
//! waited while it stands.
//!
//! A queue stands once its oldest entry was above the target for a whole interval (Nichols and Jacobson,
//! RFC 8289), and until it was not for as long. Whoever has waited for more than twice the target is dropped
//! then (Folly, `folly/executors/Codel.h`). Nichols' own law, one drop at a time and ever faster, waits for senders that
//! slow down; callers do not, and at three times the capacity it takes seconds to catch up.

use super::Options;
use std::time::{Duration, Instant};

/// What the target is of the time that a place is kept, at least. Twice the target, half a call, is then
/// the longest wait of a queue that stands.
const TARGET_OF_HOLD: u32 = 4;

/// What is a long wait, and what is long. Both are never sharper than calls allow: where each takes ten
/// seconds, half a second of waiting is no sign of anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    target: Duration,
    interval: Duration,
}

impl Bounds {
    pub fn new(options: &Options, hold: Duration) -> Self {
        Self {
            target: options.codel_target.max(hold / TARGET_OF_HOLD),
            interval: options.codel_interval.max(hold),
        }
    }

    /// Whether somebody who has waited so long in a queue that stands is dropped.
    pub fn drop(&self, wait: Duration) -> bool {
        wait > self.target.saturating_mul(2)
    }

    /// Whether a newcomer who would wait so long is turned away from a queue that stands. Sooner than it
    /// would be dropped, for others come meanwhile who go before it: a refusal at the door costs nobody a
    /// wait.
    pub fn turn_away(&self, wait: Duration) -> bool {
        wait > self.target
    }

    /// Whether a newcomer who would wait so long makes a queue stand that does not yet: before its turn comes,
    /// the oldest will have been above the target for a whole interval.
    pub fn is_too_late(&self, wait: Duration) -> bool {
        wait > self.interval.saturating_add(self.target)
    }
}

/// One band's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Codel {
    /// Since when the oldest entry has been above the target.
    above_since: Option<Instant>,
    /// When it was last above it while the queue stood.
    stood: Option<Instant>,
}

impl Codel {
    /// Notes how long the oldest entry has waited.
    pub fn note(&mut self, wait: Duration, bounds: &Bounds, now: Instant) {
        let is_recent = |then: Instant| now.saturating_duration_since(then) < bounds.interval;
        self.stood = self.stood.filter(|&stood| is_recent(stood));
        if wait <= bounds.target {
            self.above_since = None;
        } else if !is_recent(*self.above_since.get_or_insert(now)) || self.stands() {
            self.stood = Some(now);
        }
    }

    /// Somebody was turned away because it stands: it would, had they come in.
    pub fn turned_away(&mut self, now: Instant) {
        self.stood = Some(now);
    }

    /// Whether it stands, or did within the last interval.
    pub fn stands(&self) -> bool {
        self.stood.is_some()
    }
}
