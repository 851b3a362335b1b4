//! JSON → tree. `serde_json` checks the form and hands out each value as a slice of the text, whose position
//! is its place. Keys that stand there twice, which it would let pass, are told.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{DEPTH_MAX, Entry, Kind, Node, at, too_deep};
use crate::workflow::fault::Findings;

const MEND: &str = "see https://json.org for how JSON is written";

pub(super) fn parse(text: &str, faults: &mut Findings) -> Option<Node> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(document) => Reader { text, faults }.value(document.get(), 0),
        Err(error) => {
            let byte = byte_of(text, error.line(), error.column());
            faults.add(&at(byte..byte), without_position(&error), MEND);
            None
        }
    }
}

struct Reader<'t, 'f> {
    text: &'t str,
    faults: &'f mut Findings,
}

impl<'t> Reader<'t, '_> {
    fn value(&mut self, json: &'t str, depth: usize) -> Option<Node> {
        let span = self.span(json);
        if depth > DEPTH_MAX {
            too_deep(span, self.faults);
            return None;
        }
        let kind = match json.as_bytes().first() {
            Some(b'{') => self.table(json, depth)?,
            Some(b'[') => {
                let items: Vec<&RawValue> = self.typed(json)?;
                Kind::List(items.into_iter().filter_map(|item| self.value(item.get(), depth + 1)).collect())
            }
            Some(b'"') => Kind::Text(self.typed(json)?),
            _ => Kind::Plain(self.typed(json)?),
        };
        Some(Node { kind, span })
    }

    fn table(&mut self, json: &'t str, depth: usize) -> Option<Kind> {
        let members: Members<'t> = self.typed(json)?;
        let mut entries = Vec::with_capacity(members.0.len());
        let mut seen = BTreeSet::new();
        for (key, raw) in members.0 {
            let key_span = match &key {
                Cow::Borrowed(key) => self.span(key),
                Cow::Owned(_) => self.span(raw.get()),
            };
            if !seen.insert(key.to_string()) {
                let what = format!("the key `{key}` stands here a second time");
                self.faults.add(&at(key_span), what, "keep one of them");
            } else if let Some(node) = self.value(raw.get(), depth + 1) {
                entries.push(Entry { key: key.into_owned(), key_span, node });
            }
        }
        Some(Kind::Table(entries))
    }

    /// One value of a known type. What can still go wrong is a lone surrogate or a number out of range.
    fn typed<T: Deserialize<'t>>(&mut self, json: &'t str) -> Option<T> {
        serde_json::from_str(json)
            .map_err(|error| self.faults.add(&at(self.span(json)), without_position(&error), MEND))
            .ok()
    }

    /// Where a slice of the text lies within it.
    fn span(&self, slice: &str) -> Range<usize> {
        let start = slice.as_ptr().addr().saturating_sub(self.text.as_ptr().addr()).min(self.text.len());
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
