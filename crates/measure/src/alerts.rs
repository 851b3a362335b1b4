//! When to call for somebody: rules over figures, and what becomes of each alert.
//!
//! ```text
//!             the rule holds            for long enough (`hold`)
//! inactive ─────────────────► pending ──────────────────────────► firing ──┐ holds again
//!    ▲                           │ it does not                      ▲  └────┘ within `keep_firing`
//!    └───────────────────────────┘                                  │ it does not, for `keep_firing`
//!    ▲                                                              ▼
//!    └───────────────────── once everybody has been told ────── resolved
//! ```
//!
//! Alerts that fire are told of in groups ([`Notice`]): once after a short wait, so that what breaks together is told
//! together; again when the group changes, at most once an interval; and once a repeat while it stays as it is. What
//! is silenced is not told of. The words are Prometheus' and Alertmanager's, so that nobody has to learn others.
//!
//! It is pure: figures come by the trait [`Figures`], the time by [`Moment`], and what is to be told is handed
//! back. It sends nothing and keeps nothing on disk. Everything has a bound; what is beyond it is counted in
//! [`Alerts::left_out`].

mod anomaly;
mod figures;
mod group;
mod history;
mod judge;
mod label;
mod life;
mod rule;
mod silence;
mod watch;

#[cfg(test)]
mod tests;

pub use figures::Figures;
pub use group::{Grouping, Notice};
pub use history::Event;
pub use judge::FORECAST_WINDOW_MIN;
pub use label::{Labels, fingerprint};
pub use life::{Alert, Phase};
pub use rule::{
    Burn, Kind, Limit, PAGE, Rule, Selector, Severity, TICKET, Traffic, WINDOWS_MAX, WINDOWS_MIN,
};
pub use silence::{Matcher, Silence};

use crate::moment::Moment;
use group::Groups;
use history::History;
use silence::Silences;
use watch::Watched;

/// Rules that are watched at once.
pub const RULES_MAX: usize = 256;
/// Alerts of one rule at once.
pub const ALERTS_OF_RULE_MAX: usize = 100;
/// Silences at once.
pub const SILENCES_MAX: usize = 1000;

/// There are as many silences as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// All rules, and all that has become of them.
#[derive(Debug)]
pub struct Alerts {
    watched: Vec<Watched>,
    groups: Groups,
    silences: Silences,
    history: History,
}

impl Alerts {
    /// Without a rule yet.
    #[must_use]
    pub fn new(grouping: Grouping) -> Self {
        Self {
            watched: Vec::new(),
            groups: Groups::new(grouping),
            silences: Silences::default(),
            history: History::default(),
        }
    }

    /// Watches these rules from now on, up to [`RULES_MAX`]. A rule that stays as it was goes on; the alerts of one
    /// that was changed or taken away are resolved.
    pub fn set_rules(&mut self, rules: Vec<Rule>, now: Moment) {
        let mut before = std::mem::take(&mut self.watched);
        for rule in rules.into_iter().take(RULES_MAX) {
            let known = before.iter().position(|watched| *watched.rule == rule);
            self.watched.push(match known {
                Some(index) => before.swap_remove(index),
                None => Watched::new(rule),
            });
        }
        for gone in before {
            for alert in gone.into_resolved(now) {
                self.history.add(Event::of(&alert, now));
                self.groups.left(&alert);
            }
        }
    }

    /// Tells by other terms from now on.
    pub fn set_grouping(&mut self, grouping: Grouping) {
        self.groups.set_grouping(grouping);
    }

    /// Looks at every figure, and gives what is to be told now. To be called every second or so; what happens between
    /// two calls is not seen.
    pub fn tick(&mut self, figures: &dyn Figures, now: Moment) -> Vec<Notice> {
        self.silences.expire(now.wall);
        for watched in &mut self.watched {
            watched.look(figures, now);
            for alert in watched.changed(now) {
                self.history.add(Event::of(alert, now));
            }
        }
        let silences = &self.silences;
        let alerts = self.watched.iter().flat_map(Watched::alerts);
        let notices = self.groups.tell(alerts, |alert| silences.holds(&alert.labels, now.wall), now);
        self.watched.iter_mut().for_each(|watched| watched.forget(now));
        notices
    }

    /// The alerts that are pending or fire, and those that were resolved a moment ago.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.watched.iter().flat_map(Watched::alerts)
    }

    /// The rules, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.watched.iter().map(|watched| &*watched.rule)
    }

    /// What fired and was resolved, the newest first.
    pub fn history(&self) -> impl Iterator<Item = &Event> {
        self.history.events()
    }

    /// The silences that hold or will.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.all()
    }

    /// The silences that keep an alert from being told of.
    pub fn silenced_by<'a>(&'a self, alert: &'a Alert, now: Moment) -> impl Iterator<Item = &'a Silence> {
        self.silences.all().filter(move |silence| silence.holds(&alert.labels, now.wall))
    }

    /// Adds a silence, in the place of one of the same id.
    ///
    /// # Errors
    /// Where there are [`SILENCES_MAX`].
    pub fn silence(&mut self, silence: Silence) -> Result<(), TooMany> {
        self.silences.add(silence)
    }

    /// Ends a silence, and says whether there was one.
    pub fn unsilence(&mut self, id: &str) -> bool {
        self.silences.remove(id)
    }

    /// Series that were not looked at because a rule had too many.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.watched.iter().map(|watched| watched.left_out).sum()
    }
}
