//! What all requests share: the snapshot in force, the metrics, and whether we are leaving.

use crate::config::Loaded;
use crate::remember::Remembered;
use crate::snapshot::Snapshot;
use crate::upstream::Error;
use crate::worker::Worker;
use arc_swap::ArcSwap;
use measure::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// The gateway's state, one for the process.
pub struct Gateway {
    /// One for each worker.
    snapshots: Box<[ArcSwap<Snapshot>]>,
    remembered: watch::Sender<Arc<Remembered>>,
    draining: AtomicBool,
    /// Everything that is counted.
    pub metrics: Metrics,
}

/// What a request finds on its worker.
pub struct Shared {
    /// The process's state.
    pub gateway: Arc<Gateway>,
    /// The thread it is on.
    pub worker: Worker,
}

impl Shared {
    /// The snapshot in force on this worker.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.gateway.snapshot(self.worker.index)
    }
}

impl Gateway {
    /// A gateway for so many workers that begins with `loaded`.
    ///
    /// # Errors
    /// As [`Snapshot::new`].
    pub fn new(loaded: &Loaded, workers: usize, metrics: Metrics) -> Result<Self, (String, Error)> {
        let remembered = Arc::new(Remembered::new(&loaded.config.cache));
        let snapshots: Result<Vec<_>, _> = (0..workers)
            .map(|worker| Snapshot::new(loaded, None, &remembered, worker, workers, &metrics))
            .map(|snapshot| snapshot.map(ArcSwap::from_pointee))
            .collect();
        let remembered = watch::Sender::new(remembered);
        Ok(Self { snapshots: snapshots?.into(), remembered, draining: AtomicBool::new(false), metrics })
    }

    /// The snapshot in force on a worker; each says the same.
    pub fn snapshot(&self, worker: usize) -> Arc<Snapshot> {
        self.snapshots[worker].load_full()
    }

    /// Puts a new configuration in force on all workers, for the requests to come.
    ///
    /// # Errors
    /// As [`Snapshot::new`]; nothing has changed then.
    pub fn replace(&self, loaded: &Loaded) -> Result<(), (String, Error)> {
        let workers = self.snapshots.len();
        let before = Arc::clone(&self.snapshot(0).remembered);
        // What is remembered outlives a reload that does not change how.
        let remembered = match before.settings() == &loaded.config.cache {
            true => before,
            false => Arc::new(Remembered::new(&loaded.config.cache)),
        };
        let fresh: Result<Vec<_>, _> = (0..workers)
            .map(|worker| {
                let before = self.snapshot(worker);
                Snapshot::new(loaded, Some(&before), &remembered, worker, workers, &self.metrics)
            })
            .collect();
        for (snapshot, fresh) in self.snapshots.iter().zip(fresh?) {
            snapshot.store(Arc::new(fresh));
        }
        self.remembered.send_if_modified(|known| {
            let is_new = !Arc::ptr_eq(known, &remembered);
            *known = remembered;
            is_new
        });
        Ok(())
    }

    /// What is remembered, from one configuration to the next.
    pub fn remembered(&self) -> watch::Receiver<Arc<Remembered>> {
        self.remembered.subscribe()
    }

    /// Says that we are leaving: `/health/ready` turns to 503.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether we are leaving.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
