//! Who may have how many jobs under way: the sizes of the queues' pools, and each queue's share of the whole.

use crate::options::Options;
use crate::pool::Pool;
use crate::share::{Demand, shares};
use crate::stats::QueueReport;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

pub(super) struct Slots {
    total: u32,
    queues: Mutex<Vec<One>>,
    /// For each queue, that it may have more.
    freed: Vec<Notify>,
}

struct One {
    weight: u32,
    pool: Pool,
    /// Jobs under way.
    busy: u32,
    /// Jobs that a claim under way may bring.
    asked: u32,
}

impl One {
    fn taken(&self) -> u32 {
        self.busy + self.asked
    }
}

impl Slots {
    pub fn new(options: &Options) -> Self {
        let one = |queue: &crate::Queue| {
            let pool = Pool::new(queue.workers, options.patience);
            One { weight: queue.weight, pool, busy: 0, asked: 0 }
        };
        let queues: Vec<_> = options.queues.iter().map(one).collect();
        let least = u32::try_from(queues.len()).unwrap_or(u32::MAX).max(1);
        let freed = queues.iter().map(|_| Notify::new()).collect();
        Self { total: options.workers.max(least), queues: Mutex::new(queues), freed }
    }

    /// Jobs that may be under way at once.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// Waits until the queue may have one more job under way, and takes all that it may have, to be claimed: see
    /// [`claimed`](Self::claimed) and [`not_claimed`](Self::not_claimed).
    pub async fn take(&self, queue: usize) -> u32 {
        loop {
            match self.try_take(queue) {
                0 => self.freed[queue].notified().await,
                taken => return taken,
            }
        }
    }

    fn try_take(&self, queue: usize) -> u32 {
        let mut queues = self.lock();
        let demands: Vec<_> =
            queues.iter().map(|one| Demand { weight: one.weight, want: one.pool.size() }).collect();
        let share = shares(self.total, &demands)[queue];
        // Others may still have more than their share: what they have is theirs until it ends.
        let left = self.total.saturating_sub(queues.iter().map(One::taken).sum());
        let taken = share.saturating_sub(queues[queue].taken()).min(left);
        queues[queue].asked += taken;
        taken
    }

    /// A claim asked for as many jobs as were taken, and brought `got`.
    pub fn claimed(&self, queue: usize, taken: u32, got: u32, now: Instant) {
        let mut queues = self.lock();
        let one = &mut queues[queue];
        one.asked = one.asked.saturating_sub(taken);
        one.busy += got;
        let before = one.pool.size();
        one.pool.claimed(taken, got, one.busy, now);
        let others_may_have_more = one.pool.size() < before || got < taken;
        drop(queues);
        if others_may_have_more {
            self.wake();
        }
    }

    /// A claim that asked for as many jobs as were taken was not answered.
    pub fn not_claimed(&self, queue: usize, taken: u32) {
        let mut queues = self.lock();
        queues[queue].asked = queues[queue].asked.saturating_sub(taken);
        drop(queues);
        self.wake();
    }

    /// So many are over.
    pub fn free(&self, queue: usize, count: u32) {
        let mut queues = self.lock();
        queues[queue].busy = queues[queue].busy.saturating_sub(count);
        drop(queues);
        self.wake();
    }

    pub fn report(&self, options: &Options) -> Vec<QueueReport> {
        let queues = self.lock();
        let both = options.queues.iter().zip(queues.iter());
        both.map(|(queue, one)| QueueReport {
            name: queue.name.clone(),
            workers: one.pool.size(),
            busy: one.busy,
        })
        .collect()
    }

    fn wake(&self) {
        self.freed.iter().for_each(Notify::notify_one);
    }

    /// The counts are whole at every moment, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, Vec<One>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Slots;
    use crate::options::{Options, Queue};
    use crate::pool::Bounds;
    use std::time::Instant;

    fn slots(workers: u32) -> Slots {
        let queue = |name: &str| Queue { workers: Bounds { min: 2, max: 8 }, ..Queue::new(name) };
        Slots::new(&Options { workers, queues: vec![queue("a"), queue("b")], ..Options::default() })
    }

    #[test]
    fn a_queue_takes_more_while_its_claims_bring_all() {
        let slots = slots(10);
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(slots.try_take(0));
            slots.claimed(0, taken[taken.len() - 1], taken[taken.len() - 1], Instant::now());
        }
        assert_eq!(taken, [2, 2, 4, 0]);
        // The other has its own least, whatever the first has.
        assert_eq!(slots.try_take(1), 2);
    }

    #[test]
    fn what_was_not_used_or_has_ended_may_be_had_again() {
        let slots = slots(10);
        assert_eq!(slots.try_take(0), 2);
        assert_eq!(slots.try_take(0), 0);
        slots.claimed(0, 2, 1, Instant::now());
        assert_eq!(slots.try_take(0), 1);
        slots.not_claimed(0, 1);
        assert_eq!(slots.try_take(0), 1);
        slots.not_claimed(0, 1);
        slots.free(0, 1);
        assert_eq!(slots.try_take(0), 2);
    }

    #[test]
    fn the_whole_is_never_passed_while_one_gives_way_to_another() {
        let slots = slots(8);
        for _ in 0..3 {
            let taken = slots.try_take(0);
            slots.claimed(0, taken, taken, Instant::now());
        }
        let busy = |queue: usize| slots.lock()[queue].busy;
        assert_eq!(busy(0), 6);
        let taken = slots.try_take(1);
        slots.claimed(1, taken, taken, Instant::now());
        // The other wants more now, and waits until the first has fewer.
        assert_eq!((busy(1), slots.try_take(1), slots.try_take(0)), (2, 0, 0));
        slots.free(0, 1);
        assert_eq!((slots.try_take(0), slots.try_take(1)), (0, 1));
    }
}
