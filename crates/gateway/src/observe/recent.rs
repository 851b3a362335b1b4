//! The requests that are kept: the newest of all, and when those give way, for longer the slow and the failed. Each
//! kind is bounded in number and in bytes, and the oldest gives way.

use super::entry::Entry;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::time::Duration;

/// So many are taken in before the oldest give way to them, and no more room is taken than that.
const AT_ONCE: usize = 16;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests of any kind.
    pub newest: usize,
    /// Older ones that were slow.
    pub slow: usize,
    /// Older ones that failed, be they slow or not.
    pub failed: usize,
    /// Bytes of all of them together, about: half of them for the newest, a quarter each for the others.
    pub bytes: usize,
    /// What takes longer than this is slow.
    pub slow_after: Duration,
}

/// The requests that are kept, each in one place.
#[derive(Debug)]
pub struct Recent {
    bounds: Bounds,
    newest: Ring,
    slow: Ring,
    failed: Ring,
}

/// Some of them, the oldest first.
#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Ring {
    fn push(&mut self, entry: Entry) {
        self.bytes += entry.weight();
        self.entries.push_back(entry);
    }

    /// How many of the oldest are more than may be.
    fn surplus(&self, count_max: usize, bytes_max: usize) -> usize {
        let (mut count, mut bytes) = (self.entries.len(), self.bytes);
        let is_over = |entry: &&Entry| {
            let is_over = count > count_max || bytes > bytes_max;
            (count, bytes) = (count - 1, bytes - entry.weight());
            is_over
        };
        self.entries.iter().take_while(is_over).count()
    }

    /// Gives up so many of the oldest.
    fn forget(&mut self, count: usize) {
        self.bytes -= self.entries.iter().take(count).map(Entry::weight).sum::<usize>();
        self.entries.drain(..count);
    }

    /// Gives up the oldest.
    fn pop(&mut self) -> Option<Entry> {
        let oldest = self.entries.pop_front()?;
        self.bytes -= oldest.weight();
        Some(oldest)
    }
}

impl Recent {
    /// None is kept yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, newest: Ring::default(), slow: Ring::default(), failed: Ring::default() }
    }

    /// Keeps so much from now on.
    pub fn rebound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.bound();
    }

    /// How much is kept.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Keeps some; they are newer than all that are kept, and come in their order. Of those that were slow `tell` is
    /// told.
    pub fn extend(&mut self, mut entries: impl Iterator<Item = Entry>, mut tell: impl FnMut(&Entry)) {
        loop {
            let known = self.newest.entries.len();
            self.newest.entries.extend(entries.by_ref().take(AT_ONCE));
            if self.newest.entries.len() == known {
                break;
            }
            for entry in self.newest.entries.range(known..) {
                self.newest.bytes += entry.weight();
                if entry.account.is_slow(self.bounds.slow_after) {
                    tell(entry);
                }
            }
            self.bound();
        }
    }

    /// Keeps one.
    #[cfg(test)]
    pub fn push(&mut self, entry: Entry) {
        self.extend(std::iter::once(entry), |_| {});
    }

    fn bound(&mut self) {
        let Bounds { newest, slow, failed, bytes, slow_after } = self.bounds;
        let mut surplus = self.newest.surplus(newest, bytes / 2);
        loop {
            let oldest = self.newest.entries.iter().take(surplus);
            let unremarkable = oldest
                .take_while(|entry| !entry.account.is_failed() && !entry.account.is_slow(slow_after))
                .count();
            self.newest.forget(unremarkable);
            surplus -= unremarkable;
            if surplus == 0 {
                break;
            }
            let Some(oldest) = self.newest.pop() else { break };
            surplus -= 1;
            if oldest.account.is_failed() { self.failed.push(oldest) } else { self.slow.push(oldest) }
        }
        self.slow.forget(self.slow.surplus(slow, bytes / 4));
        self.failed.forget(self.failed.surplus(failed, bytes / 4));
    }

    /// All of them, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        let older = [&self.slow, &self.failed].map(|ring| ring.entries.iter().rev().peekable());
        self.newest.entries.iter().rev().chain(Merged(older))
    }

    /// How many of each kind are kept: of the newest, and of those besides that were slow or failed.
    pub fn counts(&self) -> [usize; 3] {
        [&self.newest, &self.slow, &self.failed].map(|ring| ring.entries.len())
    }

    /// Bytes that they take, about.
    pub fn bytes(&self) -> usize {
        self.newest.bytes + self.slow.bytes + self.failed.bytes
    }
}

