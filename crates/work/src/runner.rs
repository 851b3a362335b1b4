//! Does jobs: claims them, hands them to their handlers, keeps their leases, and records how they ended.
//!
//! ```text
//!          ┌── feed (one a queue) ── claims as many jobs as there are free workers
//!          │      └─► attempt (one a job) ── its handler, until it ends or has to stop
//! store ◄──┤            └─► settle ── records ends, many in one step, and frees the workers
//!          ├── heart ── renews the leases, tells how far jobs are, hears of cancellations
//!          ├── keep ── readies what is due, takes back expired leases, forgets what is old
//!          └── tick ── adds the jobs of schedules
//! ```
//!
//! While the store is away each of them waits and tries again; handlers go on until their leases would be over.
//! What was claimed is recorded with its lease's token, so that a process which has slept, or was cut off, can do
//! nothing to a job that has gone to another.
//!
//! A drain stops the claiming at once, lets handlers go on for [`Options::grace`], tells them to stop then, puts
//! back what is unfinished without charging an attempt, and ends when the last end is on disk.

mod attempt;
mod feed;
mod heart;
mod keep;
mod settle;
mod slots;
mod tell;
mod tick;

use crate::client::Client;
use crate::context::Stop;
use crate::handler::Handlers;
use crate::held::Held;
use crate::hints::Hints;
use crate::options::Options;
use crate::outage::Outage;
use crate::stats::{Report, Stats};
use guard::retry::Backoff;
use slots::Slots;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use store::jobs::Jobs;
use store::schedules::Schedules;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The pauses between tries while the store is away.
const AWAY: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(2) };

/// The rows that a runner works on.
#[derive(Clone)]
pub struct Rows {
    /// What it does.
    pub jobs: Arc<dyn Jobs>,
    /// What it adds; `None`: nothing.
    pub schedules: Option<Arc<dyn Schedules>>,
}

impl From<&Store> for Rows {
    fn from(store: &Store) -> Self {
        Self { jobs: Arc::clone(&store.jobs), schedules: Some(Arc::clone(&store.schedules)) }
    }
}

impl From<Arc<dyn Jobs>> for Rows {
    fn from(jobs: Arc<dyn Jobs>) -> Self {
        Self { jobs, schedules: None }
    }
}

/// Does jobs, once it is [run](Runner::run).
pub struct Runner {
    shared: Arc<Shared>,
}

/// What one may ask a runner while it runs. A clone is another handle to the same.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What the parts of a runner have in common.
struct Shared {
    rows: Rows,
    handlers: Handlers,
    options: Options,
    slots: Slots,
    held: Arc<Held>,
    hints: Arc<Hints>,
    stats: Stats,
    outage: Outage,
}

impl Runner {
    /// A runner for the queues of its options. It does nothing yet.
    pub fn new(rows: impl Into<Rows>, handlers: Handlers, options: Options) -> Self {
        let hints = Hints::new(options.queues.iter().map(|queue| queue.name.clone()));
        let shared = Shared {
            rows: rows.into(),
            handlers,
            slots: Slots::new(&options),
            options,
            held: Arc::default(),
            hints: Arc::new(hints),
            stats: Stats::default(),
            outage: Outage::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What one may ask it while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// The way to its jobs.
    #[must_use]
    pub fn client(&self) -> Client {
        self.handle().client()
    }

    /// Does jobs until `drain` is cancelled, and ends when whatever was claimed is recorded or put back. Dropped
    /// before, it stops everything where it stands; other runners take its jobs over when their leases end.
    pub async fn run(self, drain: CancellationToken) {
        let shared = self.shared;
        let kill = CancellationToken::new();
        let _kill_when_dropped = kill.clone().drop_guard();
        let (feeders, attempts, others) = (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());

        // As many ends may wait as jobs may be under way, so that no attempt waits to tell its own.
        let (ended, ends) = mpsc::channel(shared.slots.total() as usize);
        let settled = others.spawn(until(kill.clone(), settle::settle(Arc::clone(&shared), ends)));
        others.spawn(until(kill.clone(), heart::beat(Arc::clone(&shared))));
        others.spawn(until(kill.clone(), heart::lapse(Arc::clone(&shared))));
        others.spawn(until(kill.clone(), keep::promote(Arc::clone(&shared), drain.clone())));
        others.spawn(until(kill.clone(), keep::reap(Arc::clone(&shared), drain.clone())));
        others.spawn(until(kill.clone(), tell::tell(Arc::clone(&shared), drain.clone())));
        others.spawn(until(kill.clone(), keep::sweep(Arc::clone(&shared), drain.clone())));
        others.spawn(until(kill.clone(), tick::tick(Arc::clone(&shared), drain.clone())));
        let crew = feed::Crew { attempts: attempts.clone(), ended, kill: kill.clone() };
        for queue in 0..shared.options.queues.len() {
            let feed = feed::feed(Arc::clone(&shared), queue, crew.clone(), drain.clone());
            feeders.spawn(until(kill.clone(), feed));
        }
        drop(crew);

        drain.cancelled().await;
        feeders.close();
        // A claim under way is heard, so that what it brings is put back; unless the store does not answer.
        let _ = timeout(shared.options.flush, feeders.wait()).await;
        attempts.close();
        if timeout(shared.options.grace, attempts.wait()).await.is_err() {
            shared.held.stop_all(Stop::Drain);
            attempts.wait().await;
        }
        // The last who could tell of an end is gone, so that it ends when the last one is recorded.
        if timeout(shared.options.flush, settled).await.is_err() {
            let held = shared.held.len();
            tracing::warn!(held, "jobs: ends could not be recorded in time; the jobs will be done again");
        }
        kill.cancel();
        others.close();
        others.wait().await;
    }
}

impl Handle {
    /// The way to its jobs.
    #[must_use]
    pub fn client(&self) -> Client {
        let Shared { rows, held, hints, options, .. } = &*self.shared;
        Client::beside(Arc::clone(&rows.jobs), Arc::clone(hints), Arc::clone(held), options.clock.clone())
    }

    /// Cuts a drain short: what is under way is told to stop now, and is put back.
    pub fn hurry(&self) {
        self.shared.held.stop_all(Stop::Drain);
    }

    /// How it stands, and what it has done since it began.
    #[must_use]
    pub fn report(&self) -> Report {
        let shared = &*self.shared;
        let queues = shared.slots.report(&shared.options);
        let (is_away, held) = (shared.outage.is_away(), shared.held.len());
        Report { queues, is_away, held, ..shared.stats.report() }
    }
}

impl Shared {
    /// Hears what the store answered when it was asked to do `what`, and says once where it does not.
    fn heard<T>(&self, what: &'static str, answer: store::Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.outage.answered(what);
                Some(answer)
            }
            Err(error) => {
                self.outage.failed(what, &error);
                None
            }
        }
    }
}

/// Drives a future until it ends or is to be dropped.
async fn until(kill: CancellationToken, work: impl Future<Output = ()>) {
    kill.run_until_cancelled(work).await;
}

/// The pause after the `tries`th failure in succession, counted from 0.
fn away(tries: u32) -> Duration {
    AWAY.delay(tries, fastrand::u64(..))
}
