//! What a job of a run is told, and the word by which everybody knows it.
//!
//! ```text
//! run-4f…/summarise          the step
//! run-4f…/summarise/17       its item
//! run-4f…/charge/undo        what undoes it
//! run-4f…/summarise/17~2     the item, after the step was retried twice
//! ```
//!
//! The word is unique among jobs, is the row's key less the run and the generation, and goes with each call
//! outside as its idempotency key: whatever crashes, the same attempt at the same thing has the same word.

use std::fmt;

use serde::{Deserialize, Serialize};
use store::Time;
use store::jobs::{Band, NewJob};

/// The queue of all jobs of runs.
pub const QUEUE: &str = "workflow";
/// The kind of the jobs that do something.
pub const STEP: &str = "workflow.step";
/// The kind of the jobs that only come when it is time.
pub const TIMER: &str = "workflow.timer";

/// Attempts that a job of a run may cost the store: the run itself counts what failed, and must hear of it.
const ATTEMPTS_MAX: u32 = 1_000_000;

/// What a job is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Task {
    /// Which run.
    pub run: String,
    /// What of it.
    pub part: Part,
    /// How often the step had been retried when the job was added. A job of an earlier one is stale.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u32,
}

/// A part of a run that a job does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A step.
    Step(String),
    /// One item of a step that fans out.
    Item(String, usize),
    /// What undoes a step.
    Undo(String),
    /// The end of a step's sleep, or of its patience.
    Timer(String),
    /// The end of the run that a step, or an item of it, waits for.
    Child(String, Option<usize>),
    /// The run's output, once all steps have ended.
    Output,
    /// The end of the whole run, as its parent wants it.
    Cancel,
}

impl Part {
    /// The step's id.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::Step(step)
            | Self::Item(step, _)
            | Self::Undo(step)
            | Self::Timer(step)
            | Self::Child(step, _) => Some(step),
            Self::Output | Self::Cancel => None,
        }
    }
}

impl fmt::Display for Part {
    /// Its key. No step's id has a `~`, and no item's number is a word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => f.write_str(step),
            Self::Item(step, item) => write!(f, "{step}/{item}"),
            Self::Undo(step) => write!(f, "{step}/undo"),
            Self::Timer(step) => write!(f, "{step}/timer"),
            Self::Child(step, None) => write!(f, "{step}/child"),
            Self::Child(step, Some(item)) => write!(f, "{step}/{item}/child"),
            Self::Output => f.write_str("~output"),
            Self::Cancel => f.write_str("~cancel"),
        }
    }
}

impl Task {
    /// Its word within the run.
    #[must_use]
    pub fn key(&self) -> String {
        match self.generation {
            0 => self.part.to_string(),
            generation => format!("{}~{generation}", self.part),
        }
    }

    /// Its word among all runs.
    #[must_use]
    pub fn word(&self) -> String {
        format!("{}/{}", self.run, self.key())
    }

    /// The step or the item that a key names: how a child says who waits for it.
    pub(super) fn waiting(run: &str, key: &str) -> Option<Self> {
        let (key, generation) = key.split_once('~').unwrap_or((key, "0"));
        let part = match key.split_once('/') {
            Some((step, item)) => Part::Child(step.to_owned(), Some(item.parse().ok()?)),
            None => Part::Child(key.to_owned(), None),
        };
        Some(Self { run: run.to_owned(), part, generation: generation.parse().ok()? })
    }

    /// What a job's payload says, if it is one of ours.
    #[must_use]
    pub fn of_payload(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    /// The job that does it.
    pub(super) fn job(&self, tenant: &str, run_at: Time) -> NewJob {
        let kind = if matches!(self.part, Part::Timer(_)) { TIMER } else { STEP };
        NewJob {
            queue: QUEUE.to_owned(),
            tenant: tenant.to_owned(),
            kind: kind.to_owned(),
            band: Band::Normal,
            run_at,
            deadline: None,
            attempts_max: ATTEMPTS_MAX,
            idempotency: None,
            unique: Some(self.word()),
            // Names and numbers can always be written.
            payload: serde_json::to_vec(self).unwrap_or_default(),
            replay_of: None,
            keep: false,
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
