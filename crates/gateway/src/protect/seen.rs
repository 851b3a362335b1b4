//! When somebody last answered well, and when and how they last failed.

use crate::ending::Fault;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A success sooner than this after the last one is not taken down: the memory is written by many threads, and
/// nobody looks so closely.
const TICK_MS: u64 = 100;
/// A failure's kind stands in the lowest bits, its time above.
const KIND_BITS: u32 = 8;

/// The last of each. Times are milliseconds since it was made, and one more; 0 is never.
#[derive(Debug)]
pub struct Seen {
    born: Instant,
    good: AtomicU64,
    bad: AtomicU64,
}

impl Seen {
    /// Nothing yet.
    pub fn new(now: Instant) -> Self {
        Self { born: now, good: AtomicU64::new(0), bad: AtomicU64::new(0) }
    }

    /// They failed of `fault`, or answered.
    pub fn note(&self, fault: Option<Fault>, now: Instant) {
        let at = 1 + now.saturating_duration_since(self.born).as_millis() as u64;
        match fault {
            Some(kind) => {
                self.bad.fetch_max(at << KIND_BITS | kind as u64, Relaxed);
            }
            None => self.answered(at),
        }
    }

    fn answered(&self, at: u64) {
        let (good, bad) = (self.good.load(Relaxed), self.bad.load(Relaxed) >> KIND_BITS);
        // The first after a failure always counts.
        if good <= bad || at >= good + TICK_MS {
            self.good.store(at, Relaxed);
        }
    }

    /// When they last answered, to a tenth of a second.
    pub fn good(&self) -> Option<Instant> {
        self.instant(self.good.load(Relaxed))
    }

    /// When they last failed, and of what.
    pub fn bad(&self) -> Option<(Instant, Fault)> {
        let bad = self.bad.load(Relaxed);
        let kind = Fault::ALL.get(bad as usize & ((1 << KIND_BITS) - 1))?;
        Some((self.instant(bad >> KIND_BITS)?, *kind))
    }

    /// When they were last heard of, well or not.
    pub fn heard(&self) -> Option<Instant> {
        self.good().max(self.bad().map(|(at, _)| at))
    }

    /// What they failed of, if they have not answered since.
    pub fn fails(&self) -> Option<(Instant, Fault)> {
        self.bad().filter(|(at, _)| self.good().is_none_or(|good| good < *at))
    }

    fn instant(&self, at: u64) -> Option<Instant> {
        self.born.checked_add(Duration::from_millis(at.checked_sub(1)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Seen;
    use crate::ending::Fault;
    use std::time::{Duration, Instant};

    #[test]
    fn the_last_of_each_is_known() {
        let born = Instant::now();
        let at = |ms| born + Duration::from_millis(ms);
        let seen = Seen::new(born);
        assert_eq!((seen.good(), seen.bad(), seen.heard(), seen.fails()), (None, None, None, None));
        seen.note(None, born);
        assert_eq!((seen.good(), seen.heard()), (Some(born), Some(born)), "also at once");
        for kind in Fault::ALL {
            seen.note(Some(kind), at(500 + kind as u64));
            assert_eq!(seen.fails(), Some((at(500 + kind as u64), kind)));
        }
        seen.note(Some(Fault::Dns), at(20));
        assert_eq!(seen.bad(), Some((at(510), Fault::Nonsense)), "what is told late is no news");
        seen.note(None, at(2000));
        seen.note(None, at(2050));
        assert_eq!((seen.good(), seen.heard()), (Some(at(2000)), Some(at(2000))), "to a tenth of a second");
        assert_eq!(seen.fails(), None);
        seen.note(Some(Fault::Cut), at(2060));
        seen.note(None, at(2061));
        assert_eq!((seen.good(), seen.fails()), (Some(at(2061)), None), "at once after a failure");
    }
}
