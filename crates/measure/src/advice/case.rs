//! A rule at its work: the facts before it, the bars that its evidence must reach, and the advice that comes of it.

use super::{ADVICE_MAX, Advice, Alias, Change, Facts, Saving, Terms, Value};
use crate::alerts::fingerprint;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// What evidence must reach. A figure that is `from` or beyond gives new advice; one that stands is kept for as long
/// as the figure is `keep` or beyond. Beyond is above where `from` is not below `keep`, else below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// For advice to be given.
    pub from: f64,
    /// For advice that stands to be kept.
    pub keep: f64,
}

/// One figure of the evidence. Its unit is the last word of its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// What it is.
    pub name: &'static str,
    /// How much of it.
    #[serde(serialize_with = "plain")]
    pub value: Figure,
}

/// A figure's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// A number.
    Number(f64),
    /// Who it is about.
    Text(String),
}

fn plain<S: Serializer>(value: &Figure, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        // Counts are whole numbers, and are shown as such.
        Figure::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            serializer.serialize_i64(*number as i64)
        }
        Figure::Number(number) => serializer.serialize_f64(*number),
        Figure::Text(text) => serializer.serialize_str(text),
    }
}

impl From<u64> for Figure {
    fn from(count: u64) -> Self {
        Self::Number(count as f64)
    }
}

impl From<f64> for Figure {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Duration> for Figure {
    fn from(time: Duration) -> Self {
        Self::Number(time.as_secs_f64())
    }
}

impl From<&str> for Figure {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What the rules see, and what they have said.
pub(super) struct Look<'a> {
    pub(super) facts: &'a Facts,
    terms: Terms,
    standing: &'a BTreeMap<String, SystemTime>,
    rule: &'static str,
    given: Vec<Advice>,
}

/// What a rule looks at: one alias, one provider.
pub(super) struct Case {
    id: String,
    rule: &'static str,
    subject: String,
    requests_min: u64,
    /// Whether advice on it stands already.
    stands: bool,
}

/// What a rule has found.
pub(super) struct Found {
    pub(super) title: String,
    pub(super) words: String,
    pub(super) evidence: Vec<(&'static str, Figure)>,
    pub(super) saving: Saving,
    pub(super) change: Vec<Change>,
    pub(super) safe: bool,
}

impl<'a> Look<'a> {
    pub(super) fn new(facts: &'a Facts, terms: Terms, standing: &'a BTreeMap<String, SystemTime>) -> Self {
        Self { facts, terms, standing, rule: "", given: Vec::new() }
    }

    pub(super) fn begin(&mut self, rule: &'static str) {
        self.rule = rule;
    }

    /// Looks at each alias.
    pub(super) fn aliases(&mut self, judge: fn(&Facts, &Alias, &Case) -> Option<Found>) {
        for alias in &self.facts.aliases {
            let case = self.case(&alias.name, "");
            let found = judge(self.facts, alias, &case);
            self.give(case, found);
        }
    }

    /// What is looked at, and which side of it, where a rule looks at several.
    pub(super) fn case(&self, subject: &str, side: &str) -> Case {
        let of = [("rule", self.rule), ("subject", subject), ("side", side)];
        let labels = of.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let id = format!("{}-{}", self.rule, fingerprint(&labels));
        let stands = self.standing.contains_key(&id);
        let requests_min = self.terms.requests_min;
        Case { id, rule: self.rule, subject: subject.to_owned(), requests_min, stands }
    }

    pub(super) fn give(&mut self, case: Case, found: Option<Found>) {
        let Some(Found { title, words, evidence, saving, change, safe }) = found else { return };
        if self.given.len() < ADVICE_MAX {
            let Case { id, rule, subject, .. } = case;
            let evidence = evidence.into_iter().map(|(name, value)| Measured { name, value }).collect();
            // Where there is nothing to write, nothing can be applied.
            let safe = safe && !change.is_empty();
            self.given.push(Advice { id, rule, subject, title, words, evidence, saving, change, safe });
        }
    }

    pub(super) fn into_advice(self) -> Vec<Advice> {
        self.given
    }
}

impl Case {
    /// Whether there are enough of them to conclude anything from.
    pub(super) fn is_enough(&self, count: u64) -> bool {
        let min = if self.stands { self.requests_min / 2 } else { self.requests_min };
        count >= min.max(1)
    }

    /// Whether a figure is beyond its bar.
    pub(super) fn passes(&self, figure: f64, bar: Bar) -> bool {
        let limit = if self.stands { bar.keep } else { bar.from };
        if bar.from >= bar.keep { figure >= limit } else { figure <= limit }
    }
}

/// A change of `key` from a value to another.
pub(super) fn change(key: super::Key, from: impl Into<Option<Value>>, to: Value) -> Change {
    Change { key, from: from.into(), to }
}

/// A share of a whole, from 0 to 1; 0 of nothing.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
