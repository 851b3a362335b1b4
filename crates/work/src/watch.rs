//! What happens to one job, as it happens: for a stream of events.
//!
//! What happens in this process is told at once; what happens elsewhere is found by looking, soon after the last
//! change and then less and less often.

use crate::client::Client;
use guard::retry::Backoff;
use std::time::Duration;
use store::Result;
use store::jobs::{Job, JobId, State};
use tokio::sync::watch;

/// How often to look: the pauses grow while nothing changes.
const LOOK: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(2) };
/// How soon to look after a word that something has changed: a handler may say ten thousand times a second how
/// far it is.
const CALM: Duration = Duration::from_millis(20);

/// The changes of one job, from its present state to its last.
pub struct Watch {
    client: Client,
    id: JobId,
    tenant: Option<String>,
    changes: Option<watch::Receiver<()>>,
    seen: Option<Seen>,
}

/// What is told of: a change in any of it.
#[derive(PartialEq)]
struct Seen {
    state: State,
    attempt: u32,
    cancel_requested: bool,
    progress: Option<Vec<u8>>,
}

impl Seen {
    fn of(job: &Job) -> Self {
        let Job { state, attempt, cancel_requested, .. } = *job;
        Self { state, attempt, cancel_requested, progress: job.progress.clone() }
    }
}

impl Watch {
    pub(crate) fn new(client: Client, id: JobId, tenant: Option<String>) -> Self {
        let changes = client.hints().watch(id);
        Self { client, id, tenant, changes, seen: None }
    }

    /// The job as it stands, at first, and then whenever something has changed about it: its state, its
    /// attempt, its progress, or that it is to end. What changes several times between two looks is told once.
    /// `None` after its last state, and where there is none such. May be dropped and called again.
    ///
    /// # Errors
    /// Where the store answers, and not well. While it is away, this waits.
    pub async fn next(&mut self) -> Result<Option<Job>> {
        if self.seen.as_ref().is_some_and(|seen| seen.state.is_final()) {
            return Ok(None);
        }
        let mut look = 0;
        loop {
            match self.client.get(self.id, self.tenant.as_deref()).await {
                Ok(None) => return Ok(None),
                Ok(Some(job)) if self.is_new(&job) => return Ok(Some(job)),
                Ok(Some(_)) => {}
                Err(error) if error.may_pass() => {}
                Err(error) => return Err(error),
            }
            self.pause(LOOK.delay(look, fastrand::u64(..))).await;
            look += 1;
        }
    }

    fn is_new(&mut self, job: &Job) -> bool {
        let now = Some(Seen::of(job));
        let is_new = self.seen != now;
        self.seen = now;
        is_new
    }

    async fn pause(&mut self, longest: Duration) {
        let changes = self.changes.as_mut();
        let hint = async {
            let Some(changes) = changes else { return std::future::pending().await };
            match changes.changed().await {
                Ok(()) => tokio::time::sleep(CALM).await,
                Err(_) => std::future::pending().await,
            }
        };
        let _ = tokio::time::timeout(longest.max(CALM), hint).await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(changes) = self.changes.take() {
            self.client.hints().unwatch(self.id, changes);
        }
    }
}
