//! Writes on their way to disk, and the keys whose writes were lost.
//!
//! Whoever reads asks here first: what waits or is being written counts from the moment it was queued,
//! whatever the engine has of it yet. A key has one write at most, the latest. Memory is bounded by the
//! bytes of what waits; a put beyond it turns into a removal, as what lies on disk under its key is older.

use crate::entry::Entry;
use crate::key::Key;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// Most bytes that wait.
const BYTES_MAX: usize = 32 << 20;
/// Most keys that wait, and most whose writes were lost.
const KEYS_MAX: usize = 100_000;
/// What an entry takes on disk beyond its own weight, at most, and what it is rounded up to.
const PAGE: usize = 4096;

/// What is to be done under a key.
#[derive(Clone, Debug)]
pub(super) enum Write {
    /// Keep this.
    Put(Arc<Entry>),
    /// Forget what is there.
    Remove,
}

/// What became of a write that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits; it is done once this many are.
    Queued(Ticket),
    /// Too much waits: the key's entry will be removed instead.
    Full,
    /// Nothing is written for now; the key's entry will be removed as soon as something is.
    Closed,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    number: u64,
    failures: u64,
}

/// How far writing has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    done: u64,
    failures: u64,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Notify,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Key, Write>,
    order: VecDeque<Key>,
    bytes: usize,
    writing: HashMap<Key, Write>,
    /// How many were ever put in `order`.
    pushed: u64,
    open: bool,
    /// Keys of which the disk may hold something older than what was last asked for.
    lost: HashSet<Key>,
    /// As `lost`, of all keys.
    lost_all: bool,
}

impl Queue {
    /// An empty queue of which nothing is written yet.
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), filled: Notify::new(), progress: watch::Sender::default() }
    }

    /// Hands a write in.
    pub(super) fn push(&self, key: &Key, write: Write) -> Pushed {
        let mut state = self.lock();
        if !state.open {
            state.lose(*key);
            return Pushed::Closed;
        }
        let fits = state.insert(*key, write);
        let ticket = Ticket { number: state.pushed, failures: self.progress.borrow().failures };
        drop(state);
        self.filled.notify_one();
        if fits { Pushed::Queued(ticket) } else { Pushed::Full }
    }

    /// Forgets what is on disk under `key`, unless something newer is under way already.
    pub(super) fn remove_stored(&self, key: &Key) {
        let mut state = self.lock();
        if state.open && !state.waiting.contains_key(key) && !state.writing.contains_key(key) {
            state.insert(*key, Write::Remove);
            drop(state);
            self.filled.notify_one();
        }
    }

    /// The latest write under `key` that may not have reached the engine.
    pub(super) fn find(&self, key: &Key) -> Option<Write> {
        let state = self.lock();
        if state.lost_all || state.lost.contains(key) {
            return Some(Write::Remove);
        }
        state.waiting.get(key).or_else(|| state.writing.get(key)).cloned()
    }

    /// A place behind everything that waits.
    pub(super) fn last(&self) -> Ticket {
        Ticket { number: self.lock().pushed, failures: self.progress.borrow().failures }
    }

    /// Waits until the ticket's write is done; says whether it is, and not lost.
    pub(super) async fn wait(&self, ticket: Ticket) -> bool {
        let mut progress = self.progress.subscribe();
        let over = |seen: &Progress| seen.failures != ticket.failures || seen.done >= ticket.number;
        let seen = progress.wait_for(over).await.map(|seen| *seen);
        seen.is_ok_and(|seen| seen.failures == ticket.failures)
    }

    /// Waits until there is something to write.
    pub(super) async fn filled(&self) {
        while self.is_empty() {
            self.filled.notified().await;
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().order.is_empty()
    }

    /// Takes the next writes, of `budget` bytes on disk together or one that is larger. They count as being
    /// written until [`Queue::done`] or [`Queue::close`].
    pub(super) fn take(&self, budget: usize) -> Vec<(Key, Write)> {
        let mut state = self.lock();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(write) = state.order.front().and_then(|key| state.waiting.get(key)) {
            let size = size(write);
            if !batch.is_empty() && bytes + size > budget {
                break;
            }
            bytes += size;
            let Some(taken) = state.take_first() else { break };
            state.writing.insert(taken.0, taken.1.clone());
            batch.push(taken);
        }
        batch
    }

    /// What was taken last has been written.
    pub(super) fn done(&self) {
        let mut state = self.lock();
        let count = state.writing.len() as u64;
        state.writing.clear();
        drop(state);
        self.progress.send_modify(|progress| progress.done += count);
    }

    /// From now on nothing is written: whatever waits or was taken is lost.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        state.open = false;
        state.order.clear();
        state.bytes = 0;
        let keys: Vec<Key> = state.waiting.drain().chain(state.writing.drain()).map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| state.lose(key));
        let done = state.pushed;
        self.progress.send_modify(|progress| *progress = Progress { done, failures: progress.failures + 1 });
    }

    /// Whether the writes of so many keys were lost that nothing on disk can be told from what is older.
    pub(super) fn lost_all(&self) -> bool {
        self.lock().lost_all
    }

    /// What is on disk has been given up.
    pub(super) fn forget_lost(&self) {
        let mut state = self.lock();
        state.lost.clear();
        state.lost_all = false;
    }

    /// From now on writes are taken. Those that were lost meanwhile come first, as removals.
    pub(super) fn open(&self) {
        let mut state = self.lock();
        state.open = true;
        for key in std::mem::take(&mut state.lost) {
            state.insert(key, Write::Remove);
        }
        drop(state);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Says whether the write is there as it was given.
    fn insert(&mut self, key: Key, write: Write) -> bool {
        let before = self.waiting.get(&key).map(size);
        if before.is_none() && self.order.len() >= KEYS_MAX {
            // The disk is far behind. What is under the key stays wrong for too long to be kept.
            self.lose(key);
            return false;
        }
        let bytes = self.bytes - before.unwrap_or(0);
        let fits = bytes + size(&write) <= BYTES_MAX || matches!(write, Write::Remove);
        let write = if fits { write } else { Write::Remove };
        self.bytes = bytes + size(&write);
        self.waiting.insert(key, write);
        if before.is_none() {
            self.order.push_back(key);
            self.pushed += 1;
        }
        fits
    }

    fn take_first(&mut self) -> Option<(Key, Write)> {
        let key = self.order.pop_front()?;
        let write = self.waiting.remove(&key)?;
        self.bytes -= size(&write);
        Some((key, write))
    }

    fn lose(&mut self, key: Key) {
        if self.lost.len() >= KEYS_MAX {
            self.lost.clear();
            self.lost_all = true;
        }
        if !self.lost_all {
            self.lost.insert(key);
        }
    }
}

