//! The keys of a table, and the simple values under them.

use std::time::Duration;

use super::{NAME_BYTES_MAX, Named, Reader};
use crate::workflow::duration;
use crate::workflow::fault::{Spot, suggest};
use crate::workflow::source::{Entry, Kind, Node};

/// A table whose keys are known.
pub(super) struct Fields<'n> {
    entries: &'n [Entry],
    spot: Spot,
    what: String,
}

impl<'n> Fields<'n> {
    /// The value under a key; null counts as not given.
    pub(super) fn get(&self, key: &str) -> Option<(&'n Node, Spot)> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        let given = !matches!(&entry.node.kind, Kind::Plain(value) if value.is_null());
        given.then(|| (&entry.node, self.spot.below(key, entry.node.span.clone())))
    }
}

impl Reader {
    /// A table with no keys but these.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        spot: &Spot,
        what: &str,
        keys: &[&[&str]],
    ) -> Option<Fields<'n>> {
        let entries = self.table(node, spot)?;
        for entry in entries {
            let mut known = keys.iter().copied().flatten().copied();
            if !known.any(|key| key == entry.key) {
                let mend = suggest(&entry.key, keys.iter().copied().flatten().copied(), "leave it out");
                let below = spot.below(&entry.key, entry.key_span.clone());
                self.faults.add(&below, format!("unknown key `{}` in {what}", entry.key), mend);
            }
        }
        Some(Fields { entries, spot: spot.clone(), what: what.to_owned() })
    }

    /// What must be there.
    pub(super) fn required<'n>(&mut self, fields: &Fields<'n>, key: &str) -> Option<(&'n Node, Spot)> {
        let found = fields.get(key);
        if found.is_none() {
            self.faults.add(
                &fields.spot,
                format!("{} has no `{key}`", fields.what),
                format!("write `{key} = …`"),
            );
        }
        found
    }

    pub(super) fn table<'n>(&mut self, node: &'n Node, spot: &Spot) -> Option<&'n [Entry]> {
        match &node.kind {
            Kind::Table(entries) => Some(entries),
            _ => self.mistyped(node, spot, "a table", "write `key = value` pairs"),
        }
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, spot: &Spot) -> Option<&'n [Node]> {
        match &node.kind {
            Kind::List(items) => Some(items),
            _ => self.mistyped(node, spot, "a list", "put it in `[` and `]`"),
        }
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node, spot: &Spot) -> Option<&'n str> {
        match &node.kind {
            Kind::Text(text) => Some(text),
            _ => self.mistyped(node, spot, "text", "put it in quotes"),
        }
    }

    fn mistyped<T>(&mut self, node: &Node, spot: &Spot, want: &str, mend: &str) -> Option<T> {
        self.faults.add(spot, format!("{} where {want} is to be", node.what()), mend);
        None
    }

    /// The name of a workflow or a signal.
    pub(super) fn name(&mut self, node: &Node, spot: &Spot) -> Option<String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let name = self.text(node, spot)?;
        self.checked(name, spot, allowed, "use letters, digits, `_`, `-` and `.`, a letter or digit first")
    }

    /// The id of a step: what an expression can name.
    pub(super) fn id(&mut self, node: &Node, spot: &Spot) -> Option<String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = self.text(node, spot)?;
        let mend = "use letters, digits and `_`, as expressions name it; a letter first";
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            self.faults.add(spot, format!("`{name}` is no id"), mend);
            return None;
        }
        self.checked(name, spot, allowed, mend)
    }

    fn checked(
        &mut self,
        name: &str,
        spot: &Spot,
        allowed: impl Fn(char) -> bool,
        mend: &str,
    ) -> Option<String> {
        let fine = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed);
        if fine && name.len() <= NAME_BYTES_MAX {
            return Some(name.to_owned());
        }
        let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
        let mend = if fine { "shorten it to 64 letters" } else { mend };
        self.faults.add(spot, format!("`{shown}` is no name"), mend);
        None
    }

    /// Names of steps or fields.
    pub(super) fn names(&mut self, node: &Node, spot: &Spot) -> Vec<Named> {
        let Some(items) = self.list(node, spot) else { return Vec::new() };
        let mut names: Vec<Named> = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let below = spot.below(index, item.span.clone());
            let Some(name) = self.text(item, &below) else { continue };
            if names.iter().any(|named| named.name == name) {
                self.faults.add(&below, format!("`{name}` stands here a second time"), "keep one of them");
            } else {
                names.push(Named { name: name.to_owned(), spot: below });
            }
        }
        names
    }

    /// A length of time within bounds.
    pub(super) fn duration(
        &mut self,
        node: &Node,
        spot: &Spot,
        min: Duration,
        max: Duration,
    ) -> Option<Duration> {
        let text = self.text(node, spot)?;
        let Some(length) = duration::parse(text) else {
            self.faults.add(spot, format!("`{text}` is no length of time"), duration::MEND);
            return None;
        };
        if (min..=max).contains(&length) {
            return Some(length);
        }
        self.faults.add(spot, format!("`{text}` is out of range"), format!("write from {min:?} to {max:?}"));
        None
    }
}
