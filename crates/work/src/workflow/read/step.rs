//! One step.

use std::time::Duration;

use super::fields::Fields;
use super::work::{CHILD, HTTP, MODEL};
use super::{Place, Reader, StepDraft};
use crate::workflow::definition::{
    Branch, CONCURRENCY_MAX, Case, Effect, Kind, Map, OnError, Sleep, Wait, Work,
};
use crate::workflow::duration;
use crate::workflow::fault::Spot;
use crate::workflow::read::Named;
use crate::workflow::source::{self, Node};

/// The kinds of steps, and the keys of each apart from [`COMMON`].
const KINDS: [(&str, &[&[&str]]); 7] = [
    ("model", &[&MODEL, &["compensate", "on_error"]]),
    ("http", &[&HTTP, &["compensate", "on_error"]]),
    ("map", &[&["over", "concurrency", "step", "compensate", "on_error"]]),
    ("branch", &[&["cases", "else"]]),
    ("sleep", &[&["for", "until"]]),
    ("wait", &[&["signal", "timeout", "on_error"]]),
    ("workflow", &[&CHILD, &["compensate", "on_error"]]),
];

/// What may be done for each item of a list.
const EACH: [(&str, &[&[&str]]); 3] = [
    ("model", &[&MODEL, &["on_error"]]),
    ("http", &[&HTTP, &["on_error"]]),
    ("workflow", &[&CHILD, &["on_error"]]),
];

/// What may undo a step.
const UNDO: [(&str, &[&[&str]]); 2] = [("model", &[&MODEL]), ("http", &[&HTTP])];

/// The keys of every step, `kind` apart.
const COMMON: [&str; 4] = ["id", "description", "needs", "when"];

/// What was not said is none; what was said and is wrong, nothing to go on with.
pub(super) fn given<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    read.map_or(Some(None), |read| read.map(Some))
}

/// Items under way at once where nothing is said.
const CONCURRENCY: usize = 10;

impl Reader {
    /// A step, and what its expressions read.
    pub(super) fn step(&mut self, node: &Node, spot: &Spot) -> Option<StepDraft> {
        let outer = std::mem::take(&mut self.uses);
        let draft = self.step_draft(node, spot);
        let uses = std::mem::replace(&mut self.uses, outer);
        draft.map(|draft| StepDraft { uses, ..draft })
    }

    /// Whatever is wrong with one key, the others are read too: all faults are told at once.
    fn step_draft(&mut self, node: &Node, spot: &Spot) -> Option<StepDraft> {
        let (kind, fields) = match self.kind(node, spot, "a step", &COMMON, &KINDS) {
            Some((kind, fields)) => (Some(kind), fields),
            None => (None, self.loose(node, spot, "a step")?),
        };
        let id = self.required(&fields, "id").and_then(|(node, spot)| self.step_id(node, spot));
        let description = self.description(&fields);
        let needs = fields.get("needs").map(|(node, spot)| self.names(node, &spot));
        let when = fields.get("when").and_then(|(node, spot)| self.expression(node, &spot, Place::Step));
        let compensate = fields.get("compensate").and_then(|(node, spot)| self.undo(node, &spot));
        let on_error = self.on_error(&fields);
        let mut cases = Vec::new();
        let kind = kind.and_then(|kind| match kind {
            "map" => self.map(&fields).map(Kind::Map),
            "branch" => self.branch(&fields, &mut cases).map(Kind::Branch),
            "sleep" => self.sleep(&fields, spot).map(Kind::Sleep),
            "wait" => self.wait(&fields).map(Kind::Wait),
            other => self.work(other, &fields, Place::Step).map(Kind::Work),
        });
        let needs = needs.unwrap_or_default();
        Some(StepDraft {
            id: id?,
            description,
            kind,
            needs,
            cases,
            when,
            on_error,
            compensate,
            uses: Vec::new(),
        })
    }

    /// The id, also where it cannot be one: others may name the step, and are not to be told that it is not there.
    fn step_id(&mut self, node: &Node, spot: Spot) -> Option<Named> {
        self.id(node, &spot);
        let source::Kind::Text(name) = &node.kind else { return None };
        Some(Named { name: name.clone(), spot })
    }

