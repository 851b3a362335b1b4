//! What follows once an event is taken: which steps begin, what is undone, and when the run is over.

use std::time::Duration;

use store::Time;
use store::runs::{RunState, Step as Row};

use super::{Machine, shortened};
use crate::workflow::definition::{Kind, OnError};
use crate::workflow::status::{Mark, Open, Stage};
use crate::workflow::task::{Part, Task};

/// A job that is due this far from now cannot have begun, whatever the clocks of several replicas say.
const SURELY_LATER: Duration = Duration::from_secs(10);

impl Machine<'_> {
    pub(super) fn settle(&mut self) {
        if self.state == RunState::Running && self.status.fault.is_some() {
            self.state = RunState::Compensating;
            self.stop();
        }
        match self.state {
            RunState::Running => self.proceed(),
            RunState::Compensating => self.undo_next(),
            // Paused: nothing begins. Over: nothing follows.
            _ => {}
        }
    }

    /// Begins what can begin, and the output once all steps have ended.
    fn proceed(&mut self) {
        for place in 0..self.status.marks.len() {
            self.pump(place);
        }
        // A step that is skipped may let another be skipped or begin, wherever it stands in the source.
        let mut changed = true;
        while changed {
            changed = false;
            for place in 0..self.status.marks.len() {
                changed |= self.begin_if_ready(place);
            }
        }
        let ended = self.status.marks.iter().all(|mark| mark.is_final());
        if ended && self.status.fault.is_none() && !self.status.finishing {
            self.status.finishing = true;
            self.status.finishes += 1;
            let task = self.task(Part::Output, self.status.finishes);
            self.decision.jobs.push(task.job(&self.run.tenant, self.now));
        }
    }

    /// Whether anything has changed.
    fn begin_if_ready(&mut self, place: usize) -> bool {
        let Some(step) = self.step(place) else { return false };
        let waits = self.status.mark(place) == Mark::Waiting;
        if !waits || !step.needs.iter().all(|need| self.status.mark(*need).is_final()) {
            return false;
        }
        let skipped = |need: &usize| self.status.mark(*need) == Mark::Skipped;
        let unchosen =
            step.chosen_by.is_some_and(|branch| !self.status.chose(self.definition, branch, place));
        let baseless = !step.needs.is_empty() && step.needs.iter().all(skipped);
        if unchosen || baseless {
            self.status.set(place, Mark::Skipped);
        } else {
            self.status.set(place, Mark::Started);
            self.add(place, Part::Step(step.id.clone()), self.now);
        }
        true
    }

    /// Begins items of a step that fans out, up to its bound, and ends it after the last.
    pub(super) fn pump(&mut self, place: usize) {
        let Some(Kind::Map(map)) = self.step(place).map(|step| &step.kind) else { return };
        if self.status.mark(place) != Mark::Spread {
            return;
        }
        let going = self.state == RunState::Running && self.status.fault.is_none();
        let Some(spread) = self.status.spreads.get_mut(&place) else { return };
        let mut begun = Vec::new();
        if going && spread.fault.is_none() {
            for open in spread.open.iter_mut().filter(|open| open.stage == Stage::Parked) {
                open.stage = Stage::Started;
                begun.push(open.item);
            }
            while spread.open.len() < map.concurrency && spread.next < spread.total {
                spread.open.push(Open { item: spread.next, failures: 0, stage: Stage::Started });
                begun.push(spread.next);
                spread.next += 1;
            }
        }
        if spread.fault.is_some() {
            let started =
                |stage| matches!(stage, Stage::Started | Stage::Child) || is_near(stage, self.now.0);
            spread.open.retain(|open| started(open.stage));
        }
        let ended =
            spread.open.is_empty().then(|| (spread.fault.clone(), spread.done, spread.next == spread.total));
        for item in begun {
            self.add(place, Part::Item(self.id(place).to_owned(), item), self.now);
        }
        match ended {
            Some((Some(fault), done, _)) => {
                self.keep_for_undo(place, done);
                self.failed(place, &fault);
                self.record_spread(place, Some(fault));
            }
            Some((None, _, true)) => {
                self.done(place);
                self.record_spread(place, None);
            }
            _ => {}
        }
    }

    /// Writes how a step that fans out has ended. What came of its items is in rows of their own.
    fn record_spread(&mut self, place: usize, error: Option<String>) {
        let row = Row {
            key: self.id(place).to_owned(),
            state: self.status.mark(place).as_str().to_owned(),
            input: None,
            output: None,
            error,
            attempts: 1,
            started: self.status.spread(place).and_then(|spread| spread.began).map(Time),
            ended: Some(self.now),
        };
        // Of one without items it was written a moment ago that it had begun.
        self.decision.steps.retain(|other| other.key != row.key);
        self.decision.steps.push(row);
    }

    /// What is done in part is undone too, if it can be.
    fn keep_for_undo(&mut self, place: usize, done: usize) {
        if done > 0 && self.step(place).is_some_and(|step| step.compensate.is_some()) {
            self.status.undo.push(place);
        }
    }

    /// The run fails: what has not begun does not begin, what rests is taken back, and children are told. What
    /// runs is waited for, as only then it is known what there is to undo.
    fn stop(&mut self) {
        self.status.finishing = false;
        for place in 0..self.status.marks.len() {
            self.stop_children(place);
            let far = self.status.due.get(&place).is_some_and(|due| !is_near(Stage::Later(*due), self.now.0));
            match self.status.mark(place) {
                Mark::Asleep | Mark::Listening => self.status.set(place, Mark::Cancelled),
                Mark::Later if far => self.status.set(place, Mark::Cancelled),
                Mark::Spread => {
                    if let Some(spread) = self.status.spreads.get_mut(&place) {
                        let now = self.now.0;
                        spread.open.retain(|open| match open.stage {
                            Stage::Started | Stage::Child => true,
                            Stage::Later(_) => is_near(open.stage, now),
                            Stage::Parked => false,
                        });
                    }
                }
                _ => {}
            }
        }
    }

    /// Undoes the last that was done and is not undone, once nothing runs; then the run is over.
    fn undo_next(&mut self) {
        for place in 0..self.status.marks.len() {
            let spread = self.status.spread(place).filter(|_| self.status.mark(place) == Mark::Spread);
            if let Some(done) = spread.filter(|spread| spread.open.is_empty()).map(|spread| spread.done) {
                self.keep_for_undo(place, done);
                self.status.set(place, Mark::Cancelled);
                self.record_spread(place, None);
            }
        }
        let runs = |mark: &Mark| matches!(mark, Mark::Started | Mark::Later | Mark::Child | Mark::Spread);
        if self.status.undoing.is_some() || self.status.marks.iter().any(runs) {
            return;
        }
        match self.status.undo.pop() {
            Some(place) => {
                self.status.undoing = Some(place);
                self.status.failures.remove(&place);
                self.add(place, Part::Undo(self.id(place).to_owned()), self.now);
            }
            None => self.over(RunState::Failed),
        }
    }

    /// The run is over: jobs that are left are taken back, and whoever waits for it is told.
    pub(super) fn over(&mut self, state: RunState) {
        self.state = state;
        self.decision.cancel_waiting = true;
        if state == RunState::Failed {
            self.decision.error.clone_from(&self.status.fault);
        }
        let parent = self.run.parent.as_ref();
        if let Some(task) = parent.and_then(|(run, key)| Task::waiting(run, key)) {
            self.decision.jobs.push(task.job(&self.run.tenant, self.now));
        }
    }

    /// Tells the runs that a step has started to end.
    pub(super) fn stop_children(&mut self, place: usize) {
        let id = self.id(place).to_owned();
        let mut parts = Vec::new();
        match (self.status.mark(place), self.status.spread(place)) {
            (Mark::Child, _) => parts.push(Part::Step(id)),
            (Mark::Spread, Some(spread)) => {
                let children = spread.open.iter().filter(|open| open.stage == Stage::Child);
                parts.extend(children.map(|open| Part::Item(id.clone(), open.item)));
            }
            _ => {}
        }
        for part in parts {
            let child = child_id(&self.task(part, self.status.generation(place)));
            let task = Task { run: child, part: Part::Cancel, generation: 0 };
            self.decision.jobs.push(task.job(&self.run.tenant, self.now));
        }
    }

    /// A step is done.
    pub(super) fn done(&mut self, place: usize) {
        self.status.set(place, Mark::Done);
        self.status.failures.remove(&place);
        if self.step(place).is_some_and(|step| step.compensate.is_some()) {
            self.status.undo.push(place);
        }
    }

    /// A step is given up; the run fails with it unless the step says otherwise.
    pub(super) fn failed(&mut self, place: usize, why: &str) {
        self.status.set(place, Mark::Failed);
        self.status.failures.remove(&place);
        let fatal = self.step(place).is_none_or(|step| step.on_error == OnError::Fail);
        if fatal {
            self.fail(format!("step `{}` failed: {why}", self.id(place)));
        }
    }

    /// A step could not be undone; the others are undone all the same.
    pub(super) fn not_undone(&mut self, place: usize, why: &str) {
        let fault = self.status.fault.take().unwrap_or_default();
        self.status.fault =
            Some(shortened(format!("{fault}; `{}` could not be undone: {why}", self.id(place))));
    }
}

/// Whether a job may have begun that comes later.
fn is_near(stage: Stage, now_ms: i64) -> bool {
    let margin = i64::try_from(SURELY_LATER.as_millis()).unwrap_or(i64::MAX);
    matches!(stage, Stage::Later(due) if due <= now_ms.saturating_add(margin))
}

/// The id of the run that a step or an item starts: the same however often it is begun.
pub(in crate::workflow) fn child_id(task: &Task) -> String {
    crate::workflow::id::of(task.word().as_bytes())
}
