//! The threads that run tasks, known by name: each worker's, the control thread, the durable one, and those of alerts and
//! of traces. Each tells how busy it is, and does a thing now and then that can only be done on it.

use measure::metrics::resources::Runtime;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// The longest that is waited for a thread to get round to something.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every runtime of the process; each has one thread.
#[derive(Debug, Default)]
pub struct Runtimes(Mutex<Vec<(String, Handle)>>);

impl Runtimes {
    /// The runtime that this is called on is this thread's. To be called once by each.
    pub fn join(&self, thread: impl Into<String>) {
        self.add(thread, Handle::current());
    }

    /// The same of a thread that is to run this one.
    pub fn add(&self, thread: impl Into<String>, runtime: Handle) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.push((thread.into(), runtime));
        known.sort_by(|(one, _), (other, _)| one.cmp(other));
    }

    /// How each stands.
    pub fn stands(&self) -> Vec<Runtime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(stand).collect()
    }

    /// Does `work` once on every thread, between two of its tasks; gives how many have done it in time.
    pub async fn everywhere(&self, work: fn()) -> usize {
        let tasks = TaskTracker::new();
        let handles: Vec<Handle> = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().map(|(_, handle)| handle.clone()).collect()
        };
        for handle in &handles {
            tasks.spawn_on(async move { work() }, handle);
        }
        tasks.close();
        // A thread that does not get round to it is overloaded, or has ended.
        let _ = tokio::time::timeout(PATIENCE, tasks.wait()).await;
        handles.len() - tasks.len()
    }
}

fn stand((thread, handle): &(String, Handle)) -> Runtime {
    let metrics = handle.metrics();
    Runtime {
        thread: thread.clone(),
        tasks: metrics.num_alive_tasks() as u64,
        queue: metrics.global_queue_depth() as u64,
        busy: metrics.worker_total_busy_duration(0),
        parks: metrics.worker_park_count(0),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Runtimes;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static DONE: AtomicUsize = AtomicUsize::new(0);

    #[tokio::test]
    async fn every_thread_is_known_and_does_what_it_is_told() {
        let runtimes = Runtimes::default();
        runtimes.join("b");
        runtimes.join("a");
        let names: Vec<_> = runtimes.stands().into_iter().map(|stand| stand.thread).collect();
        assert_eq!(names, ["a", "b"]);
        let done = runtimes.everywhere(|| _ = DONE.fetch_add(1, Ordering::Relaxed)).await;
        assert_eq!((done, DONE.load(Ordering::Relaxed)), (2, 2));
    }
}
