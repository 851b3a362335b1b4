//! What an engine has done since it began, to be shown elsewhere.

use std::time::Duration;

use crate::stats::{Durations, Histogram};
use crate::workflow::definition::{Definition, Kind};
use crate::workflow::event::Outcome;
use crate::workflow::task::Part;

/// What is told apart: the kinds of steps that do something by themselves.
pub const KINDS: [&str; 7] = ["model", "http", "workflow", "map", "branch", "sleep", "wait"];

/// How long what steps do takes, by kind.
#[derive(Debug, Default)]
pub(super) struct Stats([Durations; KINDS.len()]);

impl Stats {
    /// Counts a job that did something for a step or an item: from its beginning to before its commit.
    pub(super) fn add(&self, definition: &Definition, part: &Part, outcome: &Outcome, took: Duration) {
        let (Part::Step(id) | Part::Item(id, _)) = part else { return };
        if matches!(outcome, Outcome::Idle) {
            return;
        }
        let step = definition.place(id).and_then(|place| definition.steps().get(place));
        let kind = step.map(|step| match (part, &step.kind) {
            (Part::Item(..), Kind::Map(map)) => map.each.as_str(),
            (_, kind) => kind.as_str(),
        });
        let at = KINDS.iter().position(|known| Some(*known) == kind);
        if let Some(durations) = at.and_then(|at| self.0.get(at)) {
            durations.add(took);
        }
    }

    pub(super) fn report(&self) -> Vec<(&'static str, Histogram)> {
        KINDS.into_iter().zip(self.0.each_ref().map(Durations::report)).collect()
    }
}
