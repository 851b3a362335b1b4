//! Where each step of a run stands: what the run's row keeps between two events. It holds no outputs; a run
//! of a thousand steps has some kilobytes of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::definition::{Definition, Kind};
use super::task::Part;

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Not begun.
    Waiting,
    /// Its job waits or runs.
    Started,
    /// An attempt failed, and another comes later.
    Later,
    /// Its time has not come.
    Asleep,
    /// Its signal has not come.
    Listening,
    /// Its items are under way.
    Spread,
    /// The run that it started goes on.
    Child,
    /// Done.
    Done,
    /// Not wanted: its condition does not hold, or nothing that it needs was run.
    Skipped,
    /// Given up.
    Failed,
    /// Taken back, as the run failed or was cancelled.
    Cancelled,
    /// Done, and undone.
    Undone,
}

impl Mark {
    const LETTERS: [(Self, char); 12] = [
        (Self::Waiting, 'w'),
        (Self::Started, 's'),
        (Self::Later, 'l'),
        (Self::Asleep, 'z'),
        (Self::Listening, 'h'),
        (Self::Spread, 'm'),
        (Self::Child, 'c'),
        (Self::Done, 'd'),
        (Self::Skipped, 'k'),
        (Self::Failed, 'f'),
        (Self::Cancelled, 'x'),
        (Self::Undone, 'u'),
    ];

    fn letter(self) -> char {
        Self::LETTERS.iter().find(|(mark, _)| *mark == self).map_or('w', |(_, letter)| *letter)
    }

    fn of_letter(letter: char) -> Option<Self> {
        Self::LETTERS.iter().find(|(_, known)| *known == letter).map(|(mark, _)| *mark)
    }

    /// The mark of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::LETTERS.iter().map(|(mark, _)| *mark).find(|mark| mark.as_str() == word)
    }

    /// Whether it stays so unless somebody retries.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Skipped | Self::Failed | Self::Cancelled | Self::Undone)
    }

    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Started => "started",
            Self::Later => "retrying",
            Self::Asleep => "asleep",
            Self::Listening => "listening",
            Self::Spread => "spread",
            Self::Child => "child",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Undone => "undone",
        }
    }
}

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// A letter for each step, in the definition's order.
    #[serde(serialize_with = "write_marks", deserialize_with = "read_marks")]
    pub(super) marks: Vec<Mark>,
    /// Runs above this one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) depth: u8,
    /// Who started it, in the embedder's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) caller: Option<String>,
    /// How often each step was retried by hand; none if not named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) generations: BTreeMap<usize, u32>,
    /// How often each step, or what undoes it, has failed in a row; never if not named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) failures: BTreeMap<usize, u32>,
    /// When each step that is tried again is due, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) due: BTreeMap<usize, i64>,
    /// Which case each branch chose; `None`: none of them held.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) chosen: BTreeMap<usize, Option<usize>>,
    /// How far each step that fans out is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) spreads: BTreeMap<usize, Spread>,
    /// Steps whose signal came before they listened.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) signalled: BTreeSet<usize>,
    /// Steps to be undone where the run fails, in the order in which they ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) undo: Vec<usize>,
    /// The step that is being undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) undoing: Option<usize>,
    /// Why the run fails, once it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<String>,
    /// Whether the output is being made.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) finishing: bool,
    /// How often that was begun.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) finishes: u32,
}

/// How far a step is that fans out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// When it began, in milliseconds since 1970; not known of one that an earlier release began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) began: Option<i64>,
    /// All items.
    pub total: usize,
    /// The first that has not begun.
    pub next: usize,
    /// Those under way: as many as the step's bound at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) open: Vec<Open>,
    /// Items done.
    pub done: usize,
    /// Items given up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failed: usize,
    /// Why the step fails, once it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<String>,
}

impl Spread {
    /// As it looks from outside.
    #[must_use]
    pub fn seen(total: usize, done: usize, failed: usize) -> Self {
        Self { total, done, failed, ..Self::default() }
    }
}

/// An item under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    /// Which.
    pub(super) item: usize,
    /// How often it has failed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) failures: u32,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) stage: Stage,
}

/// What an item under way waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Its job, which waits or runs.
    #[default]
    Started,
    /// Its job, which is due then, in milliseconds since 1970.
    Later(i64),
    /// The run's being resumed.
    Parked,
    /// The run that it started.
    Child,
}

impl Status {
    /// Of a run that has not begun.
    pub(super) fn new(steps: usize, depth: u8) -> Self {
        Self { marks: vec![Mark::Waiting; steps], depth, ..Self::default() }
    }

    /// What the run's row holds, if it fits the definition.
    #[must_use]
    pub fn parse(bytes: &[u8], definition: &Definition) -> Option<Self> {
        let status: Self = serde_json::from_slice(bytes).ok()?;
        (status.marks.len() == definition.steps().len()).then_some(status)
    }

    /// As it looks from outside: where each step stands, in the definition's order, and how far those are that
    /// fan out. It is to be drawn; no run goes on from it.
    #[must_use]
    pub fn seen(marks: Vec<Mark>, spreads: BTreeMap<usize, Spread>) -> Self {
        Self { marks, spreads, ..Self::default() }
    }

    /// Who started it, in the embedder's words.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        self.caller.as_deref()
    }

    /// Where a step stands.
    #[must_use]
    pub fn mark(&self, step: usize) -> Mark {
        self.marks.get(step).copied().unwrap_or(Mark::Waiting)
    }

    /// How far a step is that fans out.
    #[must_use]
    pub fn spread(&self, step: usize) -> Option<&Spread> {
        self.spreads.get(&step)
    }

    pub(super) fn set(&mut self, step: usize, mark: Mark) {
        if let Some(place) = self.marks.get_mut(step) {
            *place = mark;
        }
    }

    pub(super) fn generation(&self, step: usize) -> u32 {
        self.generations.get(&step).copied().unwrap_or(0)
    }

    /// Whether a step's signal came before it listened.
    pub(super) fn is_signalled(&self, definition: &Definition, id: &str) -> bool {
        definition.place(id).is_some_and(|place| self.signalled.contains(&place))
    }

    /// How often a part of the run has failed in a row.
    pub(super) fn failures_of(&self, definition: &Definition, part: &Part) -> u32 {
        let Some(place) = part.step().and_then(|id| definition.place(id)) else { return 0 };
        match part {
            Part::Item(_, item) | Part::Child(_, Some(item)) => {
                let open =
                    self.spread(place).and_then(|spread| spread.open.iter().find(|open| open.item == *item));
                open.map_or(0, |open| open.failures)
            }
            _ => self.failures.get(&place).copied().unwrap_or(0),
        }
    }

    /// Whether a branch chose a step that it decides on. One that was skipped chose none.
    pub(super) fn chose(&self, definition: &Definition, branch: usize, step: usize) -> bool {
        let Some(Kind::Branch(kind)) = definition.steps().get(branch).map(|step| &step.kind) else {
            return false;
        };
        match self.chosen.get(&branch) {
            Some(Some(case)) => kind.cases.get(*case).is_some_and(|case| case.steps.contains(&step)),
            Some(None) => kind.otherwise.contains(&step),
            None => false,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn write_marks<S: Serializer>(marks: &[Mark], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&marks.iter().map(|mark| mark.letter()).collect::<String>())
}

fn read_marks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Mark>, D::Error> {
    let letters = String::deserialize(deserializer)?;
    let mark = |letter| Mark::of_letter(letter).ok_or_else(|| D::Error::custom("unknown mark"));
    letters.chars().map(mark).collect()
}
