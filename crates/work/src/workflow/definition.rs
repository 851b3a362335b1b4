//! A definition that has been checked: names are resolved, nothing refers to what is not there, and no step
//! waits for itself. There is no way to one but through [`Definition::parse`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::expression::Expression;
use super::input::Input;
use super::template::Template;

/// Most steps of a definition.
pub const STEPS_MAX: usize = 1_000;
/// Most bytes of a definition's source.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;
/// Most items that a step fans out over.
pub const ITEMS_MAX: usize = 10_000;
/// Most items of one step that are under way at once.
pub const CONCURRENCY_MAX: usize = 100;

/// A workflow: what is done, in which order, with what.
#[derive(Clone, Debug)]
pub struct Definition {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) input: Input,
    pub(super) steps: Vec<Step>,
    pub(super) output: Option<Template>,
    /// The steps whose outputs the run's output reads.
    pub(super) output_reads: Vec<usize>,
    /// Which steps wait for each, directly.
    pub(super) followers: Vec<Vec<usize>>,
    /// Which step waits for each signal.
    pub(super) signals: BTreeMap<String, usize>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Unique within the definition; as expressions name it.
    pub id: String,
    /// For people.
    pub description: Option<String>,
    /// What it does.
    pub kind: Kind,
    /// The steps that must have ended before, by their places in [`Definition::steps`], in that order; the
    /// branch that decides on it is among them.
    pub needs: Vec<usize>,
    /// The branch that decides whether it is run.
    pub chosen_by: Option<usize>,
    /// Only where this holds; otherwise it is skipped.
    pub when: Option<Expression>,
    /// Whether the run goes on where it fails.
    pub on_error: OnError,
    /// What undoes it where the run fails later.
    pub compensate: Option<Effect>,
    /// The steps whose outputs its own expressions read.
    pub(super) reads: Vec<usize>,
    /// The same of what undoes it.
    pub(super) undo_reads: Vec<usize>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Kind {
    /// One thing.
    Work(Work),
    /// The same for each item of a list.
    Map(Map),
    /// Chooses which steps are run.
    Branch(Branch),
    /// Lets time pass.
    Sleep(Sleep),
    /// Waits for a signal, and has its payload as output.
    Wait(Wait),
}

/// What can also be done for each item of a list.
#[derive(Clone, Debug)]
pub enum Work {
    /// A call of something outside.
    Effect(Effect),
    /// A run of another workflow, whose output becomes the step's.
    Child(Child),
}

/// A call of something outside, and how often and how long it is tried.
#[derive(Clone, Debug)]
pub struct Effect {
    /// What is called.
    pub call: Call,
    /// How often.
    pub retry: Retry,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// What is called.
#[derive(Clone, Debug)]
pub enum Call {
    /// A model, through whatever the embedder hands in.
    Model {
        /// Its name.
        model: Template,
        /// The request's body, the model apart.
        request: Template,
    },
    /// A server.
    Http {
        /// GET, POST, PUT, PATCH, DELETE or HEAD.
        method: Method,
        /// `http://` or `https://`.
        url: Template,
        /// Names and values.
        headers: Vec<(String, Template)>,
        /// Sent as JSON, or as it is where it is text; none if not given.
        body: Option<Template>,
    },
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "HTTP's own words")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub(super) const ALL: [Self; 6] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// In HTTP's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How often a call is tried, and how long is waited between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// All attempts, the first included.
    pub attempts: u32,
    /// The wait after the first failure; twice as long after each further one.
    pub backoff: Duration,
    /// It grows to this at most.
    pub backoff_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, backoff: Duration::from_secs(1), backoff_max: Duration::from_secs(60) }
    }
}

impl Retry {
    /// The wait after so many failures. The evenly distributed `dice` spreads it over its upper half, so that
    /// what failed together does not come back together.
    #[must_use]
    pub fn delay(&self, failures: u32, dice: u64) -> Duration {
        let backoff = guard::retry::Backoff { base: self.backoff, max: self.backoff_max };
        backoff.delay(failures.saturating_sub(1), dice)
    }
}

