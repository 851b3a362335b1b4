//! Words from one part of a process to another that there is something to look at. Each may be lost: whoever
//! waits for one also looks by itself from time to time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::Time;
use store::jobs::JobId;
use tokio::sync::{Notify, watch};

/// Jobs that are watched at once; who comes later is told nothing and looks by itself.
const WATCHED_MAX: usize = 10_000;

/// Who waits for what.
#[derive(Debug)]
pub(crate) struct Hints {
    queues: HashMap<String, Notify>,
    /// Something is due before [`next_due`](Self::next_due).
    pub due: Notify,
    next_due: AtomicI64,
    /// A running job says how far it is.
    pub progress: Notify,
    /// A job may have ended in the store itself.
    pub untold: Notify,
    watched: Mutex<HashMap<JobId, watch::Sender<()>>>,
}

impl Hints {
    /// For a runner of these queues; for a client without one, of none.
    pub fn new(queues: impl IntoIterator<Item = String>) -> Self {
        Self {
            queues: queues.into_iter().map(|name| (name, Notify::new())).collect(),
            due: Notify::new(),
            next_due: AtomicI64::new(i64::MIN),
            progress: Notify::new(),
            untold: Notify::new(),
            watched: Mutex::default(),
        }
    }

    /// A job was added to this queue.
    pub fn added(&self, queue: &str, run_at: Time, now: Time) {
        if run_at > now {
            if run_at.0 < self.next_due.load(Ordering::Relaxed) {
                self.due.notify_one();
            }
        } else if let Some(queue) = self.queues.get(queue) {
            queue.notify_one();
        }
    }

    /// Jobs may have become ready, nobody knows in which queues.
    pub fn ready(&self) {
        self.queues.values().for_each(Notify::notify_one);
    }

    /// Waits until there may be something in this queue.
    pub async fn in_queue(&self, queue: &str) {
        match self.queues.get(queue) {
            Some(queue) => queue.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Whoever promotes what is due looks again by then at the latest.
    pub fn looks_at(&self, next: Time) {
        self.next_due.store(next.0, Ordering::Relaxed);
    }

    /// A running job says how far it is.
    pub fn progressed(&self, id: JobId) {
        self.progress.notify_one();
        self.changed(id);
    }

    /// Something has changed about a job.
    pub fn changed(&self, id: JobId) {
        if let Some(watched) = self.lock().get(&id) {
            watched.send_replace(());
        }
    }

    /// To hear what changes about a job; `None` where too many are watched. To be given back with
    /// [`unwatch`](Self::unwatch).
    pub fn watch(&self, id: JobId) -> Option<watch::Receiver<()>> {
        let mut watched = self.lock();
        let has_room = watched.len() < WATCHED_MAX || watched.contains_key(&id);
        has_room.then(|| watched.entry(id).or_insert_with(|| watch::Sender::new(())).subscribe())
    }

    /// Nobody listens any more at this end.
    pub fn unwatch(&self, id: JobId, receiver: watch::Receiver<()>) {
        let mut watched = self.lock();
        drop(receiver);
        if watched.get(&id).is_some_and(|sender| sender.receiver_count() == 0) {
            watched.remove(&id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, watch::Sender<()>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
