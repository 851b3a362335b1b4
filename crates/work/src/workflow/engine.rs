//! Runs on a store: what callers ask of them, and the jobs that carry them on.
//!
//! A job loads the run and the outputs that its step reads, evaluates, calls outside, and tells the run, all
//! under its lease. Telling is one commit with the job's end. Whatever is dropped before that is done again
//! by the next who claims the job, with the same key outside; whatever comes after it is stale.

mod ask;
mod inputs;
mod perform;
mod stats;
mod watch;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use store::Time;
use store::jobs::End;
use store::runs::{Advanced, Run, Runs};
use tokio::sync::broadcast;

use super::definition::Definition;
use super::effects::Effects;
use super::event::{Event, Verdict};
use super::fault::Faults;
use super::machine::decide;
use super::source::Format;
use crate::stats::Histogram;
use crate::{Client, Clock, Handlers, Queue};

pub(super) use self::ask::too_long;
pub use self::ask::{Refusal, Start, Started};
pub(super) use self::perform::LOSSES_MAX;
pub use self::watch::Watch;
pub use self::work::OUTPUT_BYTES_MAX;

/// Definitions that are kept read.
const DEFINITIONS_MAX: usize = 256;

/// Changes that whoever watches a run may be behind with; beyond that it looks by itself.
const CHANGES_MAX: usize = 256;

/// Longest that an attempt of any step takes: the longest time-out and some room.
const ATTEMPT_MAX: std::time::Duration = std::time::Duration::from_secs(25 * 3_600);

/// Runs on a store. A clone is another handle to the same.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    runs: Arc<dyn Runs>,
    effects: Effects,
    clock: Clock,
    /// Definitions by the hash of their source.
    definitions: Mutex<HashMap<blake3::Hash, Arc<Definition>>>,
    stats: stats::Stats,
    /// The runner's in this process.
    client: OnceLock<Client>,
    /// Runs that have changed here.
    changes: broadcast::Sender<Arc<str>>,
}

impl Inner {
    /// Has jobs begun that are due then.
    fn wake(&self, due: Option<Time>) {
        if let (Some(due), Some(client)) = (due, self.client.get()) {
            client.hints().added(super::task::QUEUE, due, self.clock.now());
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Runs in `runs`, whose steps call outside by `effects`.
    #[must_use]
    pub fn new(runs: Arc<dyn Runs>, effects: Effects, clock: Clock) -> Self {
        let (definitions, client) = (Mutex::default(), OnceLock::new());
        let changes = broadcast::Sender::new(CHANGES_MAX);
        let stats = stats::Stats::default();
        Self { inner: Arc::new(Inner { runs, effects, clock, definitions, stats, client, changes }) }
    }

    /// Has the runner beside this client begin at once what is added here; otherwise it looks by itself now and
    /// then. Only the first that is given counts.
    pub fn wakes(&self, client: Client) {
        let _ = self.inner.client.set(client);
    }

    /// How long what steps do has taken here, by their kinds; items of a step that fans out each by themselves.
    #[must_use]
    pub fn step_times(&self) -> Vec<(&'static str, Histogram)> {
        self.inner.stats.report()
    }

    /// Adds what does the jobs of runs.
    #[must_use]
    pub fn handlers(&self, handlers: Handlers) -> Handlers {
        let (steps, timers) = (self.clone(), self.clone());
        handlers
            .on(super::task::STEP, move |context| {
                let engine = steps.clone();
                async move { engine.perform(context.job()).await }
            })
            .on(super::task::TIMER, move |context| {
                let engine = timers.clone();
                async move { engine.perform(context.job()).await }
            })
    }

    /// The queue of these jobs, for the runner's options.
    #[must_use]
    pub fn queue() -> Queue {
        Queue { attempt_max: ATTEMPT_MAX, ..Queue::new(super::task::QUEUE) }
    }

    /// What a run was started with, or a version says, read. The last few are kept.
    ///
    /// # Errors
    /// It was written for another release, or is no definition at all.
    pub fn definition(&self, source: &[u8]) -> Result<Arc<Definition>, Faults> {
        let hash = blake3::hash(source);
        if let Some(known) = self.definitions().get(&hash) {
            return Ok(Arc::clone(known));
        }
        let text = String::from_utf8_lossy(source);
        let definition = Arc::new(Definition::parse(&text, Format::of(&text))?);
        let mut definitions = self.definitions();
        if definitions.len() >= DEFINITIONS_MAX {
            definitions.clear();
        }
        definitions.insert(hash, Arc::clone(&definition));
        Ok(definition)
    }

    fn definitions(&self) -> std::sync::MutexGuard<'_, HashMap<blake3::Hash, Arc<Definition>>> {
        self.inner.definitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a run of an event, under its lock.
    async fn tell(
        &self,
        definition: Arc<Definition>,
        id: &str,
        held: Option<store::jobs::Lease>,
        event: Event,
    ) -> store::Result<(Advanced, Verdict)> {
        let now = self.inner.clock.now();
        let said = Arc::new(Mutex::new((Verdict::Stale, None)));
        let says = Arc::clone(&said);
        let decide = move |run: &Run| {
            let (decision, verdict) = decide(&definition, run, &event, now);
            let again = match &decision.end {
                Some(End::Again { run_at, .. } | End::Later { run_at }) => Some(*run_at),
                Some(End::Released) => Some(now),
                _ => None,
            };
            let due = decision.jobs.iter().map(|job| job.run_at).chain(again).min();
            *says.lock().unwrap_or_else(PoisonError::into_inner) = (verdict, due);
            decision
        };
        let advanced = self.inner.runs.advance(id, held, now, Arc::new(decide)).await?;
        let (verdict, due) = *said.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(advanced, Advanced::Now(_)) {
            self.inner.wake(due);
            // Nobody watches, or somebody does.
            let _ = self.inner.changes.send(id.into());
        }
        Ok((advanced, verdict))
    }
}
