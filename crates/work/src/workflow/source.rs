//! JSON or TOML → one tree whose values remember where they stand. It checks the form of the text alone;
//! what a key means is decided in [`read`](super::read).

mod json;
mod toml;

use std::ops::Range;

use serde_json::Value;

use super::fault::{Findings, Spot};

/// How deep values may lie within one another.
const DEPTH_MAX: usize = 32;

/// In which form a definition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259.
    Json,
    /// Version 1.
    Toml,
}

impl Format {
    /// Told by the first character: JSON's objects begin with a brace, and no TOML does.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.trim_start().starts_with('{') { Self::Json } else { Self::Toml }
    }
}

/// A value, and the bytes of the source where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Null, a truth value or a number.
    Plain(Value),
    Text(String),
    List(Vec<Node>),
    /// In the order of the source; no key is there twice.
    Table(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

impl Node {
    /// In few words what it is, for a message.
    pub(super) fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Plain(Value::Bool(_)) => "a truth value",
            Kind::Plain(Value::Number(_)) => "a number",
            Kind::Plain(_) => "null",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }

    /// The value without places.
    pub(super) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Plain(value) => value.clone(),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Self::to_value).collect(),
            Kind::Table(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_value())).collect()
            }
        }
    }
}

/// Reads the text; what is wrong with its form goes to `faults`.
pub(super) fn parse(text: &str, format: Format, faults: &mut Findings) -> Option<Node> {
    match format {
        Format::Json => json::parse(text, faults),
        Format::Toml => toml::parse(text, faults),
    }
}

/// A place of which no pointer is known, as the text itself cannot be read there.
fn at(span: Range<usize>) -> Spot {
    Spot { pointer: String::new(), span }
}

fn too_deep(span: Range<usize>, faults: &mut Findings) {
    faults.add(&at(span), format!("deeper than {DEPTH_MAX} levels"), "write it flatter");
}
