//! A store in a folder of its own, and runners on it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::jobs::{Added, Job, JobId, Jobs, NewJob};
use store::{Store, Time, sqlite};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use work::pool::Bounds;
use work::runner::{Handle, Rows};
use work::stats::Report;
use work::{Client, Clock, Context, Draft, Failed, Handlers, Options, Queue, Runner, backoff, pace};

/// Whatever is awaited must have come by then; it is no measure of anything.
const PATIENCE: Duration = Duration::from_secs(60);

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A store of the test's own.
pub struct Stage {
    pub store: Store,
    _folder: TempDir,
}

/// A runner at work.
pub struct Act {
    pub client: Client,
    pub handle: Handle,
    drain: CancellationToken,
    task: JoinHandle<()>,
}

impl Stage {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = sqlite::Options::new(folder.path().join("jobs.db"));
        let store = Store::from(sqlite::Sqlite::open(options).await.unwrap());
        Self { store, _folder: folder }
    }

    pub fn jobs(&self) -> Arc<dyn Jobs> {
        Arc::clone(&self.store.jobs)
    }

    /// A client of another process.
    pub fn client(&self) -> Client {
        Client::new(self.jobs())
    }

    /// A runner that finds a quiet world.
    pub fn run(&self, handlers: Handlers, options: Options) -> Act {
        act(&self.store, handlers, options)
    }

    pub async fn job(&self, id: JobId) -> Job {
        self.store.jobs.get(id, None).await.unwrap().unwrap()
    }

    /// The job, once it is over.
    pub async fn over(&self, id: JobId) -> Job {
        eventually(async || Some(self.job(id).await).filter(|job| job.state.is_final())).await
    }

    /// All of these, once they are over.
    pub async fn all_over(&self, ids: &[JobId]) -> Vec<Job> {
        let mut jobs = Vec::new();
        for id in ids {
            jobs.push(self.over(*id).await);
        }
        jobs
    }
}

pub fn act(rows: impl Into<Rows>, handlers: Handlers, options: Options) -> Act {
    let (runner, drain) = (Runner::new(rows, handlers, options), CancellationToken::new());
    let (client, handle) = (runner.client(), runner.handle());
    let task = TaskTracker::new().spawn(runner.run(drain.clone()));
    Act { client, handle, drain, task }
}

impl Act {
    /// Once nothing is under way, and everything is counted: a job is over a moment before.
    pub async fn rests(&self) -> Report {
        let is_idle = |report: &Report| report.held == 0 && report.queues.iter().all(|queue| queue.busy == 0);
        eventually(async || Some(self.handle.report()).filter(is_idle)).await
    }

    /// Ends as a process that is told to.
    pub async fn drain(self) {
        self.drain.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }

    /// Ends as a process that is killed.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// As usual, with the pauses of a test.
pub fn options() -> Options {
    let usual = backoff::Backoff { base: ms(5), max: ms(20), jitter: backoff::Jitter::Equal };
    Options {
        queues: vec![Queue::new("default")],
        pace: pace::Bounds { least: ms(5), most: ms(30) },
        backoffs: backoff::Backoffs { usual, ..backoff::Backoffs::default() },
        reap: ms(50),
        courtesy: ms(50),
        progress: ms(20),
        sweep: Some(ms(30)),
        tick: Some(ms(20)),
        ..Options::default()
    }
}

/// One at a time, so that the order tells.
pub fn one_at_a_time() -> Options {
    with_queue(Queue { workers: Bounds { min: 1, max: 1 }, ..Queue::new("default") })
}

pub fn with_queue(queue: Queue) -> Options {
    Options { queues: vec![queue], ..options() }
}

/// Leases that are soon over: for who is to lose them.
pub fn short_leases() -> Options {
    Options { lease: ms(600), beat: ms(150), ..options() }
}

/// Leases that are over during a test, unless they are renewed; not because a machine is busy.
pub fn fair_leases() -> Options {
    Options { lease: ms(3000), beat: ms(150), ..options() }
}

/// A handler that never ends.
pub async fn hang(_: Context) -> Result<(), Failed> {
    std::future::pending().await
}

pub fn draft(kind: &str) -> Draft {
    Draft::new(kind, "acme")
}

pub fn drafts(kind: &str, count: usize) -> Vec<NewJob> {
    (0..count).map(|number| draft(kind).payload(number.to_string()).into()).collect()
}

pub async fn add(client: &Client, job: impl Into<NewJob>) -> JobId {
    new(client.add(job).await.unwrap())
}

pub async fn add_all(client: &Client, jobs: Vec<NewJob>) -> Vec<JobId> {
    client.add_all(jobs).await.unwrap().into_iter().map(new).collect()
}

fn new(added: Added) -> JobId {
    match added {
        Added::New(id) => id,
        other => panic!("{other:?}"),
    }
}

/// What comes, sooner or later.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let come = async {
        loop {
            match ask().await {
                Some(come) => return come,
                None => tokio::time::sleep(ms(5)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, come).await.expect("it should have come by now")
}

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Diary(Arc<Mutex<VecDeque<String>>>);

impl Diary {
    pub fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push_back(what.into());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Once there are so many notes.
    pub async fn reaches(&self, count: usize) {
        eventually(async || (self.len() >= count).then_some(())).await;
    }
}

/// A clock that stands until it is moved.
#[derive(Clone)]
pub struct Hands(Arc<AtomicI64>);

impl Hands {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_750_000_000_000)))
    }

    pub fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }

    pub fn forward(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::new(move || hands.now())
    }
}
