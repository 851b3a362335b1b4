//! The place of durable work: a thread with a runtime of its own, where the store is asked and jobs are done.
//!
//! ```text
//! a worker's request ─► Durable::ask ─► the durable thread: the store ──► answer
//!                                       └─ the runner: handlers ─► Desk ─► a worker: the pipeline
//! ```
//!
//! No thread that serves requests ever waits for a database: what they ask of it is a task over here, and a caller
//! who leaves does not cut a transaction in two. The store is opened in the background and tried again until it is
//! there; until then, and whenever it is away, whoever asks is told so, and nothing else is.
//!
//! A store in which nothing was ever kept is opened for the first who asks: who only proxies has no database, no
//! file and no memory for one. Callers' keys and what they use are kept there too, and are no part of a request's own
//! path: [`keys`] are held in memory, [`usage`] is summed there.
//!
//! What a kind of jobs does stands in [`kinds`]; what callers see of it under `http/durable`.

pub mod api;
mod backlog;
mod batch;
mod completion;
mod courier;
mod depths;
pub mod fault;
pub mod id;
pub mod keys;
pub mod kinds;
pub mod model;
mod opening;
pub mod page;
pub mod payload;
mod settings;
mod sweep;
mod thread;
pub mod usage;
pub mod webhook;
pub mod workflow;

pub use fault::Fault;
pub use thread::{Running, start};

use crate::config::Config;
use arc_swap::{ArcSwap, ArcSwapOption};
use keys::{Known, Ring};
use measure::metrics::QueryTimes;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use store::Store;
use store::batches::BatchState;
use store::jobs::Depth;
use store::runs::RunState;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use usage::Books;
use wire::failure::{Failure, Kind};
use work::schedules::Timetable;
use work::stats::BOUNDS;

/// Questions to the store under way at once for callers; who comes then is told to come again.
const ASKED_MAX: usize = 1024;
/// The longest that a caller waits for the store.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether another process has made the database.
const MADE: Duration = Duration::from_secs(1);
/// Streams of events at once.
const STREAMS_MAX: usize = 1024;

/// The way to the store and the jobs, from any thread. One for the process.
pub struct Durable {
    /// The durable thread's runtime, once it runs.
    runtime: OnceLock<Handle>,
    open: ArcSwapOption<Open>,
    /// Callers' keys that the store holds.
    pub keys: Ring,
    /// What was used, as far as the store has yet to be told.
    pub books: Arc<Books>,
    /// There may be something in the store: somebody asked for it, or it was there before.
    wanted: CancellationToken,
    /// It was tried once whether the store can be opened.
    tried: CancellationToken,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// How long what callers asked of the store took.
    pub times: QueryTimes,
    /// The process leaves: what goes on for long should end.
    leaving: CancellationToken,
}

/// What there is once the store is open.
pub struct Open {
    /// All rows.
    pub store: Store,
    /// The way to jobs, which wakes the runner beside it.
    pub jobs: work::Client,
    /// The batches.
    pub batches: work::batches::Batches,
    /// The schedules.
    pub timetable: Timetable,
    /// Workflows, and runs of them.
    pub workflows: work::workflow::Engine,
    /// What does the jobs here.
    pub runner: work::runner::Handle,
    /// How many jobs each tenant has waiting.
    pub backlogs: backlog::Backlogs,
    /// How many jobs wait, as of a few seconds ago.
    pub depths: ArcSwap<Vec<Depth>>,
    /// How many batches are in each state that is not final, looked at every few seconds.
    pub open_batches: ArcSwap<Vec<(BatchState, u64)>>,
    /// How many runs of workflows are in each state, as of a few seconds ago.
    pub runs: ArcSwap<Vec<(RunState, u64)>>,
}