/// Two runs, each newest first, as one.
struct Merged<I: Iterator>([Peekable<I>; 2]);

impl<'a, I: Iterator<Item = &'a Entry>> Iterator for Merged<I> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<Self::Item> {
        let [one, other] = &mut self.0;
        let number = |run: &mut Peekable<I>| run.peek().map(|entry| entry.number);
        if number(one) > number(other) { one.next() } else { other.next() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::account::Account;
    use super::super::stage;
    use super::{Bounds, Recent};
    use measure::metrics::Outcome;
    use std::time::Duration;

    const BOUNDS: Bounds =
        Bounds { newest: 3, slow: 2, failed: 2, bytes: 1 << 20, slow_after: Duration::from_secs(5) };

    fn numbers(recent: &Recent) -> Vec<u64> {
        recent.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn the_slow_and_the_failed_outlive_the_newest_and_each_shows_once() {
        let mut recent = Recent::new(BOUNDS);
        let slow = |account: &mut Account| account.total = stage::millis(6_000);
        let failed = |account: &mut Account| {
            account.total = stage::millis(7_000);
            account.outcome = Outcome::ProviderError;
        };
        recent.push(stage::entry(0, slow));
        recent.push(stage::entry(1, failed));
        recent.push(stage::entry(2, slow));
        assert_eq!((numbers(&recent), recent.counts()), (vec![2, 1, 0], [3, 0, 0]));
        (3..7).for_each(|number| recent.push(stage::entry(number, |_| {})));
        assert_eq!((numbers(&recent), recent.counts()), (vec![6, 5, 4, 2, 1, 0], [3, 2, 1]));
        (7..20).for_each(|number| recent.push(stage::entry(number, slow)));
        assert_eq!(numbers(&recent), [19, 18, 17, 16, 15, 1], "the oldest of a kind gives way to its own");
    }

    #[test]
    fn many_at_once_are_kept_as_if_each_had_come_alone() {
        let entry = |number: u64| {
            stage::entry(number, |account| match number % 7 {
                2 | 3 => account.total = stage::millis(6_000),
                5 => account.outcome = Outcome::GatewayError,
                _ => {}
            })
        };
        for bounds in
            [BOUNDS, Bounds { newest: 20, slow: 9, failed: 4, ..BOUNDS }, Bounds { bytes: 9_000, ..BOUNDS }]
        {
            let (mut alone, mut together) = (Recent::new(bounds), Recent::new(bounds));
            let mut slow = Vec::new();
            (0..100).for_each(|number| alone.push(entry(number)));
            for (from, to) in [(0, 1), (1, 60), (60, 100)] {
                let entries: Vec<_> = (from..to).map(entry).collect();
                together.extend(entries.into_iter(), |entry| slow.push(entry.number));
            }
            assert_eq!(numbers(&together), numbers(&alone), "{bounds:?}");
            assert_eq!((together.counts(), together.bytes()), (alone.counts(), alone.bytes()), "{bounds:?}");
            assert_eq!(slow, (0..100).filter(|number| matches!(number % 7, 2 | 3)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_callers_fault_drives_out_no_failure() {
        let mut recent = Recent::new(BOUNDS);
        recent.push(stage::entry(0, |account| account.outcome = Outcome::GatewayError));
        for number in 1..100 {
            recent.push(stage::entry(number, |account| account.outcome = Outcome::CallerError));
        }
        assert_eq!(numbers(&recent), [99, 98, 97, 0]);
    }

    #[test]
    fn bytes_are_bounded_whatever_ids_and_names_callers_choose() {
        let bounds = Bounds { newest: 100_000, bytes: 64 << 10, ..BOUNDS };
        let mut recent = Recent::new(bounds);
        for number in 0..10_000 {
            let id = "x".repeat((number % 129) as usize);
            recent.push(stage::named(number, &id, |account| account.asked_in_vain(&id)));
        }
        assert!(recent.bytes() <= bounds.bytes, "{}", recent.bytes());
        assert!(recent.counts()[0] > 50);
    }

    #[test]
    fn narrower_bounds_hold_at_once() {
        let mut recent = Recent::new(BOUNDS);
        (0..3).for_each(|number| recent.push(stage::entry(number, |_| {})));
        recent.rebound(Bounds { newest: 1, ..BOUNDS });
        assert_eq!(numbers(&recent), [2]);
        recent.rebound(Bounds { bytes: 0, ..BOUNDS });
        assert_eq!((numbers(&recent), recent.bytes()), (vec![], 0));
    }
}
