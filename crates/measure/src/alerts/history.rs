//! What fired and was resolved, up to a bound.

use super::life::{Alert, Phase};
use super::{Labels, Severity};
use crate::moment::Moment;
use std::collections::VecDeque;

/// Events that are remembered.
const EVENTS_MAX: usize = 1000;

/// An alert that came to fire or was resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Moment,
    /// The alert's id.
    pub id: String,
    /// Its rule's name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// How grave it is.
    pub severity: Severity,
    /// What it has come to.
    pub phase: Phase,
    /// When it fired.
    pub fired: Option<Moment>,
    /// The figure, when the rule held last.
    pub value: f64,
    /// What that means.
    pub words: String,
}

impl Event {
    pub(super) fn of(alert: &Alert, now: Moment) -> Self {
        Self {
            at: now,
            id: alert.id.clone(),
            name: alert.rule.name.clone(),
            labels: alert.labels.clone(),
            severity: alert.rule.severity,
            phase: alert.phase,
            fired: alert.fired,
            value: alert.value,
            words: alert.words.clone(),
        }
    }
}

/// The newest events, the newest first.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Event>);

impl History {
    pub(super) fn add(&mut self, event: Event) {
        self.0.truncate(EVENTS_MAX - 1);
        self.0.push_front(event);
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.0.iter()
    }
}