/// A run of another workflow.
#[derive(Clone, Debug)]
pub struct Child {
    /// Its name.
    pub workflow: String,
    /// Its version; the newest if not given.
    pub version: Option<i64>,
    /// What it is started with.
    pub input: Template,
}

/// The same for each item of a list. Its output is the list of the items' outputs, in their order.
#[derive(Clone, Debug)]
pub struct Map {
    /// Gives the list.
    pub over: Expression,
    /// Items under way at once.
    pub concurrency: usize,
    /// What is done.
    pub each: Work,
    /// Whether the others go on where an item fails; its output is null then.
    pub on_item_error: OnError,
}

/// Chooses which steps are run: those of the first case that holds.
#[derive(Clone, Debug)]
pub struct Branch {
    /// In the order in which they are tried.
    pub cases: Vec<Case>,
    /// The steps where no case holds.
    pub otherwise: Vec<usize>,
}

/// One case of a branch.
#[derive(Clone, Debug)]
pub struct Case {
    /// Whether it holds.
    pub when: Expression,
    /// The steps that are run then.
    pub steps: Vec<usize>,
}

/// How long a step sleeps.
#[derive(Clone, Debug)]
pub enum Sleep {
    /// So long: `90s`, `1h30m`, or a number of seconds.
    For(Template),
    /// Until a moment, as RFC 3339 writes it.
    Until(Template),
}

/// What a step waits for.
#[derive(Clone, Debug)]
pub struct Wait {
    /// The signal's name; no other step of the definition waits for it.
    pub signal: String,
    /// How long; for ever if not given.
    pub timeout: Option<Duration>,
}

/// What a failure means for the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It fails.
    #[default]
    Fail,
    /// It goes on; the step's output is null.
    Continue,
}

impl Definition {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Its steps, in the order of the source.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The names of the workflows that it starts.
    pub fn children(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| Some(step.kind.child()?.workflow.as_str()))
    }

    /// Checks what a run is to be started with, and fills in what is not given.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn accept(&self, input: Value) -> Result<Value, super::Faults> {
        self.input.accept(input)
    }

    /// The place of a step.
    #[must_use]
    pub fn place(&self, id: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.id == id)
    }

    /// A step and all that wait for it, directly or not, as a mark on each.
    pub(super) fn downstream(&self, from: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut reached = vec![false; self.steps.len()];
        let mut open: Vec<usize> = from.into_iter().collect();
        while let Some(place) = open.pop() {
            if let Some(mark) = reached.get_mut(place)
                && !std::mem::replace(mark, true)
            {
                open.extend(self.followers.get(place).into_iter().flatten());
            }
        }
        reached
    }
}

impl Kind {
    /// What is done for the step itself or for each of its items.
    pub(super) fn work(&self) -> Option<&Work> {
        match self {
            Self::Work(work) => Some(work),
            Self::Map(map) => Some(&map.each),
            _ => None,
        }
    }

    /// The workflow that it starts.
    pub(super) fn child(&self) -> Option<&Child> {
        match self.work()? {
            Work::Child(child) => Some(child),
            Work::Effect(_) => None,
        }
    }

    /// As the definition spells it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Work(work) => work.as_str(),
            Self::Map(_) => "map",
            Self::Branch(_) => "branch",
            Self::Sleep(_) => "sleep",
            Self::Wait(_) => "wait",
        }
    }
}

impl Work {
    /// As the definition spells it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Effect(Effect { call: Call::Model { .. }, .. }) => "model",
            Self::Effect(Effect { call: Call::Http { .. }, .. }) => "http",
            Self::Child(_) => "workflow",
        }
    }

    /// How often it is tried: a child is started once.
    pub(super) fn retry(&self) -> Retry {
        match self {
            Self::Effect(effect) => effect.retry,
            Self::Child(_) => Retry { attempts: 1, ..Retry::default() },
        }
    }
}
