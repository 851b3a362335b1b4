//! What a handler knows of its job, and how it hears that it should stop.

use crate::handler::Failed;
use crate::hints::Hints;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use store::Time;
use store::jobs::{JobId, Lease, Running};
use tokio_util::sync::CancellationToken;

/// Why an attempt should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// Somebody takes the job back.
    Cancelled,
    /// The lease is lost, or about to be: somebody else may do the job already.
    Lost,
    /// The job's deadline has passed.
    Deadline,
    /// The attempt took longer than its queue allows.
    TooLong,
    /// The process is about to end; the job is put back and costs no attempt.
    Drain,
}

/// An attempt at a job. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    job: Running,
    hints: Arc<Hints>,
    stop: CancellationToken,
    why: OnceLock<Stop>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    latest: Option<Vec<u8>>,
    /// Whether the store has yet to hear of it.
    is_new: bool,
}

impl Context {
    pub(crate) fn new(job: Running, hints: Arc<Hints>) -> Self {
        let (stop, why) = (CancellationToken::new(), OnceLock::new());
        Self(Arc::new(Inner { job, hints, stop, why, progress: Mutex::default() }))
    }

    /// The job's number.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.0.job.lease.id
    }

    /// The right to it: for a handler that records its end itself.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.0.job.lease
    }

    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.0.job.tenant
    }

    /// Which attempt this is; the first is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.job.attempt
    }

    /// Whether there is none after it.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.0.job.attempt >= self.0.job.attempts_max
    }

    /// The whole job, as it was claimed.
    #[must_use]
    pub fn job(&self) -> &Running {
        &self.0.job
    }

    /// What the kind is told.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.0.job.payload
    }

    /// The same, as JSON.
    ///
    /// # Errors
    /// Where it is not what is asked for: a failure for good, of the class `payload`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failed> {
        serde_json::from_slice(self.payload()).map_err(|error| Failed::lasting("payload", error.to_string()))
    }

    /// An idempotency key for the world outside, the same in every attempt: `job-17`. A replay is another job
    /// and has another.
    #[must_use]
    pub fn key(&self) -> String {
        format!("job-{}", self.id().0)
    }

    /// When the job is given up.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.0.job.deadline
    }

    /// Says how far it is, in whatever form its kind has. Who watches here hears it at once, others within
    /// about a second; of several words in between only the last is kept.
    pub fn progress(&self, progress: impl Into<Vec<u8>>) {
        *self.lock() = Progress { latest: Some(progress.into()), is_new: true };
        self.0.hints.progressed(self.id());
    }

    /// Waits until the attempt should stop, and says why. A handler that does not end then by itself is
    /// dropped at its next await after a short while.
    pub async fn cancelled(&self) -> Stop {
        self.0.stop.cancelled().await;
        self.stopped().unwrap_or(Stop::Lost)
    }

    /// The same as a token, to be handed on.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Why the attempt should stop; `None`: it should not.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        self.0.why.get().copied()
    }

    /// The attempt should stop; the first reason stays.
    pub(crate) fn stop(&self, why: Stop) {
        if self.0.why.set(why).is_ok() {
            self.0.stop.cancel();
        }
    }

    /// The way to whoever waits for jobs in this process.
    pub(crate) fn hints(&self) -> &Hints {
        &self.0.hints
    }

    /// How far it is.
    pub(crate) fn latest(&self) -> Option<Vec<u8>> {
        self.lock().latest.clone()
    }

    /// How far it is, if the store has not been told yet. Whoever takes this must tell it, or
    /// [`keep`](Self::keep_news) it.
    pub(crate) fn take_news(&self) -> Option<Vec<u8>> {
        let mut progress = self.lock();
        let is_new = std::mem::take(&mut progress.is_new);
        progress.latest.clone().filter(|_| is_new)
    }

    /// The store could not be told.
    pub(crate) fn keep_news(&self) {
        let mut progress = self.lock();
        progress.is_new = progress.latest.is_some();
    }

    /// Whether the store has yet to be told how far it is.
    pub(crate) fn has_news(&self) -> bool {
        self.lock().is_new
    }

    /// Progress is whole at every moment, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
