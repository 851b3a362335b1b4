//! Days of alerts on a clock of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kinds;
mod life;
mod telling;

use super::*;
use crate::past::Past;
use std::collections::BTreeMap;
use std::time::Duration;

/// A figure over time: its value in each second; `None` while it is unknown.
type Course = fn(u64) -> Option<f64>;

/// Figures that follow courses; over a window they are the mean of their seconds.
#[derive(Default)]
struct Script {
    courses: Vec<(&'static str, Labels, Course)>,
    past: Vec<Past<(f64, f64)>>,
    sums: Vec<Option<(f64, f64)>>,
    now: Option<Moment>,
}

impl Script {
    fn course(&mut self, name: &'static str, labels: &[(&str, &str)], course: Course) {
        self.courses.push((name, labels_of(labels), course));
        self.past.push(Past::default());
        self.sums.push(None);
    }

    fn pass(&mut self, second: u64, now: Moment) {
        let is_first = self.now.replace(now).is_none();
        for (at, (_, _, course)) in self.courses.iter().enumerate() {
            if is_first {
                let before = Moment { at: now.at - seconds(1), wall: now.wall - seconds(1) };
                self.past[at].keep(&(0.0, 0.0), before);
            }
            let (sum, count) = self.sums[at].unwrap_or_default();
            self.sums[at] = course(second).map(|value| (sum + value, count + 1.0));
            self.past[at].keep(&self.sums[at].unwrap_or_default(), now);
        }
    }

    fn mean(&self, at: usize, window: Duration) -> Option<f64> {
        let (sum, count) = self.sums[at]?;
        let (_, (sum_before, count_before)) = self.past[at].before(window, self.now?)?;
        Some((sum - sum_before) / (count - count_before))
    }
}

impl Figures for Script {
    fn value(&self, name: &str, labels: &[(&str, &str)], window: Duration) -> Option<f64> {
        let wanted = labels_of(labels);
        let is_it = |of: &(&str, Labels, Course)| of.0 == name && label::has_all(&of.1, &wanted);
        self.mean(self.courses.iter().position(is_it)?, window)
    }

    fn series(&self, name: &str) -> Vec<Labels> {
        self.courses.iter().filter(|of| of.0 == name).map(|of| of.1.clone()).collect()
    }
}

fn labels_of(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A rule on the figure `f`, over ten seconds, that fires at once.
fn rule(kind: Kind) -> Rule {
    Rule {
        name: "r".into(),
        kind,
        of: Selector { figure: "f".into(), window: Duration::from_secs(10), ..Selector::default() },
        hold: Duration::ZERO,
        keep_firing: Duration::ZERO,
        severity: Severity::Warning,
        traffic: None,
        labels: Labels::new(),
        summary: "It is so".into(),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Everything, run second by second.
struct Stand {
    alerts: Alerts,
    script: Script,
    start: Moment,
    second: u64,
    /// Seconds between two looks.
    step: u64,
    /// By how much every other look comes early, as a timer's do.
    early: Duration,
    /// What was told, and in which second.
    told: Vec<(u64, Notice)>,
}

impl Stand {
    fn new(grouping: Grouping, rules: Vec<Rule>) -> Self {
        let (mut alerts, start) = (Alerts::new(grouping), Moment::now());
        alerts.set_rules(rules, start);
        Self {
            alerts,
            script: Script::default(),
            start,
            second: 0,
            step: 1,
            early: Duration::ZERO,
            told: Vec::new(),
        }
    }

    /// One rule on one figure, told of at once.
    fn of(rule: Rule, course: Course) -> Self {
        let at_once = Grouping { wait: Duration::ZERO, interval: Duration::ZERO, ..Grouping::default() };
        let mut stand = Self::new(at_once, vec![rule]);
        stand.script.course("f", &[], course);
        stand
    }

    fn now(&self) -> Moment {
        let early = if self.second % 2 == 1 { self.early } else { Duration::ZERO };
        self.start.after(seconds(self.second) - early)
    }

    fn run(&mut self, until: u64) {
        while self.second < until {
            self.second += self.step;
            let now = self.now();
            self.script.pass(self.second, now);
            let notices = self.alerts.tick(&self.script, now);
            self.told.extend(notices.into_iter().map(|notice| (self.second, notice)));
        }
    }

    /// The seconds in which alerts fired and were resolved, in turn.
    fn events(&self) -> Vec<(&'static str, u64)> {
        let mut events: Vec<_> = self.alerts.history().collect();
        events.reverse();
        events.iter().map(|event| (event.phase.name(), event.at.since(self.start).as_secs())).collect()
    }

    fn phases(&self) -> BTreeMap<&str, Phase> {
        self.alerts.alerts().map(|alert| (alert.rule.name.as_str(), alert.phase)).collect()
    }
}
