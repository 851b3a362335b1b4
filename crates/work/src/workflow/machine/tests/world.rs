//! A run without a store: its rows, its jobs, and an outside that answers as it is told to. What a store
//! promises of one commit holds here by construction.

use std::collections::BTreeMap;

use store::Time;
use store::jobs::{End, NewJob};
use store::runs::{Decision, Run, RunState};

use crate::workflow::event::{Event, Failure, Outcome, Told, Verdict};
use crate::workflow::machine::{Beginning, begin, decide, wants};
use crate::workflow::status::{Mark, Status};
use crate::workflow::task::{Part, Task};
use crate::workflow::{Definition, Format};

/// What the outside answers to a task at an attempt, from 1.
pub(super) type Answer<'a> = dyn Fn(&Definition, &Part, u32) -> Outcome + 'a;

pub(super) struct World {
    pub(super) definition: Definition,
    pub(super) run: Run,
    pub(super) now: Time,
    /// Jobs that are not over, by their word.
    pub(super) jobs: BTreeMap<String, NewJob>,
    /// Attempts of each task, by its word.
    pub(super) attempts: BTreeMap<String, u32>,
    /// Ends written for each key.
    pub(super) ends: BTreeMap<String, u32>,
    /// The last state written for each key.
    pub(super) states: BTreeMap<String, String>,
    /// When each key began and ended, as it was written last.
    pub(super) times: BTreeMap<String, (Option<Time>, Option<Time>)>,
    /// What was called outside, in order.
    pub(super) calls: Vec<String>,
    /// Runs started.
    pub(super) children: Vec<Run>,
}

