//! Where a worker puts down what it tells the observer: bounded, and emptied by being swapped for an empty one, so
//! that the lock is held for a copy of a few hundred bytes, of a few thousand now and then, and is hardly ever
//! contended. What finds no room is dropped and counted: looking never delays a request.

use super::account::Account;
use super::door::Door;
use crate::auth::Principal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Accounts that wait for the observer.
const ACCOUNTS_MAX: usize = 4096;
/// Batches of gaps that do.
const GAPS_MAX: usize = 4096;
/// So many of either, and the observer is called before its time. Soon, so that trays stay in the processor's cache and
/// push nothing out of it; not sooner: on a core that it shares with the worker, each look holds up one request of a
/// caller who sends one after the other, and is to be no part of its p99.
const CALLED_AT: usize = 512;
/// Room that an emptied tray keeps.
pub const KEPT_MAX: usize = 1024;
/// Accounts that lie on top, before they are put with the others.
const TOP: usize = 16;
/// Gaps in a batch.
pub const BATCH: usize = 16;

/// Times between a stream's pieces of output, and whose they are.
#[derive(Debug)]
pub struct Gaps {
    /// The name under which the request is counted.
    pub route: Option<Arc<str>>,
    /// Whether that is an alias.
    pub is_alias: bool,
    /// Who called.
    pub who: Option<Arc<Principal>>,
    /// What the target is counted as.
    pub target: Option<Arc<super::trail::Label>>,
    /// The times, in microseconds.
    pub micros: Batch,
}

/// A few times between pieces of output, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    times: [u32; BATCH],
    count: u8,
}

impl Default for Batch {
    fn default() -> Self {
        Self { times: [0; BATCH], count: 0 }
    }
}

impl Batch {
    /// Adds one; whether the batch is full now. To a full one nothing is added.
    pub fn add(&mut self, gap: std::time::Duration) -> bool {
        if let Some(slot) = self.times.get_mut(usize::from(self.count)) {
            *slot = u32::try_from(gap.as_micros()).unwrap_or(u32::MAX);
            self.count += 1;
        }
        usize::from(self.count) == BATCH
    }

    /// What is in it.
    pub fn times(&self) -> &[u32] {
        &self.times[..usize::from(self.count)]
    }
}

/// What lies on a tray.
#[derive(Debug, Default)]
pub struct Load {
    /// Requests that are over.
    pub accounts: Vec<Account>,
    /// Gaps of streams that may go on.
    pub gaps: Vec<Gaps>,
}

impl Load {
    /// Gives back room that was needed once and is not any more.
    fn shrink(&mut self) {
        self.accounts.shrink_to(KEPT_MAX);
        self.gaps.shrink_to(KEPT_MAX);
    }
}

/// What lies on a tray, and on top of it the newest accounts, in memory that is written again and again and so is in the
/// processor's nearest cache. The others lie where nobody has written for hundreds of accounts: who leaves the lock
/// waits for that memory, and for that of one account hardly less than for that of sixteen.
#[derive(Debug, Default)]
struct Pile {
    top: Vec<Account>,
    load: Load,
}

impl Pile {
    fn accounts(&self) -> usize {
        self.load.accounts.len() + self.top.len()
    }

    fn put(&mut self, account: impl FnOnce() -> Account) {
        self.top.push(account());
        if self.top.len() == TOP {
            self.settle();
        }
    }

    /// Puts what lies on top with the others.
    fn settle(&mut self) {
        self.load.accounts.append(&mut self.top);
    }
}

/// One worker's tray.
#[derive(Debug)]
pub struct Tray {
    pile: Mutex<Pile>,
    /// Whether anybody wants to know.
    wanted: AtomicBool,
    dropped: AtomicU64,
    door: Arc<Door>,
}

impl Tray {
    /// An empty one, of whoever looks behind `door`.
    pub fn new(door: Arc<Door>) -> Self {
        Self { pile: Mutex::default(), wanted: AtomicBool::new(true), dropped: AtomicU64::new(0), door }
    }

    /// Whether anything is to be put here.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Says whether anything is to be put here.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Tells of a request that is over: `account` hands it over where somebody wants to know and there is room,
    /// under the lock: it neither waits nor takes another.
    pub fn put(&self, account: impl FnOnce() -> Account) {
        if self.is_wanted() {
            self.add(ACCOUNTS_MAX, Pile::accounts, |pile| pile.put(account));
        }
    }

    /// Tells of gaps.
    pub fn put_gaps(&self, gaps: Gaps) {
        if self.is_wanted() {
            self.add(GAPS_MAX, |pile| pile.load.gaps.len(), |pile| pile.load.gaps.push(gaps));
        }
    }

    /// Adds one to those that `count` counts, where there are fewer than `max`.
    fn add(&self, max: usize, count: impl Fn(&Pile) -> usize, put: impl FnOnce(&mut Pile)) {
        let mut pile = self.pile.lock().unwrap_or_else(PoisonError::into_inner);
        let before = count(&pile);
        if before < max {
            put(&mut pile);
        }
        drop(pile);
        if before >= max {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        } else if before + 1 == CALLED_AT {
            self.door.knock();
        }
    }

    /// Swaps what lies here for `empty`.
    pub fn swap(&self, empty: &mut Load) {
        empty.shrink();
        let mut pile = self.pile.lock().unwrap_or_else(PoisonError::into_inner);
        pile.settle();
        std::mem::swap(&mut pile.load, empty);
    }

    /// What found no room since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::account::Account;
    use super::super::stage;
    use super::{ACCOUNTS_MAX, BATCH, Batch, Door, Load, TOP, Tray};
    use std::sync::Arc;
    use std::time::Duration;

    fn account() -> Account {
        stage::account("r1")
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let tray = Tray::new(Arc::new(Door::default()));
        (0..ACCOUNTS_MAX + 3).for_each(|_| tray.put(account));
        let mut load = Load::default();
        tray.swap(&mut load);
        assert_eq!((load.accounts.len(), tray.dropped()), (ACCOUNTS_MAX, 3));
        tray.put(account);
        load.accounts.clear();
        tray.swap(&mut load);
        assert_eq!(load.accounts.len(), 1);
        assert!(load.accounts.capacity() < ACCOUNTS_MAX, "the room of a rush is given back");
    }

    #[test]
    fn accounts_are_taken_in_the_order_in_which_they_were_put() {
        let tray = Tray::new(Arc::new(Door::default()));
        let mut load = Load::default();
        for (from, to) in [(0, 3), (3, 3 + TOP), (3 + TOP, 100)] {
            (from..to).for_each(|number| tray.put(|| stage::account(&number.to_string())));
            tray.swap(&mut load);
            let ids: Vec<String> =
                load.accounts.drain(..).map(|account| account.id.as_str().to_owned()).collect();
            assert_eq!(ids, (from..to).map(|number| number.to_string()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_tray_that_nobody_wants_stays_empty() {
        let tray = Tray::new(Arc::new(Door::default()));
        tray.want(false);
        tray.put(account);
        let mut load = Load::default();
        tray.swap(&mut load);
        assert_eq!((load.accounts.len(), tray.dropped()), (0, 0));
    }

    #[test]
    fn a_batch_takes_so_many_and_says_when_it_is_full() {
        let mut batch = Batch::default();
        for number in 1..=BATCH {
            assert_eq!(batch.add(Duration::from_micros(number as u64)), number == BATCH);
        }
        assert!(batch.add(Duration::MAX));
        assert_eq!(batch.times().len(), BATCH);
        assert_eq!(batch.times()[BATCH - 1], BATCH as u32);
    }
}
