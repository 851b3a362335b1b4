//! What follows from what happens to a run: a function of the definition, the run's row and the event, and of
//! nothing else. It is run by `Runs::advance` under the run's lock, so that no two events are lost to one
//! another, and what it decides is one commit: the steps written, the jobs added, and the end of the job
//! that told.
//!
//! ```text
//!            ┌──── resume ─── Paused
//!            ▼                  ▲
//!        Running ─── pause ─────┘
//!            │ all steps ended           ┌── Cancelled ◄── cancel, from any that is not over
//!            ├──────────► output ──► Done
//!            │ a step failed
//!            └──────────► Compensating ── what runs ends, what is done is undone ──► Failed
//! ```
//!
//! An event that was told before changes nothing: each part of a run is known by its task, and a task that
//! the status does not wait for is stale.

mod settle;
mod told;

pub(super) use self::settle::child_id;

use store::Time;
use store::jobs::{End, NewJob};
use store::runs::{Decision, Run, RunState, Step as Row};

use super::definition::{Definition, OnError, Step};
use super::event::{Event, Verdict};
use super::status::{Mark, Stage, Status};
use super::task::{Part, Task};

/// Most bytes of a run's error.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// How a run begins.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The run's id.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// The definition's version.
    pub version: i64,
    /// Its source.
    pub source: Vec<u8>,
    /// What it is started with, as JSON that the definition has accepted.
    pub input: Vec<u8>,
    /// The run and the key of the step or the item that wait for it.
    pub parent: Option<(String, String)>,
    /// Runs above it.
    pub depth: u8,
    /// Who started it, or the run above it.
    pub caller: Option<String>,
    /// The present.
    pub now: Time,
}

/// A run that begins, and its first jobs.
#[must_use]
pub fn begin(definition: &Definition, beginning: Beginning) -> (Run, Vec<NewJob>) {
    let status =
        Status { caller: beginning.caller, ..Status::new(definition.steps().len(), beginning.depth) };
    let mut run = Run {
        id: beginning.id,
        tenant: beginning.tenant,
        workflow: definition.name().to_owned(),
        version: beginning.version,
        definition: beginning.source,
        input: beginning.input,
        state: RunState::Running,
        status: Vec::new(),
        output: None,
        error: None,
        parent: beginning.parent,
        created: beginning.now,
        changed: beginning.now,
        ended: None,
    };
    let mut machine = Machine::new(definition, &run, status, beginning.now);
    machine.settle();
    let decision = machine.decided();
    run.status = decision.status.unwrap_or_default();
    (run, decision.jobs)
}

/// What follows from an event, and whether it meant anything.
#[must_use]
pub fn decide(definition: &Definition, run: &Run, event: &Event, now: Time) -> (Decision, Verdict) {
    let Some(status) = Status::parse(&run.status, definition) else {
        return (unreadable(run, event), Verdict::Refused);
    };
    let mut machine = Machine::new(definition, run, status, now);
    let verdict = match event {
        Event::Told(told) => machine.told(told),
        Event::Signal { name, payload } => machine.signal(name, payload),
        Event::Pause => machine.pause(),
        Event::Resume => machine.resume(),
        Event::Cancel => machine.cancel(),
        Event::Retry { step } => machine.retry(*step),
    };
    if verdict == Verdict::Taken {
        machine.settle();
        return (machine.decided(), verdict);
    }
    (Decision { end: machine.decision.end, ..Decision::default() }, verdict)
}

/// Whether the run waits for what a task does, and wants it begun.
#[must_use]
pub fn wants(definition: &Definition, run: &Run, status: &Status, task: &Task) -> bool {
    let expected = expects(definition, status, run.state, task);
    let going = run.state == RunState::Running && status.fault.is_none();
    expected
        && match &task.part {
            Part::Step(_) | Part::Output => going,
            Part::Item(step, _) => {
                let spread = definition.place(step).and_then(|place| status.spread(place));
                going && spread.is_some_and(|spread| spread.fault.is_none())
            }
            Part::Undo(_) => run.state == RunState::Compensating,
            Part::Timer(_) | Part::Child(..) | Part::Cancel => true,
        }
}

/// Whether the run waits for what a task tells.
fn expects(definition: &Definition, status: &Status, state: RunState, task: &Task) -> bool {
    if state.is_final() {
        return false;
    }
    let Some(place) = task.part.step().and_then(|id| definition.place(id)) else {
        return match task.part {
            Part::Output => status.finishing && status.finishes == task.generation,
            Part::Cancel => true,
            _ => false,
        };
    };
    let mark = status.mark(place);
    let open = |item: usize| {
        let spread = status.spread(place).filter(|_| mark == Mark::Spread);
        spread.and_then(|spread| spread.open.iter().find(|open| open.item == item))
    };
    let child = |item: usize| open(item).is_some_and(|open| open.stage == Stage::Child);
    status.generation(place) == task.generation
        && match task.part {
            Part::Step(_) => matches!(mark, Mark::Started | Mark::Later),
            Part::Item(_, item) => {
                open(item).is_some_and(|open| matches!(open.stage, Stage::Started | Stage::Later(_)))
            }
            Part::Undo(_) => status.undoing == Some(place),
            Part::Timer(_) => matches!(mark, Mark::Asleep | Mark::Listening),
            Part::Child(_, None) => mark == Mark::Child,
            Part::Child(_, Some(item)) => child(item),
            Part::Output | Part::Cancel => false,
        }
}

