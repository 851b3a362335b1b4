//! What all requests share: the snapshot in force, the metrics, and whether we are leaving.

use crate::snapshot::Snapshot;
use crate::worker::Worker;
use arc_swap::ArcSwap;
use measure::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The gateway's state, one for the process.
pub struct Gateway {
    current: ArcSwap<Snapshot>,
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

impl Gateway {
    /// A gateway that begins with `snapshot`.
    pub fn new(snapshot: Snapshot, metrics: Metrics) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot), draining: AtomicBool::new(false), metrics }
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts a new snapshot in force for the requests to come.
    pub fn replace(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
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
