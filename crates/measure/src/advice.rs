//! What an operator might change, and what for: rules over what was seen of requests. Each piece of [`Advice`] comes
//! with its evidence, with what it would save where that can be computed, and with the change itself.
//!
//! ```text
//! Facts (an hour of requests, and the settings in force) ─► RULES, one file each ─► Advice
//!                                                     ▲                              │
//!                                                     └── what stands already ◄──────┘
//! ```
//!
//! A rule speaks when all of its evidence is there and is silent when any piece of it is not. It is deterministic: the
//! same facts give the same advice. So that advice does not flicker, what stands stays for as long as its evidence is
//! above a lower [bar](Bar), and on half the requests. What the settings say already is not advised.
//!
//! A change is `safe` where it alters neither what callers are answered nor who may be asked for money beyond today:
//! what is safe may be applied at a click, all else is for somebody to decide. Each rule says in its file what it
//! holds to be safe, and why.
//!
//! It is pure: facts and the time are handed in, nothing is written. Limits here are by the minute and have no end
//! before which they could run out, so that there is no rule for budgets.

mod case;
mod change;
mod cost;
mod duplicates;
mod facts;
mod max_tokens;
mod prompt_cache;
mod skew;
mod tail;
mod throttled;

#[cfg(test)]
mod stage;
#[cfg(test)]
mod tests;

pub use case::{Bar, Figure, Measured};
pub use change::{Change, Key, Step, Value};
pub use facts::{
    AGES, Alias, Bounds, Facts, Provider, Questions, Repeats, Settings, Target, Times, age_slot,
};

use crate::moment::Moment;
use case::Look;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Pieces of advice at once; beyond that the rules' later subjects are left out.
pub const ADVICE_MAX: usize = 100;

/// A rule: its name, and how it looks at the facts.
struct Rule {
    name: &'static str,
    look: fn(&mut Look<'_>),
}

/// All rules, in the order in which their advice is shown.
const RULES: [Rule; 7] = [
    Rule { name: "duplicates", look: duplicates::look },
    Rule { name: "prompt_cache", look: prompt_cache::look },
    Rule { name: "cost", look: cost::look },
    Rule { name: "skew", look: skew::look },
    Rule { name: "tail", look: tail::look },
    Rule { name: "throttled", look: throttled::look },
    Rule { name: "max_tokens", look: max_tokens::look },
];

/// The rules' names, in the order in which their advice is shown.
pub fn rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The same for the same rule and subject, also after a restart: a rule's name and 16 hexadecimal digits.
    pub id: String,
    /// The rule that gives it.
    pub rule: &'static str,
    /// What it is about: an alias, a provider.
    pub subject: String,
    /// In a few words.
    pub title: String,
    /// What was seen, what to do, and what is to be minded.
    pub words: String,
    /// What it rests on, in an order that can be read.
    pub evidence: Vec<Measured>,
    /// What it would save.
    pub saving: Saving,
    /// What to write into the configuration; empty where there is nothing to write there.
    pub change: Vec<Change>,
    /// Whether that alters neither answers nor who may be asked for money beyond today.
    pub safe: bool,
}

/// What a change would save, at the pace of the time that was looked at. What cannot be computed from what was
/// measured is `None`; nothing here is a guess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Saving {
    /// US dollars a day.
    pub usd_per_day: Option<f64>,
    /// Seconds that the slowest 5 in 100 of the requests concerned would wait less.
    pub seconds_p95: Option<f64>,
    /// Seconds that the slowest 1 in 100 would wait less.
    pub seconds_p99: Option<f64>,
    /// The share of requests concerned, from 0 to 1.
    pub requests_share: Option<f64>,
}

/// On which terms advice is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The fewest requests (answers, tries: what a rule counts) that anything is concluded from.
    pub requests_min: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { requests_min: 200 }
    }
}

/// Advice, and since when it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The advice.
    pub advice: Advice,
    /// Since when it is given.
    pub since: SystemTime,
}

/// Gives advice, and remembers what stands.
#[derive(Debug, Default)]
pub struct Advisor {
    standing: BTreeMap<String, SystemTime>,
}

impl Advisor {
    /// Looks at the facts with every rule.
    pub fn advise(&mut self, facts: &Facts, terms: Terms, now: Moment) -> Vec<Standing> {
        let mut look = Look::new(facts, terms, &self.standing);
        for rule in &RULES {
            look.begin(rule.name);
            (rule.look)(&mut look);
        }
        let given = look.into_advice();
        let since = |advice: &Advice| self.standing.get(&advice.id).copied().unwrap_or(now.wall);
        let standing: Vec<Standing> =
            given.into_iter().map(|advice| Standing { since: since(&advice), advice }).collect();
        self.standing = standing.iter().map(|it| (it.advice.id.clone(), it.since)).collect();
        standing
    }
}
