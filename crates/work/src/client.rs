//! Adding jobs, and what else one may want of them. Works without a runner in the same process, too: whoever has
//! one finds them.

use crate::Clock;
use crate::context::Stop;
use crate::held::Held;
use crate::hints::Hints;
use crate::watch::Watch;
use std::sync::Arc;
use store::jobs::{Added, Cancel, Depth, Filter, Job, JobId, Jobs, NewJob, PastFault};
use store::{Error, Result};

/// The way to the jobs of a store. A clone is another handle to the same.
#[derive(Clone)]
pub struct Client {
    jobs: Arc<dyn Jobs>,
    hints: Arc<Hints>,
    held: Arc<Held>,
    clock: Clock,
}

impl Client {
    /// A client without a runner in its process.
    pub fn new(jobs: Arc<dyn Jobs>) -> Self {
        Self::beside(jobs, Arc::new(Hints::new([])), Arc::default(), Clock::default())
    }

    /// A client that wakes the runner beside it.
    pub(crate) fn beside(jobs: Arc<dyn Jobs>, hints: Arc<Hints>, held: Arc<Held>, clock: Clock) -> Self {
        Self { jobs, hints, held, clock }
    }

    /// Adds a job; it is on disk when this returns. `run_at` in the past means at once.
    ///
    /// # Errors
    /// Where the store does not take it: it may have been added nevertheless, so that who tries again should
    /// give it an idempotency key.
    pub async fn add(&self, job: impl Into<NewJob>) -> Result<Added> {
        let added = self.add_all(vec![job.into()]).await?;
        added.first().copied().ok_or_else(|| Error::Refused("the store says nothing of the job".to_owned()))
    }

    /// Adds jobs in one step, and says of each what came of it.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub async fn add_all(&self, mut jobs: Vec<NewJob>) -> Result<Vec<Added>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        // A delay that is over makes no order: who came first would not be first.
        jobs.iter_mut().for_each(|job| job.run_at = job.run_at.max(now));
        let whither: Vec<_> = jobs.iter().map(|job| (job.queue.clone(), job.run_at)).collect();
        let added = self.jobs.add(jobs, now).await?;
        for ((queue, run_at), added) in whither.into_iter().zip(&added) {
            if matches!(added, Added::New(_)) {
                self.hints.added(&queue, run_at, now);
            }
        }
        Ok(added)
    }

    /// What adding the job would find there already, under its idempotency key or its unique word; `None`: it would be
    /// new.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn find(&self, job: impl Into<NewJob>) -> Result<Option<Added>> {
        self.jobs.find(job.into()).await
    }

    /// Takes a job back. One that runs in this process hears it at once, one elsewhere within a heartbeat.
    /// `tenant` `None`: whosever it is.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn cancel(&self, id: JobId, tenant: Option<&str>) -> Result<Cancel> {
        let cancel = self.jobs.cancel(id, tenant, self.clock.now()).await?;
        match cancel {
            Cancel::Asked => self.held.of(id).iter().for_each(|context| context.stop(Stop::Cancelled)),
            Cancel::Done => self.hints.untold.notify_one(),
            Cancel::Over(_) | Cancel::Unknown => {}
        }
        self.hints.changed(id);
        Ok(cancel)
    }

    /// The job as it stands.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn get(&self, id: JobId, tenant: Option<&str>) -> Result<Option<Job>> {
        let job = self.jobs.get(id, tenant).await?;
        Ok(job.map(|job| self.with_progress(job)))
    }

    /// Jobs from the newest to the oldest, those before `before` if given; so many at most.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn list(&self, filter: Filter, before: Option<JobId>, limit: u32) -> Result<Vec<Job>> {
        self.jobs.list(filter, before, limit).await
    }

    /// All of a job's faults, from the first on.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn faults(&self, id: JobId) -> Result<Vec<PastFault>> {
        self.jobs.faults(id).await
    }

    /// Adds a dead or cancelled job anew, with all its attempts; `None` where there is none such.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn replay(&self, id: JobId) -> Result<Option<JobId>> {
        let replay = self.jobs.replay(id, self.clock.now()).await?;
        if replay.is_some() {
            self.hints.ready();
        }
        Ok(replay)
    }

    /// How many jobs of a tenant wait, ready or scheduled; counted no further than `most`.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn backlog(&self, tenant: &str, most: u64) -> Result<u64> {
        self.jobs.backlog(tenant, most).await
    }

    /// How many wait, by queue and state.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn depths(&self) -> Result<Vec<Depth>> {
        self.jobs.depths().await
    }

    /// What happens to a job from now on.
    #[must_use]
    pub fn watch(&self, id: JobId, tenant: Option<&str>) -> Watch {
        Watch::new(self.clone(), id, tenant.map(str::to_owned))
    }

    pub(crate) fn hints(&self) -> &Hints {
        &self.hints
    }

    /// What runs here has progressed further than the store knows.
    fn with_progress(&self, mut job: Job) -> Job {
        if job.state == store::jobs::State::Running {
            let here = self.held.of(job.id).iter().find_map(crate::Context::latest);
            job.progress = here.or(job.progress);
        }
        job
    }
}