    /// A table with any keys.
    fn loose<'n>(&mut self, node: &'n Node, spot: &Spot, what: &str) -> Option<Fields<'n>> {
        let source::Kind::Table(entries) = &node.kind else { return None };
        let every: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        self.fields(node, spot, what, &[&every])
    }

    /// A table whose `kind` decides what else is in it.
    fn kind<'n>(
        &mut self,
        node: &'n Node,
        spot: &Spot,
        what: &str,
        common: &[&str],
        kinds: &[(&'static str, &[&[&str]])],
    ) -> Option<(&'static str, Fields<'n>)> {
        self.table(node, spot)?;
        let loose = self.loose(node, spot, what)?;
        let (kind, kind_spot) = self.required(&loose, "kind")?;
        let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
        let (name, keys) = kinds.get(self.choice(kind, &kind_spot, "kind", &names)?)?;
        let keys: Vec<&[&str]> = [&["kind"], common].into_iter().chain(keys.iter().copied()).collect();
        Some((name, self.fields(node, spot, &format!("{what} of the kind `{name}`"), &keys)?))
    }

    fn work(&mut self, kind: &str, fields: &Fields<'_>, place: Place) -> Option<Work> {
        match kind {
            "model" => self.model(fields, place).map(Work::Effect),
            "http" => self.http(fields, place).map(Work::Effect),
            _ => self.child(fields, place),
        }
    }

    fn undo(&mut self, node: &Node, spot: &Spot) -> Option<Effect> {
        let (kind, fields) = self.kind(node, spot, "`compensate`", &[], &UNDO)?;
        match self.work(kind, &fields, Place::Undo)? {
            Work::Effect(effect) => Some(effect),
            Work::Child(_) => None,
        }
    }

    fn map(&mut self, fields: &Fields<'_>) -> Option<Map> {
        let over =
            self.required(fields, "over").and_then(|(node, spot)| self.expression(node, &spot, Place::Step));
        let concurrency = match fields.get("concurrency") {
            Some((node, spot)) => self
                .whole(node, &spot, 1..CONCURRENCY_MAX as u64 + 1)
                .and_then(|number| usize::try_from(number).ok()),
            None => Some(CONCURRENCY),
        };
        let each = self.required(fields, "step").and_then(|(node, spot)| self.each(node, &spot));
        let (each, on_item_error) = each?;
        Some(Map { over: over?, concurrency: concurrency?, each, on_item_error })
    }

    fn each(&mut self, node: &Node, spot: &Spot) -> Option<(Work, OnError)> {
        let (kind, fields) = self.kind(node, spot, "the step of a map", &[], &EACH)?;
        let (work, on_error) = (self.work(kind, &fields, Place::Item), self.on_error(&fields));
        Some((work?, on_error))
    }

    /// The steps are named for now; they are found when all steps have been read.
    fn branch(&mut self, fields: &Fields<'_>, named: &mut Vec<Vec<Named>>) -> Option<Branch> {
        let otherwise = fields.get("else").map(|(node, spot)| self.names(node, &spot)).unwrap_or_default();
        let (node, spot) = self.required(fields, "cases")?;
        let items = self.list(node, &spot)?;
        if items.is_empty() || items.len() > 100 {
            self.faults.add(&spot, format!("{} cases", items.len()), "write from 1 to 100");
        }
        let mut cases = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let below = spot.below(index, item.span.clone());
            let Some(fields) = self.fields(item, &below, "a case", &[&["when", "steps"]]) else { continue };
            let when = self
                .required(&fields, "when")
                .and_then(|(node, spot)| self.expression(node, &spot, Place::Step));
            let steps = self.required(&fields, "steps").map(|(node, spot)| self.names(node, &spot));
            if let (Some(when), Some(steps)) = (when, steps) {
                cases.push(Case { when, steps: Vec::new() });
                named.push(steps);
            }
        }
        named.push(otherwise);
        Some(Branch { cases, otherwise: Vec::new() })
    }

    fn sleep(&mut self, fields: &Fields<'_>, spot: &Spot) -> Option<Sleep> {
        match (fields.get("for"), fields.get("until")) {
            (Some((node, spot)), None) => {
                let length = self.template(node, &spot, Place::Step);
                if length.as_plain_text().is_some() {
                    self.duration(node, &spot, Duration::ZERO, duration::LONGEST)?;
                }
                Some(Sleep::For(length))
            }
            (None, Some((node, spot))) => {
                let moment = self.template(node, &spot, Place::Step);
                if let Some(text) = moment.as_plain_text()
                    && text.parse::<jiff::Timestamp>().is_err()
                {
                    let mend = "write it as RFC 3339 does: `2030-01-31T08:00:00Z`";
                    self.faults.add(&spot, format!("`{text}` is no moment"), mend);
                }
                Some(Sleep::Until(moment))
            }
            _ => {
                self.faults.add(spot, "a sleep needs one of `for` and `until`", "write one of them");
                None
            }
        }
    }

    fn wait(&mut self, fields: &Fields<'_>) -> Option<Wait> {
        let signal = self.required(fields, "signal").and_then(|(node, spot)| self.name(node, &spot));
        let timeout = fields
            .get("timeout")
            .map(|(node, spot)| self.duration(node, &spot, Duration::from_millis(1), duration::LONGEST));
        Some(Wait { signal: signal?, timeout: given(timeout)? })
    }
}