/// What a write takes on disk, at most; a removal next to nothing.
fn size(write: &Write) -> usize {
    match write {
        Write::Put(entry) => (entry.weight() + 2 * PAGE) / PAGE * PAGE,
        Write::Remove => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::tier::conformance::{entry, key};

    fn put(text: &str) -> Write {
        Write::Put(entry(text.to_owned()))
    }

    fn opened() -> Queue {
        let queue = Queue::new();
        queue.open();
        queue
    }

    fn text(write: Option<Write>) -> Option<String> {
        match write? {
            Write::Put(entry) => Some(String::from_utf8(entry.body.held().to_vec()).unwrap()),
            Write::Remove => Some("removed".to_owned()),
        }
    }

    #[test]
    fn the_latest_write_under_a_key_counts_until_it_is_done() {
        let queue = opened();
        queue.push(&key(1), put("a"));
        queue.push(&key(1), put("b"));
        assert_eq!(queue.take(1 << 20).len(), 1);
        assert_eq!(text(queue.find(&key(1))).unwrap(), "b");
        queue.push(&key(1), Write::Remove);
        assert_eq!(text(queue.find(&key(1))).unwrap(), "removed");
        queue.done();
        assert_eq!(text(queue.find(&key(1))).unwrap(), "removed");
        assert_eq!(queue.take(1 << 20).len(), 1);
        queue.done();
        assert!(queue.find(&key(1)).is_none());
    }

    #[test]
    fn a_put_beyond_the_bound_removes_what_is_older() {
        let queue = opened();
        let large = "x".repeat(BYTES_MAX / 2);
        assert!(matches!(queue.push(&key(1), put(&large)), Pushed::Queued(_)));
        assert_eq!(queue.push(&key(2), put(&large)), Pushed::Full);
        assert_eq!(text(queue.find(&key(2))).unwrap(), "removed");
        assert_eq!(queue.take(usize::MAX).len(), 2);
        queue.done();
        assert!(matches!(queue.push(&key(3), put(&large)), Pushed::Queued(_)));
    }

    #[test]
    fn a_batch_keeps_to_its_budget_and_takes_at_least_one() {
        let queue = opened();
        for number in 0..10 {
            queue.push(&key(number), put("x"));
        }
        assert_eq!(queue.take(1).len(), 1);
        queue.done();
        let each = size(&put("x"));
        assert_eq!(queue.take(3 * each).len(), 3);
        queue.done();
        assert_eq!(queue.take(usize::MAX).len(), 6);
    }

    #[tokio::test]
    async fn what_is_lost_is_removed_as_soon_as_writing_goes_on() {
        let queue = opened();
        queue.push(&key(1), put("taken"));
        queue.take(1);
        queue.push(&key(2), put("waiting"));
        let ticket = queue.last();
        queue.close();
        assert!(!queue.wait(ticket).await);
        assert_eq!(queue.push(&key(3), put("while closed")), Pushed::Closed);
        for number in 1..=3 {
            assert_eq!(text(queue.find(&key(number))).unwrap(), "removed");
        }
        queue.open();
        let batch = queue.take(usize::MAX);
        assert_eq!(batch.len(), 3);
        assert!(batch.iter().all(|(_, write)| matches!(write, Write::Remove)));
        let ticket = queue.last();
        queue.done();
        assert!(queue.wait(ticket).await);
    }

    #[test]
    fn beyond_its_bound_everything_counts_as_lost() {
        let queue = Queue::new();
        for number in 0..=KEYS_MAX as u64 {
            queue.push(&key(number), Write::Remove);
        }
        assert!(queue.lost_all());
        assert!(matches!(queue.find(&key(u64::MAX)), Some(Write::Remove)));
        queue.forget_lost();
        assert!(queue.find(&key(0)).is_none());
    }
}
