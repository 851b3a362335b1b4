//! One rule at work: the series that it looks at, and the alert of each.

use super::judge::{self, Memory};
use super::life::{Alert, Holds, Phase};
use super::rule::Rule;
use super::{ALERTS_OF_RULE_MAX, Figures, Labels, label};
use crate::moment::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long an alert is shown after it was resolved; Prometheus tells Alertmanager of it for as long.
const SHOWN: Duration = Duration::from_secs(15 * 60);

/// A rule with what it has seen.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) rule: Arc<Rule>,
    series: BTreeMap<Labels, Series>,
    /// Series beyond the bound at the last look.
    pub(super) left_out: usize,
}

/// What is known of one series.
#[derive(Debug, Default)]
struct Series {
    memory: Memory,
    alert: Option<Alert>,
    /// It was there at the last look.
    is_there: bool,
}

impl Watched {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule: Arc::new(rule), series: BTreeMap::new(), left_out: 0 }
    }

    /// Looks at every series, and takes every alert a step further.
    pub(super) fn look(&mut self, figures: &dyn Figures, now: Moment) {
        self.find(figures);
        for (labels, series) in &mut self.series {
            let holds = match series.is_there {
                true => judge::look(&self.rule, labels, &mut series.memory, figures, now),
                false => None,
            };
            series.advance(&self.rule, labels, holds, now);
        }
    }

    /// Which series there are now, up to the bound; those that have an alert are never crowded out.
    fn find(&mut self, figures: &dyn Figures) {
        let of = &self.rule.of;
        let there: BTreeSet<Labels> = match of.by.is_empty() {
            true => BTreeSet::from([Labels::new()]),
            false => {
                let all = figures.series(&of.figure).into_iter();
                let wanted = all.filter(|labels| label::has_all(labels, &of.with));
                wanted.map(|labels| label::project(&labels, &of.by)).collect()
            }
        };
        for (labels, series) in &mut self.series {
            series.is_there = there.contains(labels);
        }
        self.series.retain(|_, series| series.is_there || series.alert.is_some());
        self.left_out = 0;
        for labels in there {
            if self.series.len() < ALERTS_OF_RULE_MAX {
                self.series.entry(labels).or_default().is_there = true;
            } else if !self.series.contains_key(&labels) {
                self.left_out += 1;
            }
        }
    }

    pub(super) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.series.values().filter_map(|series| series.alert.as_ref())
    }

    /// Those that fired or were resolved at this very look.
    pub(super) fn changed(&self, now: Moment) -> impl Iterator<Item = &Alert> {
        self.alerts().filter(move |alert| alert.changed == now && alert.phase != Phase::Pending)
    }

    /// Lets go of alerts that were resolved long ago.
    pub(super) fn forget(&mut self, now: Moment) {
        for series in self.series.values_mut() {
            let is_old = |alert: &mut Alert| alert.resolved.is_some_and(|at| now.since(at) >= SHOWN);
            series.alert.take_if(is_old);
        }
    }

    /// Ends it: its alerts that fire, resolved.
    pub(super) fn into_resolved(self, now: Moment) -> impl Iterator<Item = Alert> {
        let firing = self.series.into_values().filter_map(|series| series.alert);
        firing.filter(|alert| alert.phase == Phase::Firing).map(move |mut alert| {
            alert.resolve(now);
            alert
        })
    }
}

impl Series {
    fn advance(&mut self, rule: &Arc<Rule>, labels: &Labels, holds: Option<Holds>, now: Moment) {
        match (&mut self.alert, holds) {
            (Some(alert), holds) if alert.phase != Phase::Resolved => {
                if !alert.advance(holds, now) {
                    self.alert = None;
                }
            }
            (_, Some(holds)) => self.alert = Some(Alert::begin(rule, labels, holds, now)),
            (_, None) => {}
        }
    }
}