impl Durable {
    /// The way to the store of this configuration, for so many workers; and the stored keys that are known before it
    /// is open.
    pub fn new(config: &Config, workers: usize) -> (Self, Known) {
        let blank = settings::store(config).is_blank();
        let (keys, known) = Ring::open(config, blank);
        let durable = Self {
            runtime: OnceLock::new(),
            open: ArcSwapOption::empty(),
            keys,
            books: Arc::new(Books::new(workers)),
            wanted: CancellationToken::new(),
            tried: CancellationToken::new(),
            tasks: TaskTracker::new(),
            places: Arc::new(Semaphore::new(ASKED_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            times: QueryTimes::new(&BOUNDS),
            leaving: CancellationToken::new(),
        };
        if !blank {
            durable.is_there();
        }
        (durable, known)
    }

    /// Whether there may be something in the store. It is not to be asked where there is nothing, as that makes one.
    pub fn has_store(&self) -> bool {
        self.wanted.is_cancelled()
    }

    /// Has the store opened, in the background.
    fn want(&self) {
        self.wanted.cancel();
    }

    /// There is a store: whoever calls is counted, and it may hold keys.
    fn is_there(&self) {
        if self.open.load().is_none() {
            self.keys.appears();
        }
        self.books.count_anyone();
        self.want();
    }

    /// Waits until somebody asks for the store, or another process has made it.
    async fn is_wanted_or_made(&self, database: &store::Options) {
        let made = async {
            while database.is_blank() {
                tokio::time::sleep(MADE).await;
            }
        };
        tokio::select! {
            () = self.wanted.cancelled() => {}
            () = made => {}
        }
    }

    /// Waits a moment until stored keys are known, where nothing else says whether callers need a key.
    pub async fn settled(&self) {
        tokio::select! {
            () = self.keys.settled() => {}
            () = self.tried.cancelled() => {}
        }
    }

    /// The store and what works on it; `None` while it is not open, or not wanted yet.
    pub fn open(&self) -> Option<Arc<Open>> {
        self.open.load_full()
    }

    /// Whether it should be open and is not: where there may be something in it, from the start on.
    pub fn is_away(&self) -> bool {
        self.wanted.is_cancelled() && self.open.load().is_none()
    }

    /// Whether it should answer and does not, as of its last word: it is not open, or has been lost since.
    pub fn lacks_store(&self) -> bool {
        match self.open() {
            Some(open) => open.runner.report().is_away,
            // Before it was tried nobody knows.
            None => self.is_away() && self.tried.is_cancelled(),
        }
    }

    /// The store, opened for who is the first to ask.
    ///
    /// # Errors
    /// 503 while it cannot be opened.
    async fn opened(&self) -> Result<Arc<Open>, Failure> {
        if !self.tried.is_cancelled() && self.runtime.get().is_some() {
            self.want();
            // Where that takes longer, the store is as good as away.
            let _ = tokio::time::timeout(WAIT_MAX, self.tried.cancelled()).await;
        }
        self.open().ok_or_else(fault::away)
    }

    /// Cancelled when the process is told to stop: for what would go on for as long as somebody listens.
    pub fn leaving(&self) -> &CancellationToken {
        &self.leaving
    }

    /// A place for a stream of events; `None` where there is none left.
    pub fn stream(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }

    /// Does `work` on the durable thread, to its end, whether or not anybody still waits for it.
    ///
    /// # Errors
    /// 503 while the store is away, and what `work` itself fails with.
    pub async fn ask<T, F, Fut>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Open>) -> Fut,
        Fut: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| fault::busy())?;
        let open = self.opened().await?;
        let work = work(open);
        let task = async move {
            let (_place, began) = (place, Instant::now());
            (work.await, began.elapsed())
        };
        match tokio::time::timeout(WAIT_MAX, self.spawn(task)?).await {
            Ok(Ok((done, took))) => {
                self.times.note(took);
                done.map_err(Failure::from)
            }
            Ok(Err(fell)) => {
                let public = "What was asked of the store fell over.";
                Err(Failure::new(Kind::Internal, public).with_detail(fell.to_string()))
            }
            Err(_) => Err(fault::away()),
        }
    }

    /// Begins `task` on the durable thread, for what goes on longer than a question. Whoever begins one bounds how
    /// many there are.
    ///
    /// # Errors
    /// 503 where that thread does not run.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<tokio::task::JoinHandle<T>, Failure> {
        let runtime = self.runtime.get().filter(|_| !self.tasks.is_closed()).ok_or_else(fault::away)?;
        Ok(self.tasks.spawn_on(task, runtime))
    }
}

#[cfg(test)]
mod tests;
