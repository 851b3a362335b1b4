//! JSON → tree. `serde_json` checks the syntax and hands out each value as a slice of the text, whose
//! position is the span. Duplicate keys, which it would let pass, are told.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{DEPTH_MAX, syntax, too_deep};
use crate::config::fault::Finding;
use crate::config::tree::{Entry, Kind, Node, Origin, Table};

const MEND: &str = "see https://json.org for how JSON is written";

pub(super) fn parse(text: &str) -> Result<Node, Vec<Finding>> {
    if text.trim().is_empty() {
        return Ok(Node::table(Origin::File(0..0)));
    }
    let document: &RawValue = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(error) => {
            let at = byte_of(text, error.line(), error.column());
            return Err(vec![syntax(without_position(&error), at..at, MEND)]);
        }
    };
    let mut reader = Reader { text, faults: Vec::new() };
    let root = reader.value(document, 0);
    match root {
        _ if !reader.faults.is_empty() => Err(reader.faults),
        Some(root) => Ok(root),
        None => Ok(Node::table(Origin::File(0..0))),
    }
}

struct Reader<'t> {
    text: &'t str,
    faults: Vec<Finding>,
}

impl<'t> Reader<'t> {
    fn value(&mut self, raw: &'t RawValue, depth: usize) -> Option<Node> {
        let json = raw.get();
        let span = self.span(json);
        if depth > DEPTH_MAX {
            self.faults.push(too_deep(span));
            return None;
        }
        let kind = match json.as_bytes().first() {
            Some(b'{') => self.table(json, depth)?,
            Some(b'[') => {
                let items: Vec<&RawValue> = self.scalar(json)?;
                Kind::List(items.into_iter().filter_map(|item| self.value(item, depth + 1)).collect())
            }
            Some(b'"') => Kind::Text(self.scalar(json)?),
            Some(b't') => Kind::Bool(true),
            Some(b'f') => Kind::Bool(false),
            Some(b'n') => return None,
            _ => match json.parse::<i128>() {
                Ok(int) => Kind::Int(int),
                Err(_) => Kind::Float(self.scalar(json)?),
            },
        };
        Some(Node::new(kind, Origin::File(span)))
    }

    fn table(&mut self, json: &'t str, depth: usize) -> Option<Kind> {
        let members: Members<'t> = self.scalar(json)?;
        let mut table = Table::new();
        let mut seen = std::collections::BTreeSet::new();
        for (key, raw) in members.0 {
            let key_span = match key {
                Cow::Borrowed(key) => self.span(key),
                Cow::Owned(_) => self.span(raw.get()),
            };
            if !seen.insert(key.to_string()) {
                self.faults.push(syntax("this key stands here a second time", key_span, "keep one of them"));
                continue;
            }
            if let Some(node) = self.value(raw, depth + 1) {
                table.insert(key.into_owned(), Entry { key: Origin::File(key_span), node });
            }
        }
        Some(Kind::Table(table))
    }

    /// One value of a known type. What can still go wrong is a lone surrogate or a number out of range.
    fn scalar<T: Deserialize<'t>>(&mut self, json: &'t str) -> Option<T> {
        serde_json::from_str(json)
            .map_err(|error| self.faults.push(syntax(without_position(&error), self.span(json), MEND)))
            .ok()
    }

    /// Where a slice of the text lies within it.
    fn span(&self, slice: &str) -> Range<usize> {
        let start =
            (slice.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len());
        start..(start + slice.len()).min(self.text.len())
    }
}

/// The members of an object, in order and with duplicates.
struct Members<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(key), value)) = access.next_entry()? {
            members.push((key, value));
        }
        Ok(Members(members))
    }
}

/// A key, borrowed unless it holds escapes: `Cow` itself always copies.
struct Key<'t>(Cow<'t, str>);

impl<'de: 't, 't> Deserialize<'de> for Key<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor).map(Key)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// The byte at a line and column as `serde_json` counts them: from one, columns in bytes.
fn byte_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or_default().to_owned()
}
