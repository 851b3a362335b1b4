//! Workflows under way. What a status means and what follows a step is decided above, by a function that is
//! run while nobody else can change the run.

use crate::jobs::{Cancel, End, Lease, NewJob};
use crate::{Answer, Time};
use std::sync::Arc;

/// A definition, kept in each version.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Whose it is.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// 1 and upwards.
    pub version: i64,
    /// As it was given.
    pub source: Vec<u8>,
    /// When it was added.
    pub created: Time,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RunState {
    /// Goes on.
    Running = 0,
    /// Rests until it is resumed.
    Paused = 1,
    /// Undoes what it has done.
    Compensating = 2,
    /// Done, with an output.
    Done = 3,
    /// Failed, and undone as far as it could be.
    Failed = 4,
    /// Taken back.
    Cancelled = 5,
}

impl RunState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Paused, Self::Compensating, Self::Done, Self::Failed, Self::Cancelled];

    /// The state with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i64 == number)
    }

    /// Whether nothing more will happen to it unless somebody asks.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// `run-` and 24 letters and digits.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// Of which workflow.
    pub workflow: String,
    /// In which version: its definition from beginning to end.
    pub version: i64,
    /// The definition itself.
    pub definition: Vec<u8>,
    /// What it was started with.
    pub input: Vec<u8>,
    /// Where it stands.
    pub state: RunState,
    /// Where each step stands, in the form of whoever decides.
    pub status: Vec<u8>,
    /// What came of it.
    pub output: Option<Vec<u8>>,
    /// Why it failed.
    pub error: Option<String>,
    /// The run and the step that wait for it.
    pub parent: Option<(String, String)>,
    /// When it was started, last changed, and over.
    pub created: Time,
    #[expect(missing_docs, reason = "said above")]
    pub changed: Time,
    #[expect(missing_docs, reason = "said above")]
    pub ended: Option<Time>,
}

/// One step of a run, or one item of a step that fans out.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Unique within the run: `summarise`, `summarise/17`.
    pub key: String,
    /// In the words of whoever decides.
    pub state: String,
    /// What it was given.
    pub input: Option<Vec<u8>>,
    /// What came of it.
    pub output: Option<Vec<u8>>,
    /// Why it failed.
    pub error: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it began, and when it was over.
    pub started: Option<Time>,
    #[expect(missing_docs, reason = "said above")]
    pub ended: Option<Time>,
}

/// What changes in a run; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Where it stands now. A run that was over and goes on again has no output and no error any more.
    pub state: Option<RunState>,
    /// The same of its steps.
    pub status: Option<Vec<u8>>,
    /// What came of it.
    pub output: Option<Vec<u8>>,
    /// Why it failed.
    pub error: Option<String>,
    /// Steps written, each whole.
    pub steps: Vec<Step>,
    /// Jobs added.
    pub jobs: Vec<NewJob>,
    /// Runs started: children.
    pub runs: Vec<Run>,
    /// How the job ends that brought this about; `None` leaves it running.
    pub end: Option<End>,
    /// Whether jobs of this run that have not begun are taken back.
    pub cancel_waiting: bool,
}

/// Decides what changes. It may be run more than once, and only the last counts.
pub type Decide = Arc<dyn Fn(&Run) -> Decision + Send + Sync>;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Advanced {
    /// Written; the run as it stands now.
    Now(Box<Run>),
    /// The job's lease was lost: nothing was written.
    Lost,
    /// There is no such run.
    Unknown,
}

/// The rows of workflows. Jobs of a run have the run's id in their [`unique`](NewJob::unique) word before a
/// slash: `run-…/step`.
pub trait Runs: Send + Sync {
    /// Adds a version of a definition, and says which it is. The same source as the newest is that.
    fn define(&self, tenant: &str, name: &str, source: Vec<u8>, now: Time) -> Answer<'_, Definition>;

    /// The newest version, or the one that is named.
    fn definition(&self, tenant: &str, name: &str, version: Option<i64>) -> Answer<'_, Option<Definition>>;

    /// The newest version of each.
    fn definitions(&self, tenant: Option<&str>) -> Answer<'_, Vec<Definition>>;

    /// Starts a run with its first jobs, in one step; `key` makes a second start of the same harmless and
    /// gives the run that was started with it, of the same tenant and workflow. So does a run's id.
    fn start(&self, run: Run, jobs: Vec<NewJob>, steps: Vec<Step>, key: Option<String>) -> Answer<'_, Run>;

    /// The run that was started with this key, of this tenant and workflow.
    fn started(&self, tenant: &str, workflow: &str, key: &str) -> Answer<'_, Option<Run>>;

    /// Changes a run by `decide`, under its lock, in one step with the end of the job that `held` leases.
    fn advance(&self, id: &str, held: Option<Lease>, now: Time, decide: Decide) -> Answer<'_, Advanced>;

    /// The run; `tenant` `None`: whosever it is.
    fn run(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<Run>>;

    /// Runs from the newest to the oldest; those before the run `before` if given.
    fn runs(
        &self,
        tenant: Option<&str>,
        workflow: Option<&str>,
        state: Option<RunState>,
        before: Option<&str>,
        limit: u32,
    ) -> Answer<'_, Vec<Run>>;

    /// Steps of a run: those named, or all up to `limit`, by key.
    fn steps(&self, id: &str, keys: Option<Vec<String>>, limit: u32) -> Answer<'_, Vec<Step>>;

    /// How many runs are in each state.
    fn counts(&self) -> Answer<'_, Vec<(RunState, u64)>>;

    /// Forgets runs that were over before `before`, with their steps; so many at most.
    fn purge(&self, before: Time, limit: u32) -> Answer<'_, u64>;

    /// Takes back the jobs of a run that have not begun, and asks those that run to end.
    fn cancel_jobs(&self, id: &str, now: Time) -> Answer<'_, Vec<Cancel>>;
}
