//! Who is told of what, and when: alerts in groups, each told once when it begins, when it changes, and once a repeat.

use super::life::{Alert, Holds, Phase};
use super::rule::{Kind, Rule, Selector, Severity};
use super::{Labels, label};
use crate::moment::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The terms on which is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Alerts with the same values of these labels are told together.
    pub by: Vec<String>,
    /// How long a new group is waited for, so that what breaks together is told together.
    pub wait: Duration,
    /// The least time between two tellings of one group.
    pub interval: Duration,
    /// How long a group that stays as it is is not told again.
    pub repeat: Duration,
}

impl Default for Grouping {
    /// Alertmanager's, but for a shorter wait.
    fn default() -> Self {
        Self {
            by: vec!["alertname".to_owned()],
            wait: Duration::from_secs(10),
            interval: Duration::from_secs(300),
            repeat: Duration::from_secs(4 * 3600),
        }
    }
}

/// What is to be told now, of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The labels that its alerts have in common by [`Grouping::by`].
    pub group: Labels,
    /// Those that fire, then those that were resolved since it was last told.
    pub alerts: Vec<Alert>,
}

impl Notice {
    /// One that says that nothing is wrong, to try who is told.
    #[must_use]
    pub fn test(now: Moment) -> Self {
        let rule = Rule {
            name: "TidegateTest".to_owned(),
            kind: Kind::Absence,
            of: Selector::default(),
            hold: Duration::ZERO,
            keep_firing: Duration::ZERO,
            severity: Severity::Info,
            traffic: None,
            labels: Labels::new(),
            summary: "This is a test".to_owned(),
        };
        let holds = Holds { value: 0.0, words: "nothing is wrong: somebody tries who is told".to_owned() };
        let alert = Alert::begin(&Arc::new(rule), &Labels::new(), holds, now);
        let group = label::project(&alert.labels, &["alertname".to_owned()]);
        Self { group, alerts: vec![alert] }
    }

    /// Firing, while one of its alerts is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.alerts.iter().any(|alert| alert.phase == Phase::Firing) {
            true => Phase::Firing,
            false => Phase::Resolved,
        }
    }
}

/// What has been told.
#[derive(Debug)]
pub(super) struct Groups {
    terms: Grouping,
    groups: BTreeMap<Labels, Group>,
}

/// One group, while it has something that fires or that is yet to be told.
#[derive(Debug)]
struct Group {
    began: Moment,
    told: Option<Moment>,
    /// The ids of those that were told of as firing.
    firing: BTreeSet<String>,
    /// Those among them that have been resolved since.
    resolved: BTreeMap<String, Alert>,
}

impl Groups {
    pub(super) fn new(terms: Grouping) -> Self {
        Self { terms, groups: BTreeMap::new() }
    }

    /// Groups by other labels begin anew; those who were told may be told again.
    pub(super) fn set_grouping(&mut self, terms: Grouping) {
        if terms.by != self.terms.by {
            self.groups.clear();
        }
        self.terms = terms;
    }

    /// An alert whose rule is gone, resolved.
    pub(super) fn left(&mut self, alert: &Alert) {
        if let Some(group) = self.groups.get_mut(&label::project(&alert.labels, &self.terms.by)) {
            group.resolve(alert);
        }
    }

    /// What is to be told now.
    pub(super) fn tell<'a>(
        &mut self,
        alerts: impl Iterator<Item = &'a Alert>,
        is_silenced: impl Fn(&Alert) -> bool,
        now: Moment,
    ) -> Vec<Notice> {
        let mut firing: BTreeMap<Labels, Vec<&Alert>> = BTreeMap::new();
        for alert in alerts {
            let key = label::project(&alert.labels, &self.terms.by);
            match alert.phase {
                Phase::Pending => {}
                _ if is_silenced(alert) => {
                    if let Some(group) = self.groups.get_mut(&key) {
                        group.forget(&alert.id);
                    }
                }
                Phase::Firing => firing.entry(key).or_default().push(alert),
                Phase::Resolved => {
                    if let Some(group) = self.groups.get_mut(&key) {
                        group.resolve(alert);
                    }
                }
            }
        }
        for key in firing.keys() {
            self.groups.entry(key.clone()).or_insert_with(|| Group::begin(now));
        }
        let mut notices = Vec::new();
        for (key, group) in &mut self.groups {
            let firing = firing.get(key).map(Vec::as_slice).unwrap_or_default();
            let told = group.tell(firing, &self.terms, now);
            notices.extend(told.map(|alerts| Notice { group: key.clone(), alerts }));
        }
        let interval = self.terms.interval;
        self.groups.retain(|key, group| {
            // Who comes and goes is remembered for an interval, so that it is not told of more often.
            let is_fresh = group.told.is_some_and(|told| now.since(told) < interval);
            firing.contains_key(key) || !group.firing.is_empty() || is_fresh
        });
        notices
    }
}

impl Group {
    fn begin(now: Moment) -> Self {
        Self { began: now, told: None, firing: BTreeSet::new(), resolved: BTreeMap::new() }
    }

    /// Of whom nobody was told that it fires, nobody is told that it does no longer.
    fn resolve(&mut self, alert: &Alert) {
        if self.firing.contains(&alert.id) && !self.resolved.contains_key(&alert.id) {
            self.resolved.insert(alert.id.clone(), alert.clone());
        }
    }

    fn forget(&mut self, id: &str) {
        self.firing.remove(id);
        self.resolved.remove(id);
    }

    /// What is to be told of it, if anything is due.
    fn tell(&mut self, firing: &[&Alert], terms: &Grouping, now: Moment) -> Option<Vec<Alert>> {
        for alert in firing {
            self.resolved.remove(&alert.id);
        }
        let is_new = firing.iter().any(|alert| !self.firing.contains(&alert.id));
        let is_due = match self.told {
            None => !firing.is_empty() && now.since(self.began) >= terms.wait,
            Some(told) if is_new || !self.resolved.is_empty() => now.since(told) >= terms.interval,
            Some(told) => !firing.is_empty() && now.since(told) >= terms.repeat.max(terms.interval),
        };
        if !is_due {
            return None;
        }
        self.told = Some(now);
        self.firing = firing.iter().map(|alert| alert.id.clone()).collect();
        let resolved = std::mem::take(&mut self.resolved).into_values();
        Some(firing.iter().map(|alert| (*alert).clone()).chain(resolved).collect())
    }
}
