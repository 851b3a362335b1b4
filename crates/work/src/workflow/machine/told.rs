//! What a job has told, taken into the status.

use store::Time;
use store::jobs::{End, Fault};
use store::runs::{RunState, Step as Row};

use super::{Machine, done, expects, shortened};
use crate::workflow::definition::{Kind, OnError, Retry};
use crate::workflow::event::{Failure, Outcome, Told, Verdict};
use crate::workflow::status::{Mark, Spread, Stage};
use crate::workflow::task::Part;

impl Machine<'_> {
    pub(super) fn told(&mut self, told: &Told) -> Verdict {
        self.decision.end = Some(done());
        if !expects(self.definition, &self.status, self.state, &told.task) {
            return Verdict::Stale;
        }
        let place = told.part().step().and_then(|id| self.definition.place(id));
        self.attempts = self.status.failures_of(self.definition, told.part()) + 1;
        match (told.part(), place) {
            (Part::Step(_), Some(place)) => self.step_told(place, told),
            (Part::Item(_, item) | Part::Child(_, Some(item)), Some(place)) => {
                self.item_told(place, *item, told);
            }
            (Part::Child(_, None), Some(place)) => self.step_told(place, told),
            (Part::Undo(_), Some(place)) => self.undo_told(place, told),
            (Part::Timer(_), Some(place)) => self.timer_told(place, told),
            (Part::Output, _) => self.output_told(told),
            (Part::Cancel, _) => {
                self.cancel();
            }
            _ => return Verdict::Stale,
        }
        Verdict::Taken
    }

    fn step_told(&mut self, place: usize, told: &Told) {
        match &told.outcome {
            Outcome::Idle => self.idle(place),
            Outcome::Skipped => {
                self.status.set(place, Mark::Skipped);
                self.record(told, Mark::Skipped, None, None);
            }
            Outcome::Chose(case) => {
                self.status.chosen.insert(place, *case);
                self.done(place);
                let output = case.map_or_else(|| "null".to_owned(), |case| case.to_string());
                self.record(told, Mark::Done, Some(output.into_bytes()), None);
            }
            Outcome::Spread(items) => self.spread(place, items, told),
            Outcome::Sleeps(until) => {
                self.status.set(place, Mark::Asleep);
                self.add(place, Part::Timer(self.id(place).to_owned()), *until);
                self.record(told, Mark::Asleep, None, None);
            }
            Outcome::Listens => self.listen(place, told),
            Outcome::Began(run, jobs) => {
                // A run that fails begins nothing more.
                if self.status.fault.is_some() {
                    self.status.set(place, Mark::Cancelled);
                    return;
                }
                self.status.set(place, Mark::Child);
                self.record(told, Mark::Child, None, None);
                self.decision.runs.push((**run).clone());
                self.decision.jobs.extend(jobs.iter().cloned());
            }
            Outcome::Done(output) => {
                self.done(place);
                self.record(told, Mark::Done, Some(output.clone()), None);
            }
            Outcome::Failed(failure) => self.step_failed(place, failure, told),
            Outcome::Fired | Outcome::Stop => {}
        }
        if self.status.mark(place) != Mark::Later {
            self.status.due.remove(&place);
        }
        if self.status.mark(place).is_final() {
            self.status.signalled.remove(&place);
        }
    }

    /// The job came up when the run did not want it.
    fn idle(&mut self, place: usize) {
        if self.state == RunState::Running && self.status.fault.is_none() {
            // It does by now.
            self.decision.end = Some(End::Released);
        } else if self.state == RunState::Paused {
            self.status.set(place, Mark::Waiting);
        } else {
            self.status.set(place, Mark::Cancelled);
        }
    }

    fn listen(&mut self, place: usize, told: &Told) {
        if self.status.signalled.contains(&place) {
            // The signal came a moment ago: its row has the payload, which is the step's output.
            self.decision.end = Some(End::Released);
            return;
        }
        self.status.set(place, Mark::Listening);
        self.record(told, Mark::Listening, None, None);
        if let Some(Kind::Wait(wait)) = self.step(place).map(|step| &step.kind)
            && let Some(timeout) = wait.timeout
        {
            self.add(place, Part::Timer(self.id(place).to_owned()), self.now.after(timeout));
        }
    }

    fn spread(&mut self, place: usize, items: &[Vec<u8>], told: &Told) {
        self.status.set(place, Mark::Spread);
        self.status.failures.remove(&place);
        let spread = Spread { began: Some(told.started.0), total: items.len(), ..Spread::default() };
        self.status.spreads.insert(place, spread);
        self.record(told, Mark::Spread, None, None);
        for (item, input) in items.iter().enumerate() {
            self.decision.steps.push(Row {
                key: Part::Item(self.id(place).to_owned(), item).to_string(),
                state: Mark::Waiting.as_str().to_owned(),
                input: Some(input.clone()),
                output: None,
                error: None,
                attempts: 0,
                started: None,
                ended: None,
            });
        }
        self.pump(place);
    }

    fn item_told(&mut self, place: usize, item: usize, told: &Told) {
        let going = self.state == RunState::Running && self.status.fault.is_none();
        let paused = self.state == RunState::Paused;
        let failing = self.status.fault.is_some();
        let (retry, tolerant) = match self.step(place).map(|step| &step.kind) {
            Some(Kind::Map(map)) => (map.each.retry(), map.on_item_error == OnError::Continue),
            _ => return,
        };
        let Some(spread) = self.status.spreads.get_mut(&place) else { return };
        let Some(at) = spread.open.iter().position(|open| open.item == item) else { return };
        let broken = spread.fault.is_some();
        let Some(open) = spread.open.get_mut(at) else { return };
        match &told.outcome {
            Outcome::Idle if going && !broken => self.decision.end = Some(End::Released),
            Outcome::Idle if paused => open.stage = Stage::Parked,
            Outcome::Began(run, jobs) if !failing && !broken => {
                open.stage = Stage::Child;
                self.decision.runs.push((**run).clone());
                self.decision.jobs.extend(jobs.iter().cloned());
            }
            Outcome::Done(output) => {
                spread.open.remove(at);
                spread.done += 1;
                self.record(told, Mark::Done, Some(output.clone()), None);
            }
            Outcome::Failed(failure) => {
                open.failures = self.attempts;
                let again = again(failure, retry, self.attempts, told.dice, self.now);
                let held = matches!(told.part(), Part::Item(..));
                if let Some(run_at) = again.filter(|_| held && !failing && !broken) {
                    open.stage = Stage::Later(run_at.0);
                    self.try_again(run_at, failure);
                    return;
                }
                spread.open.remove(at);
                spread.failed += 1;
                if !tolerant {
                    spread
                        .fault
                        .get_or_insert_with(|| shortened(format!("item {item}: {}", failure.message)));
                }
                self.record(told, Mark::Failed, None, Some(failure));
            }
            _ => {
                spread.open.remove(at);
            }
        }
        self.pump(place);
    }

    fn step_failed(&mut self, place: usize, failure: &Failure, told: &Told) {
        let failures = self.attempts;
        let retry = match self.step(place).map(|step| &step.kind) {
            Some(Kind::Work(work)) => work.retry(),
            _ => Retry { attempts: 1, ..Retry::default() },
        };
        let again = again(failure, retry, failures, told.dice, self.now);
        let held = matches!(told.part(), Part::Step(_));
        if let Some(run_at) = again.filter(|_| held && self.status.fault.is_none()) {
            self.status.failures.insert(place, failures);
            self.status.due.insert(place, run_at.0);
            self.status.set(place, Mark::Later);
            self.record(told, Mark::Later, None, Some(failure));
            self.try_again(run_at, failure);
        } else {
            self.record(told, Mark::Failed, None, Some(failure));
            self.failed(place, &failure.message);
        }
    }

    fn undo_told(&mut self, place: usize, told: &Told) {
        match &told.outcome {
            Outcome::Done(output) => {
                self.status.undoing = None;
                self.status.failures.remove(&place);
                // A step that was done in part stays failed or cancelled.
                if self.status.mark(place) == Mark::Done {
                    self.status.set(place, Mark::Undone);
                }
                self.record(told, Mark::Done, Some(output.clone()), None);
            }
            Outcome::Failed(failure) => {
                let failures = self.attempts;
                let retry =
                    self.step(place).and_then(|step| step.compensate.as_ref()).map(|effect| effect.retry);
                let again = again(failure, retry.unwrap_or_default(), failures, told.dice, self.now);
                if let Some(run_at) = again {
                    self.status.failures.insert(place, failures);
                    self.try_again(run_at, failure);
                    return;
                }
                self.status.undoing = None;
                self.status.failures.remove(&place);
                self.record(told, Mark::Failed, None, Some(failure));
                self.not_undone(place, &failure.message);
            }
            // It was not wanted a moment ago, and is now.
            _ => self.decision.end = Some(End::Released),
        }
    }

    fn timer_told(&mut self, place: usize, told: &Told) {
        if self.status.mark(place) == Mark::Asleep {
            self.done(place);
            self.record(told, Mark::Done, None, None);
            return;
        }
        let signal = match self.step(place).map(|step| &step.kind) {
            Some(Kind::Wait(wait)) => wait.signal.as_str(),
            _ => "",
        };
        let failure = Failure::lasting("timeout", format!("the signal `{signal}` did not come in time"));
        self.record(told, Mark::Failed, None, Some(&failure));
        self.failed(place, &failure.message);
    }

    fn output_told(&mut self, told: &Told) {
        match &told.outcome {
            Outcome::Idle if self.state == RunState::Running => self.decision.end = Some(End::Released),
            Outcome::Done(output) => {
                self.status.finishing = false;
                self.decision.output = Some(output.clone());
                self.over(RunState::Done);
            }
            Outcome::Failed(failure) => {
                self.status.finishing = false;
                self.fail(format!("the output cannot be made: {}", failure.message));
            }
            _ => self.status.finishing = false,
        }
    }

    fn try_again(&mut self, run_at: Time, failure: &Failure) {
        self.decision.end = Some(End::Again { run_at, fault: fault_of(failure) });
    }

    /// Writes the row of what has told.
    fn record(&mut self, told: &Told, mark: Mark, output: Option<Vec<u8>>, failure: Option<&Failure>) {
        let key = match told.part() {
            Part::Timer(step) | Part::Child(step, None) => step.clone(),
            Part::Child(step, Some(item)) => Part::Item(step.clone(), *item).to_string(),
            part => part.to_string(),
        };
        self.decision.steps.push(Row {
            key,
            state: mark.as_str().to_owned(),
            input: told.input.clone(),
            output,
            error: failure.map(|failure| shortened(format!("{}: {}", failure.class, failure.message))),
            attempts: self.attempts,
            started: Some(told.started),
            ended: mark.is_final().then_some(self.now),
        });
    }
}

/// When another attempt is made, if any.
fn again(failure: &Failure, retry: Retry, failures: u32, dice: u64, now: Time) -> Option<Time> {
    if !failure.may_pass || failures >= retry.attempts {
        return None;
    }
    let wait = retry.delay(failures, dice).max(failure.after.unwrap_or_default());
    Some(now.after(wait.min(crate::workflow::duration::LONGEST)))
}

fn fault_of(failure: &Failure) -> Fault {
    Fault { class: failure.class.clone(), message: shortened(failure.message.clone()) }
}