pub(super) fn definition(text: &str) -> Definition {
    Definition::parse(text, Format::of(text)).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

impl World {
    pub(super) fn new(definition: Definition) -> Self {
        let now = Time(1_000_000);
        let beginning = Beginning {
            id: "run-1".to_owned(),
            tenant: "t".to_owned(),
            version: 1,
            source: Vec::new(),
            input: b"{}".to_vec(),
            parent: None,
            depth: 0,
            caller: None,
            now,
        };
        let (run, jobs) = begin(&definition, beginning);
        let mut world = Self {
            definition,
            run,
            now,
            jobs: BTreeMap::new(),
            attempts: BTreeMap::new(),
            ends: BTreeMap::new(),
            states: BTreeMap::new(),
            times: BTreeMap::new(),
            calls: Vec::new(),
            children: Vec::new(),
        };
        world.add(jobs);
        world
    }

    pub(super) fn status(&self) -> Status {
        Status::parse(&self.run.status, &self.definition).expect("a status")
    }

    pub(super) fn mark(&self, id: &str) -> Mark {
        self.status().mark(self.definition.place(id).expect(id))
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        let status = self.status();
        (0..self.definition.steps().len()).map(|place| status.mark(place)).collect()
    }

    fn add(&mut self, jobs: Vec<NewJob>) {
        for job in jobs {
            let word = job.unique.clone().expect("a word");
            self.jobs.entry(word).or_insert(job);
        }
    }

    /// Takes an event, as the store would in one commit. `held` is the job that tells.
    pub(super) fn take(&mut self, event: &Event, held: Option<&str>) -> Verdict {
        let (decision, verdict) = decide(&self.definition, &self.run, event, self.now);
        self.write(decision, held);
        verdict
    }

    fn write(&mut self, decision: Decision, held: Option<&str>) {
        if let Some(state) = decision.state {
            self.run.state = state;
        }
        if let Some(status) = decision.status {
            self.run.status = status;
        }
        self.run.output = decision.output.or(self.run.output.take());
        self.run.error = decision.error.or(self.run.error.take());
        for row in decision.steps {
            if row.ended.is_some() {
                *self.ends.entry(row.key.clone()).or_default() += 1;
            }
            self.times.insert(row.key.clone(), (row.started, row.ended));
            self.states.insert(row.key, row.state);
        }
        self.children.extend(decision.runs);
        if let Some(word) = held {
            match decision.end.expect("an end for whoever tells") {
                End::Again { run_at, .. } => self.jobs.get_mut(word).expect("the job").run_at = run_at,
                End::Released => {}
                _ => {
                    self.jobs.remove(word);
                }
            }
        }
        if decision.cancel_waiting {
            let prefix = format!("{}/", self.run.id);
            self.jobs.retain(|word, _| !word.starts_with(&prefix));
        }
        self.add(decision.jobs);
    }

    /// What a job has to tell, by asking the outside where the run wants it.
    pub(super) fn perform(&mut self, word: &str, answer: &Answer<'_>) -> Told {
        let task = Task::of_payload(&self.jobs[word].payload).expect("a task");
        let outcome = if wants(&self.definition, &self.run, &self.status(), &task) {
            let attempt = self.attempts.entry(task.word()).or_default();
            *attempt += 1;
            let attempt = *attempt;
            self.calls.push(task.key());
            let outcome = match &task.part {
                Part::Timer(_) => Outcome::Fired,
                Part::Cancel => Outcome::Stop,
                part => answer(&self.definition, part, attempt),
            };
            let place = task.part.step().and_then(|id| self.definition.place(id));
            let signalled = place.is_some_and(|place| self.status().signalled.contains(&place));
            // The signal's row has the payload.
            if signalled && matches!(outcome, Outcome::Listens) {
                Outcome::Done(b"1".to_vec())
            } else {
                outcome
            }
        } else {
            Outcome::Idle
        };
        Told { task, outcome, input: None, started: self.now, dice: u64::MAX }
    }

    /// Does one job from its claim to its commit.
    pub(super) fn work(&mut self, word: &str, answer: &Answer<'_>) {
        let told = self.perform(word, answer);
        self.take(&Event::Told(Box::new(told)), Some(word));
    }

    /// The jobs that are due, the earliest first; the clock goes on to the next where none is.
    pub(super) fn due(&mut self) -> Vec<String> {
        if let Some(next) = self.jobs.values().map(|job| job.run_at).min() {
            self.now = self.now.max(next);
        }
        let mut due: Vec<(Time, &String)> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.run_at <= self.now)
            .map(|(word, job)| (job.run_at, word))
            .collect();
        due.sort();
        due.into_iter().map(|(_, word)| word.clone()).collect()
    }

    /// Works until nothing is left to do.
    pub(super) fn finish(&mut self, answer: &Answer<'_>) {
        for _ in 0..10_000 {
            let Some(word) = self.due().into_iter().find(|word| word.starts_with(&self.run.id)) else {
                return;
            };
            self.work(&word, answer);
        }
        panic!("no end: {:?} {:?}", self.run.state, self.marks());
    }

    pub(super) fn is_over(&self) -> bool {
        self.run.state.is_final()
    }

    pub(super) fn assert_over(&self, state: RunState) {
        assert_eq!(self.run.state, state, "{:?} {:?}", self.run.error, self.marks());
    }
}

/// An outside where everything goes well.
pub(super) fn fine(definition: &Definition, part: &Part, _: u32) -> Outcome {
    use crate::workflow::definition::Kind;
    let kind = part.step().and_then(|id| definition.place(id)).map(|place| &definition.steps()[place].kind);
    match (part, kind) {
        (Part::Step(_), Some(Kind::Branch(_))) => Outcome::Chose(Some(0)),
        (Part::Step(_), Some(Kind::Map(_))) => Outcome::Spread(vec![b"1".to_vec(); 5]),
        (Part::Step(_), Some(Kind::Sleep(_))) => Outcome::Sleeps(Time(2_000_000)),
        (Part::Step(_), Some(Kind::Wait(_))) => Outcome::Listens,
        (part, _) => Outcome::Done(format!("\"{part}\"").into_bytes()),
    }
}

/// A failure that another attempt may mend.
pub(super) fn passing() -> Outcome {
    Outcome::Failed(Failure::passing("test", "not now"))
}

/// One that none will.
pub(super) fn lasting() -> Outcome {
    Outcome::Failed(Failure::lasting("test", "never"))
}
