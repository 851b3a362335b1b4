//! One job of a run, from its claim to its commit.

use std::time::Duration;

use store::Time;
use store::jobs::Running;
use store::runs::{Advanced, Decision, Run, RunState};

use super::Engine;
use super::inputs::{Unloaded, View};
use crate::Failed;
use crate::workflow::event::{Event, Failure, Outcome, Told};
use crate::workflow::fault::Faults;
use crate::workflow::machine::{child_id, wants};
use crate::workflow::status::Status;
use crate::workflow::task::{Part, Task};

/// How often a job may be lost with whoever did it before its step is given up: one that ends its process is
/// not to end all of them, one after the other.
pub(in crate::workflow) const LOSSES_MAX: u32 = 20;

/// For so long a step is put off, at no cost, while nothing of it can be begun.
const PATIENCE: Duration = Duration::from_secs(24 * 3_600);

/// What came of it, and what it was given.
pub(super) struct Performed {
    pub(super) outcome: Outcome,
    pub(super) input: Option<Vec<u8>>,
}

/// What is to be said of a job.
enum Wanted {
    /// This, to its run.
    Told(Performed),
    /// Nothing: what it was to tell has changed.
    Over,
    /// Nothing yet: it is put back, ready at once or after so long.
    Later(Option<Duration>),
}

impl From<Outcome> for Performed {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, input: None }
    }
}

impl Engine {
    /// Does one job that is leased, up to the commit of what came of it.
    ///
    /// # Errors
    /// The store does not answer: another attempt may help. The payload or the run is not there: none will.
    pub async fn perform(&self, job: &Running) -> Result<crate::Outcome, Failed> {
        let task = Task::of_payload(&job.payload)
            .ok_or_else(|| Failed::lasting("payload", "not a task of a workflow"))?;
        let started = self.inner.clock.now();
        let run = self.inner.runs.run(&task.run, None).await.map_err(|error| away(&error))?;
        let Some(run) = run else { return Err(Failed::lasting("unknown_run", "the run is gone")) };
        let definition = match self.definition(&run.definition) {
            Ok(definition) => definition,
            Err(faults) => return self.unreadable(job, &run, &faults).await,
        };
        let status = Status::parse(&run.status, &definition);
        let wanted = match &status {
            Some(status) if wants(&definition, &run, status, &task) => {
                let view = View { run: &run, definition: &definition, status };
                self.wanted(job, &view, &task).await?
            }
            _ => Wanted::Told(Outcome::Idle.into()),
        };
        let Performed { outcome, input } = match wanted {
            Wanted::Told(performed) => performed,
            Wanted::Over => return Ok(().into()),
            Wanted::Later(None) => return Ok(crate::Outcome::PutBack),
            Wanted::Later(Some(pause)) => return Ok(crate::Outcome::Later(pause)),
        };
        let took = self.inner.clock.now().since(started);
        self.inner.stats.add(&definition, &task.part, &outcome, took);
        let told = Told { task, outcome, input, started, dice: fastrand::u64(..) };
        let event = Event::Told(Box::new(told));
        let advanced = self.tell(definition, &run.id, Some(job.lease), event).await;
        match advanced.map_err(|error| away(&error))? {
            (Advanced::Unknown, _) => Err(Failed::lasting("unknown_run", "the run is gone")),
            // Written, or lost: then somebody else does it.
            (Advanced::Now(_) | Advanced::Lost, _) => Ok(crate::Outcome::Recorded),
        }
    }

    /// What a job has to tell that the run waits for.
    async fn wanted(&self, job: &Running, view: &View<'_>, task: &Task) -> Result<Wanted, Failed> {
        let losses = job.attempt.saturating_sub(1 + view.status.failures_of(view.definition, &task.part));
        if losses > LOSSES_MAX {
            let why = format!("whoever did it was lost {losses} times in a row");
            return Ok(Wanted::Told(Outcome::Failed(Failure::lasting("lost", why)).into()));
        }
        let performed = match &task.part {
            Part::Timer(_) => Ok(Outcome::Fired.into()),
            Part::Cancel => Ok(Outcome::Stop.into()),
            Part::Child(..) => return self.child_end(task).await,
            Part::Output => self.output(view).await,
            Part::Step(step) => self.step(view, task, step).await,
            Part::Item(step, item) => self.item(view, task, step, *item).await,
            Part::Undo(step) => self.undo(view, task, step).await,
        };
        match performed {
            Ok(performed) => Ok(Wanted::Told(performed)),
            Err(Unloaded::Failure(failure)) => Ok(Wanted::Told(Outcome::Failed(failure).into())),
            Err(Unloaded::PutOff(failure)) if self.inner.clock.now().since(job.created) < PATIENCE => {
                Ok(Wanted::Later(failure.after))
            }
            Err(Unloaded::PutOff(failure)) => Ok(Wanted::Told(Outcome::Failed(failure).into())),
            Err(Unloaded::Store(error)) => Err(away(&error)),
        }
    }

    /// How the run ended that a step waits for. One that goes on again tells once more when it is over.
    async fn child_end(&self, task: &Task) -> Result<Wanted, Failed> {
        let Part::Child(step, item) = &task.part else { return Ok(Wanted::Over) };
        let part = item.map_or_else(|| Part::Step(step.clone()), |item| Part::Item(step.clone(), item));
        let child = child_id(&Task { part, ..task.clone() });
        let run = self.inner.runs.run(&child, None).await.map_err(|error| away(&error))?;
        let outcome = match run {
            Some(run) if run.state == RunState::Done => {
                Outcome::Done(run.output.unwrap_or_else(|| b"null".to_vec()))
            }
            Some(run) if run.state.is_final() => {
                let why = run.error.unwrap_or_else(|| "it was cancelled".to_owned());
                Outcome::Failed(Failure::lasting("child", format!("{child}: {why}")))
            }
            Some(_) => return Ok(Wanted::Over),
            None => Outcome::Failed(Failure::lasting("child", format!("{child} is gone"))),
        };
        Ok(Wanted::Told(outcome.into()))
    }

    /// The run's definition was fine when it was started, and is not for this release.
    async fn unreadable(&self, job: &Running, run: &Run, faults: &Faults) -> Result<crate::Outcome, Failed> {
        let error = format!("the definition cannot be read: {faults}");
        let decide = move |run: &Run| Decision {
            state: (!run.state.is_final()).then_some(RunState::Failed),
            error: (!run.state.is_final()).then(|| error.clone()),
            end: Some(store::jobs::End::Done { result: Vec::new() }),
            cancel_waiting: true,
            ..Decision::default()
        };
        let now: Time = self.inner.clock.now();
        let advanced = self.inner.runs.advance(&run.id, Some(job.lease), now, std::sync::Arc::new(decide));
        advanced.await.map_err(|error| away(&error))?;
        Ok(crate::Outcome::Recorded)
    }
}

/// A failure of the store, which the job survives.
fn away(error: &store::Error) -> Failed {
    Failed::passing(crate::verdict::STORE, error.to_string())
}