/// A row that cannot be read, or does not fit its definition: the run ends, and says why.
fn unreadable(run: &Run, event: &Event) -> Decision {
    let end = matches!(event, Event::Told(_)).then(done);
    if run.state.is_final() {
        return Decision { end, ..Decision::default() };
    }
    Decision {
        state: Some(RunState::Failed),
        error: Some("the run's status cannot be read; start another".to_owned()),
        end,
        cancel_waiting: true,
        ..Decision::default()
    }
}

/// The end of a job that has told all that it had to.
fn done() -> End {
    End::Done { result: Vec::new() }
}

/// A run while an event is taken.
struct Machine<'a> {
    definition: &'a Definition,
    run: &'a Run,
    status: Status,
    state: RunState,
    now: Time,
    /// Attempts at what has told, the one included that it tells of.
    attempts: u32,
    decision: Decision,
}

impl<'a> Machine<'a> {
    fn new(definition: &'a Definition, run: &'a Run, status: Status, now: Time) -> Self {
        Self { definition, run, status, state: run.state, now, attempts: 1, decision: Decision::default() }
    }

    fn decided(mut self) -> Decision {
        self.decision.state = (self.state != self.run.state).then_some(self.state);
        // Letters and numbers can always be written.
        self.decision.status = serde_json::to_vec(&self.status).ok();
        self.decision
    }

    fn step(&self, place: usize) -> Option<&'a Step> {
        self.definition.steps().get(place)
    }

    fn id(&self, place: usize) -> &'a str {
        self.step(place).map_or("", |step| step.id.as_str())
    }

    fn task(&self, part: Part, generation: u32) -> Task {
        Task { run: self.run.id.clone(), part, generation }
    }

    /// Adds a job for a part of a step.
    fn add(&mut self, place: usize, part: Part, run_at: Time) {
        let task = self.task(part, self.status.generation(place));
        self.decision.jobs.push(task.job(&self.run.tenant, run_at));
    }

    /// Why the run fails: the first reason counts.
    fn fail(&mut self, why: String) {
        self.status.fault.get_or_insert_with(|| shortened(why));
    }

    fn signal(&mut self, name: &str, payload: &[u8]) -> Verdict {
        let Some(place) = self.definition.signals.get(name).copied() else { return Verdict::Unknown };
        if !matches!(self.state, RunState::Running | RunState::Paused) {
            return Verdict::Refused;
        }
        let listening = match self.status.mark(place) {
            Mark::Listening => true,
            // Kept for when it listens.
            Mark::Waiting | Mark::Started | Mark::Later if self.status.signalled.insert(place) => false,
            _ => return Verdict::Stale,
        };
        if listening {
            self.done(place);
        }
        self.decision.steps.push(Row {
            key: self.id(place).to_owned(),
            state: if listening { Mark::Done.as_str() } else { "signalled" }.to_owned(),
            input: None,
            output: Some(payload.to_vec()),
            error: None,
            attempts: 1,
            started: None,
            ended: listening.then_some(self.now),
        });
        Verdict::Taken
    }

    fn pause(&mut self) -> Verdict {
        if self.state != RunState::Running {
            return Verdict::Refused;
        }
        self.state = RunState::Paused;
        Verdict::Taken
    }

    fn resume(&mut self) -> Verdict {
        if self.state != RunState::Paused {
            return Verdict::Refused;
        }
        self.state = RunState::Running;
        Verdict::Taken
    }

    fn cancel(&mut self) -> Verdict {
        if self.state.is_final() {
            return Verdict::Refused;
        }
        for place in 0..self.status.marks.len() {
            self.stop_children(place);
            if !matches!(self.status.mark(place), Mark::Waiting) && !self.status.mark(place).is_final() {
                self.status.set(place, Mark::Cancelled);
            }
        }
        self.over(RunState::Cancelled);
        Verdict::Taken
    }

    /// What a retry resets: the step, whatever follows it, and, where the run was over, whatever keeps it from
    /// being done.
    fn retry(&mut self, step: usize) -> Verdict {
        if self.state == RunState::Compensating || self.step(step).is_none() {
            return Verdict::Refused;
        }
        let over = self.state.is_final();
        let fatal = |place: usize| self.step(place).is_none_or(|step| step.on_error == OnError::Fail);
        let unmet = |place: &usize| match self.status.mark(*place) {
            Mark::Undone => true,
            Mark::Cancelled => over,
            Mark::Failed => over && fatal(*place),
            _ => false,
        };
        let again: Vec<usize> = (0..self.status.marks.len()).filter(unmet).collect();
        let reset = self.definition.downstream(again.into_iter().chain([step]));
        for (place, _) in reset.iter().enumerate().filter(|(_, reset)| **reset) {
            self.stop_children(place);
            self.reset(place);
        }
        self.status.undo.retain(|place| !reset.get(*place).copied().unwrap_or(false));
        self.status.fault = None;
        self.status.undoing = None;
        self.status.finishing = false;
        if over {
            self.state = RunState::Running;
        }
        Verdict::Taken
    }

    fn reset(&mut self, place: usize) {
        let status = &mut self.status;
        // One that never began has no job that could be stale.
        if status.mark(place) != Mark::Waiting || status.failures.contains_key(&place) {
            *status.generations.entry(place).or_default() += 1;
        }
        status.set(place, Mark::Waiting);
        status.failures.remove(&place);
        status.due.remove(&place);
        status.chosen.remove(&place);
        status.spreads.remove(&place);
        status.signalled.remove(&place);
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(ERROR_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests;
