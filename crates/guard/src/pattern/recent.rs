//! Which targets have succeeded within the current tick: a table of marks that costs a load where the
//! answer is yes. It may forget (two targets can fall on one place) but never makes one up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const PLACES: usize = 256;

pub(super) struct Recent {
    /// The hash of the target that was here last, plus the tick it was here in. A place is only a hint:
    /// nothing else is read on its strength.
    marks: Box<[AtomicU64]>,
    base: Instant,
    tick: Duration,
}

impl Recent {
    pub fn new(base: Instant, tick: Duration) -> Self {
        Self { marks: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), base, tick }
    }

    /// Takes the target down for this tick; whether it was not yet.
    pub fn renew(&self, target: u64, now: Instant) -> bool {
        let ticks = now.saturating_duration_since(self.base).as_millis() / self.tick.as_millis();
        let mark = target.wrapping_add(ticks as u64);
        let place = self.place(target);
        // Looked at first: a store would take the line from every other core.
        if place.load(Relaxed) == mark {
            return false;
        }
        place.store(mark, Relaxed);
        true
    }

    /// The target's next success is news.
    pub fn forget(&self, target: u64) {
        self.place(target).store(0, Relaxed);
    }

    fn place(&self, target: u64) -> &AtomicU64 {
        &self.marks[(target >> 32) as usize % PLACES]
    }
}
