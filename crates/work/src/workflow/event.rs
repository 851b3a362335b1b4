//! What happens to a run.

use std::time::Duration;

use store::Time;
use store::jobs::NewJob;
use store::runs::Run;

use super::task::{Part, Task};

/// What happens to a run.
#[derive(Clone, Debug)]
pub enum Event {
    /// A job tells what came of it.
    Told(Box<Told>),
    /// Somebody sent a signal.
    Signal {
        /// Its name.
        name: String,
        /// What came with it, as JSON.
        payload: Vec<u8>,
    },
    /// Nothing more is to be begun.
    Pause,
    /// It goes on.
    Resume,
    /// It ends at once. What was done stays done.
    Cancel,
    /// A step and all that follow it are done anew.
    Retry {
        /// Which.
        step: usize,
    },
}

/// What a job tells.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which.
    pub task: Task,
    /// What came of it.
    pub outcome: Outcome,
    /// What it was given, as JSON; kept for people to see.
    pub input: Option<Vec<u8>>,
    /// When it began.
    pub started: Time,
    /// Evenly distributed: spreads what is tried again.
    pub dice: u64,
}

/// What came of a job.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing was done, as the run did not want it when the job began.
    Idle,
    /// The step's condition does not hold.
    Skipped,
    /// Which case holds; `None`: none of them.
    Chose(Option<usize>),
    /// The items over which the step fans out, each as JSON.
    Spread(Vec<Vec<u8>>),
    /// The step sleeps until then, or its timer fires.
    Sleeps(Time),
    /// The step waits for its signal.
    Listens,
    /// The time is up.
    Fired,
    /// A child is to be started: its run, and its first jobs.
    Began(Box<Run>, Vec<NewJob>),
    /// Done, with an output as JSON.
    Done(Vec<u8>),
    /// The attempt failed.
    Failed(Failure),
    /// The run is to end: its parent wants it.
    Stop,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of few words: `timeout`, `rate_limit`, `expression`.
    pub class: String,
    /// For people.
    pub message: String,
    /// Whether another attempt may help.
    pub may_pass: bool,
    /// Not before so long, where whoever was called said so.
    pub after: Option<Duration>,
    /// Whether anything was begun. Where nothing was, as nobody may be asked now or whoever asks is about to
    /// leave, it is done [later](Self::after), and costs no attempt unless that goes on for a day.
    pub begun: bool,
}

impl Failure {
    /// One that no further attempt will mend.
    #[must_use]
    pub fn lasting(class: &str, message: impl Into<String>) -> Self {
        Self { class: class.to_owned(), message: message.into(), may_pass: false, after: None, begun: true }
    }

    /// One that another attempt may mend.
    #[must_use]
    pub fn passing(class: &str, message: impl Into<String>) -> Self {
        Self { may_pass: true, ..Self::lasting(class, message) }
    }

    /// One of which nothing was begun.
    #[must_use]
    pub fn before_it_began(class: &str, message: impl Into<String>) -> Self {
        Self { begun: false, ..Self::passing(class, message) }
    }
}

/// Whether an event meant anything to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It did.
    Taken,
    /// It was told before, or is of an earlier generation: nothing has changed.
    Stale,
    /// The run is not in a state for it: nothing has changed.
    Refused,
    /// No step of the workflow waits for such a signal.
    Unknown,
}

impl Told {
    pub(super) fn part(&self) -> &Part {
        &self.task.part
    }
}
