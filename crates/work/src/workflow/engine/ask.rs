//! What callers ask: definitions, and runs of them.

use std::sync::Arc;

use serde_json::Value;
use store::runs::{Advanced, Definition as Row, Run, RunState};

use super::Engine;
use crate::workflow::event::{Event, Verdict};
use crate::workflow::fault::{Faults, Findings, Spot};
use crate::workflow::machine::{Beginning, begin};
use crate::workflow::source::Format;
use crate::workflow::{Definition, id};

/// What a run is to be started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Whose it is.
    pub tenant: String,
    /// Which workflow.
    pub workflow: String,
    /// In which version; the newest if not given.
    pub version: Option<i64>,
    /// With what.
    pub input: Value,
    /// Makes a second start of the same harmless.
    pub key: Option<String>,
    /// Who starts it, in the embedder's words: handed back with each call outside, and to the runs that it starts.
    pub caller: Option<String>,
}

/// A run that was started.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The run.
    pub run: Run,
    /// Whether it was started just now, and not before under the same key.
    pub is_new: bool,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such workflow, or not in that version.
    #[error("there is no such workflow; `define` it first")]
    UnknownWorkflow,
    /// There is no such run.
    #[error("there is no such run")]
    UnknownRun,
    /// No step of the workflow has this id; those that there are.
    #[error("no step has this id; there are: {}", .0.join(", "))]
    UnknownStep(Vec<String>),
    /// No step of the workflow waits for this signal; those that are waited for, where that can be said.
    #[error("no step waits for this signal; those that are waited for: {}", .0.join(", "))]
    UnknownSignal(Vec<String>),
    /// The key was used to start a run of the same workflow with something else.
    #[error("the key was used for another input; use a new one")]
    Reused,
    /// The definition or the input is not what it should be.
    #[error("{0}")]
    Faults(#[from] Faults),
    /// The run is not in a state for it.
    #[error("the run is {0:?} and cannot do this")]
    State(RunState),
    /// The system has no randomness for an id.
    #[error("no randomness for a new id: {0}")]
    Id(#[from] getrandom::Error),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Engine {
    /// Checks a definition, and keeps it as the newest version of its name.
    ///
    /// # Errors
    /// [`Refusal::Faults`] with all that is wrong, [`Refusal::Store`].
    pub async fn define(&self, tenant: &str, source: &str) -> Result<Row, Refusal> {
        let definition = Definition::parse(source, Format::of(source))?;
        let now = self.inner.clock.now();
        Ok(self.inner.runs.define(tenant, definition.name(), source.as_bytes().to_vec(), now).await?)
    }

    /// Starts a run; or gives the one that was started under the same key.
    ///
    /// # Errors
    /// [`Refusal::UnknownWorkflow`], [`Refusal::Faults`] of the input, [`Refusal::Reused`], [`Refusal::Store`].
    pub async fn start(&self, start: Start) -> Result<Started, Refusal> {
        let Start { tenant, workflow, version, input, key, caller } = start;
        let (row, definition, input) = self.accept(&tenant, &workflow, version, input).await?;
        let beginning = Beginning {
            id: id::new()?,
            tenant,
            version: row.version,
            source: row.source,
            input,
            parent: None,
            depth: 0,
            caller,
            now: self.inner.clock.now(),
        };
        let (run, jobs) = begin(&definition, beginning);
        let (id, input, due) = (run.id.clone(), run.input.clone(), jobs.iter().map(|job| job.run_at).min());
        let run = self.inner.runs.start(run, jobs, Vec::new(), key).await?;
        let is_new = run.id == id;
        if is_new {
            self.inner.wake(due);
            return Ok(Started { run, is_new });
        }
        before(run, &input, version)
    }

    /// What [`start`](Self::start) gives where a run was started under the same key before; `None`: there is none, and
    /// it would start one.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    pub async fn started(&self, start: &Start) -> Result<Option<Started>, Refusal> {
        let Some(key) = &start.key else { return Ok(None) };
        let Some(run) = self.inner.runs.started(&start.tenant, &start.workflow, key).await? else {
            return Ok(None);
        };
        let Start { tenant, workflow, version, input, .. } = start;
        let (_, _, input) = self.accept(tenant, workflow, *version, input.clone()).await?;
        before(run, &input, *version).map(Some)
    }

    /// The definition to be started, as a row and read, and the input as it accepts it.
    async fn accept(
        &self,
        tenant: &str,
        workflow: &str,
        version: Option<i64>,
        input: Value,
    ) -> Result<(Row, Arc<Definition>, Vec<u8>), Refusal> {
        let row = self.inner.runs.definition(tenant, workflow, version).await?;
        let row = row.ok_or(Refusal::UnknownWorkflow)?;
        let definition = self.definition(&row.source)?;
        let input = definition.accept(input)?.to_string().into_bytes();
        if input.len() > super::work::OUTPUT_BYTES_MAX {
            return Err(Refusal::Faults(too_long()));
        }
        Ok((row, definition, input))
    }

    /// Sends a signal, with JSON. The first of each name counts; one that comes early is kept.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::UnknownSignal`], [`Refusal::State`], [`Refusal::Store`].
    pub async fn signal(
        &self,
        run: &str,
        tenant: Option<&str>,
        name: &str,
        payload: &Value,
    ) -> Result<Run, Refusal> {
        let payload = payload.to_string().into_bytes();
        if payload.len() > super::work::OUTPUT_BYTES_MAX {
            return Err(Refusal::Faults(too_long()));
        }
        self.ask(run, tenant, |_| Some(Event::Signal { name: name.to_owned(), payload })).await
    }

    /// Begins nothing more, until [`resume`](Self::resume). What runs goes on to its end.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::State`], [`Refusal::Store`].
    pub async fn pause(&self, run: &str, tenant: Option<&str>) -> Result<Run, Refusal> {
        self.ask(run, tenant, |_| Some(Event::Pause)).await
    }

    /// Goes on after a [`pause`](Self::pause).
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::State`], [`Refusal::Store`].
    pub async fn resume(&self, run: &str, tenant: Option<&str>) -> Result<Run, Refusal> {
        self.ask(run, tenant, |_| Some(Event::Resume)).await
    }

    /// Ends a run at once, and the runs that it has started soon after. What was done stays done.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::State`], [`Refusal::Store`].
    pub async fn cancel(&self, run: &str, tenant: Option<&str>) -> Result<Run, Refusal> {
        let cancelled = self.ask(run, tenant, |_| Some(Event::Cancel)).await?;
        self.inner.runs.cancel_jobs(run, self.inner.clock.now()).await?;
        Ok(cancelled)
    }

    /// Does a step and all that follow it anew, whether the run goes on or is over; outputs before it are
    /// kept. Of a run that failed, what was undone is done anew too.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::UnknownStep`], [`Refusal::State`], [`Refusal::Store`].
    pub async fn retry(&self, run: &str, tenant: Option<&str>, step: &str) -> Result<Run, Refusal> {
        self.ask(run, tenant, |definition| Some(Event::Retry { step: definition.place(step)? })).await
    }

    async fn ask(
        &self,
        id: &str,
        tenant: Option<&str>,
        event: impl FnOnce(&Definition) -> Option<Event>,
    ) -> Result<Run, Refusal> {
        let run = self.inner.runs.run(id, tenant).await?.ok_or(Refusal::UnknownRun)?;
        let definition = self.definition(&run.definition)?;
        let steps = || definition.steps().iter().map(|step| step.id.clone()).collect();
        let event = event(&definition).ok_or_else(|| Refusal::UnknownStep(steps()))?;
        let (advanced, verdict) = self.tell(Arc::clone(&definition), id, None, event).await?;
        let Advanced::Now(run) = advanced else { return Err(Refusal::UnknownRun) };
        match verdict {
            Verdict::Taken | Verdict::Stale => Ok(*run),
            Verdict::Refused => Err(Refusal::State(run.state)),
            Verdict::Unknown => Err(Refusal::UnknownSignal(definition.signals.keys().cloned().collect())),
        }
    }
}

/// A run that was started under the same key, if with the same.
fn before(run: Run, input: &[u8], version: Option<i64>) -> Result<Started, Refusal> {
    if run.input != input || version.is_some_and(|version| version != run.version) {
        return Err(Refusal::Reused);
    }
    Ok(Started { run, is_new: false })
}

pub(in crate::workflow) fn too_long() -> Faults {
    let mut faults = Findings::default();
    faults.add(&Spot::default(), "longer than 1 MiB", "put it somewhere, and pass where it is");
    faults.told(None)
}
