//! What Redis has yet to be told: added up by limit, so that it is no more than there are limits, however
//! long Redis is away. Nothing here is sent.

use super::account::{Line, RATE_MAX, Room};
use super::granted::Part;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// Limits that one batch tells of, of either kind.
const BATCH_MAX: usize = 100;

/// What is owed of one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Owed {
    /// Used beyond what Redis reserved.
    pub(super) debit: u64,
    /// Admitted without Redis.
    pub(super) alone: u64,
    /// Requests that asked nobody and leave no debt.
    pub(super) noted: u64,
    /// Reserved by Redis and not used.
    pub(super) credit: u64,
    /// Whether it is in the queue.
    queued: bool,
}

/// Lines and rooms with something to tell.
#[derive(Debug, Default)]
pub(super) struct Owing {
    lines: Mutex<VecDeque<Arc<Line>>>,
    rooms: Mutex<VecDeque<Arc<Room>>>,
    batches: AtomicU64,
    wake: Notify,
}

/// What is told at once, as `scripts/tell.lua` takes it after who tells.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) names: Vec<String>,
    pub(super) args: Vec<String>,
}

impl Owing {
    /// Adds to what is owed of a line, to be told soon.
    pub(super) fn line(&self, line: &Arc<Line>, add: impl FnOnce(&mut Owed)) {
        self.line_later(line, add);
        self.wake.notify_one();
    }

    /// Adds to what is owed of a line, to be told with whatever comes next.
    pub(super) fn line_later(&self, line: &Arc<Line>, add: impl FnOnce(&mut Owed)) {
        let mut owed = lock(&line.owed);
        add(&mut owed);
        if !std::mem::replace(&mut owed.queued, true) {
            lock(&self.lines).push_back(Arc::clone(line));
        }
    }

    /// Tells what was used of a part.
    pub(super) fn correct(&self, part: &Part, used: u64, together: bool) {
        let (more, less) = (used.saturating_sub(part.reserved), part.reserved.saturating_sub(used));
        match (more, less, together) {
            (0, 0, _) => {}
            (0, less, true) => self.line(&part.line, |owed| owed.credit = owed.credit.saturating_add(less)),
            (more, _, true) if more > 0 => {
                self.line(&part.line, |owed| owed.debit = owed.debit.saturating_add(more));
            }
            // What was told already stays: too much is counted rather than too little.
            (more, less, _) => self.line(&part.line, |owed| {
                owed.alone = owed.alone.saturating_add(more).saturating_sub(less);
            }),
        }
    }

    /// The count of a room is to be told soon.
    pub(super) fn room(&self, room: &Arc<Room>) {
        if room.is_to_be_told() {
            lock(&self.rooms).push_back(Arc::clone(room));
        }
        self.wake.notify_one();
    }

    /// Whether there is anything to tell.
    pub(super) fn is_owing(&self) -> bool {
        !lock(&self.lines).is_empty() || !lock(&self.rooms).is_empty()
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is something to tell soon.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The next batch. What is in it is no longer owed.
    pub(super) fn batch(&self, now: Instant) -> Batch {
        let (lines, rooms) = (take(&self.lines), take(&self.rooms));
        if self.is_owing() {
            self.wake();
        }
        let number = self.batches.fetch_add(1, Relaxed) + 1;
        let mut args = vec![number.to_string(), lines.len().to_string()];
        for line in &lines {
            // Before it is taken: what is added from here on queues the line again.
            let outstanding = line.outstanding(now);
            let owed = std::mem::take(&mut *lock(&line.owed));
            // What this replica has used longer ago than it takes to flow back is settled by time.
            let charged = owed.debit.saturating_add(owed.alone.min(outstanding));
            let told = [line.limit(), charged, owed.noted, owed.credit];
            args.extend(told.map(|number| number.min(RATE_MAX).to_string()));
        }
        for room in &rooms {
            let count = room.count_to_tell();
            args.extend([count.number, count.taken].map(|number| number.to_string()));
        }
        let names = lines.iter().map(|line| line.name.clone());
        let names = names.chain(rooms.iter().map(|room| room.name.clone())).collect();
        Batch { names, args }
    }
}

fn take<T>(queue: &Mutex<VecDeque<T>>) -> Vec<T> {
    let mut queue = lock(queue);
    let count = queue.len().min(BATCH_MAX);
    queue.drain(..count).collect()
}

/// What is held under these locks is whole at every moment, whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
