//! The life of one alert: pending, firing, resolved.

use super::rule::Rule;
use super::{Labels, fingerprint};
use crate::moment::Moment;
use std::sync::Arc;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its rule holds, but not for long enough yet.
    Pending,
    /// Somebody is to be called.
    Firing,
    /// It fired and does no longer.
    Resolved,
}

impl Phase {
    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert of one rule, for one set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The [`fingerprint`] of its labels.
    pub id: String,
    /// Its rule.
    pub rule: Arc<Rule>,
    /// The figure's labels, the rule's, `alertname` and `severity`.
    pub labels: Labels,
    /// Where it stands.
    pub phase: Phase,
    /// When the rule began to hold.
    pub since: Moment,
    /// When it fired.
    pub fired: Option<Moment>,
    /// When it was resolved.
    pub resolved: Option<Moment>,
    /// The figure, when the rule held last.
    pub value: f64,
    /// What that means, when the rule held last.
    pub words: String,
    /// When the rule held last.
    held: Moment,
    /// When it came to where it stands.
    pub(super) changed: Moment,
}

/// What a look at a figure says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Holds {
    pub(super) value: f64,
    pub(super) words: String,
}

impl Alert {
    /// The alert of a rule that has begun to hold.
    pub(super) fn begin(rule: &Arc<Rule>, series: &Labels, holds: Holds, now: Moment) -> Self {
        let mut labels = series.clone();
        labels.extend(rule.labels.clone());
        labels.insert("alertname".to_owned(), rule.name.clone());
        labels.insert("severity".to_owned(), rule.severity.name().to_owned());
        let mut alert = Self {
            id: fingerprint(&labels),
            rule: Arc::clone(rule),
            labels,
            phase: Phase::Pending,
            since: now,
            fired: None,
            resolved: None,
            value: holds.value,
            words: holds.words,
            held: now,
            changed: now,
        };
        alert.fire_if_due(now);
        alert
    }

    /// Takes in what the next look says. `false`: it is over without ever having fired.
    pub(super) fn advance(&mut self, holds: Option<Holds>, now: Moment) -> bool {
        match (self.phase, holds) {
            (Phase::Pending | Phase::Firing, Some(Holds { value, words })) => {
                (self.value, self.words, self.held) = (value, words, now);
                self.fire_if_due(now);
            }
            (Phase::Pending, None) => return false,
            (Phase::Firing, None) if now.since(self.held) >= self.rule.keep_firing => self.resolve(now),
            (Phase::Firing, None) | (Phase::Resolved, _) => {}
        }
        true
    }

    fn fire_if_due(&mut self, now: Moment) {
        if self.phase == Phase::Pending && now.since(self.since) >= self.rule.hold {
            (self.phase, self.fired, self.changed) = (Phase::Firing, Some(now), now);
        }
    }

    pub(super) fn resolve(&mut self, now: Moment) {
        (self.phase, self.resolved, self.changed) = (Phase::Resolved, Some(now), now);
    }
}
