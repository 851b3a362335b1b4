//! YAML 1.2 → tree. Anchors, aliases and merge keys are followed within a budget, so that an alias bomb costs
//! a bounded amount of work before it is refused.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Location, Options, Spanned};

use super::{DEPTH_MAX, syntax};
use crate::config::fault::Finding;
use crate::config::tree::{Entry, Kind, Node, Origin, Table};

/// Most values a file may come to once its aliases are followed.
const NODES_MAX: usize = 100_000;

pub(super) fn parse(text: &str) -> Result<Node, Vec<Finding>> {
    match serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options()) {
        Ok(document) => match node(document) {
            Some(node) => Ok(node),
            None => Ok(Node::table(Origin::File(0..0))),
        },
        Err(error) => Err(vec![fault(&error, text)]),
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            max_aliases: 1_000,
            max_anchors: 1_000,
            // A second one is refused, with a better message than the budget's.
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: NODES_MAX,
            max_replay_stack_depth: DEPTH_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// What a YAML node may be; `Null` is dropped on the way to the tree.
enum Value {
    Null,
    Scalar(Kind),
    List(Vec<Spanned<Value>>),
    Table(Vec<(Spanned<String>, Spanned<Value>)>),
}

fn node(value: Spanned<Value>) -> Option<Node> {
    // `defined`, not `referenced`: what an alias stands for is mended where it is written.
    let origin = origin(&value.defined);
    let kind = match value.value {
        Value::Null => return None,
        Value::Scalar(kind) => kind,
        Value::List(items) => Kind::List(items.into_iter().filter_map(node).collect()),
        Value::Table(entries) => Kind::Table(table(entries)),
    };
    Some(Node::new(kind, origin))
}

fn table(entries: Vec<(Spanned<String>, Spanned<Value>)>) -> Table {
    entries
        .into_iter()
        .filter_map(|(key, value)| {
            let entry = Entry { key: origin(&key.defined), node: node(value)? };
            Some((key.value, entry))
        })
        .collect()
}

fn origin(location: &Location) -> Origin {
    let span = location.span();
    let start = to_index(span.byte_offset());
    Origin::File(start..start + to_index(span.byte_len()))
}

fn to_index(offset: Option<u64>) -> usize {
    offset.and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Scalar(Kind::Bool(flag)))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Scalar(Kind::Int(int.into())))
    }

    fn visit_u64<E>(self, int: u64) -> Result<Value, E> {
        Ok(Value::Scalar(Kind::Int(int.into())))
    }

    fn visit_i128<E>(self, int: i128) -> Result<Value, E> {
        Ok(Value::Scalar(Kind::Int(int)))
    }

    fn visit_u128<E>(self, int: u128) -> Result<Value, E> {
        // Beyond every integer type of the schema in any case; the range check says so.
        Ok(Value::Scalar(Kind::Int(i128::try_from(int).unwrap_or(i128::MAX))))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(Value::Scalar(Kind::Float(float)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Scalar(Kind::Text(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Scalar(Kind::Text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Table(entries))
    }
}

/// The parser's fault in our own words where its words speak of its options.
fn fault(error: &Error, text: &str) -> Finding {
    let error = error.without_snippet();
    let message = match error {
        Error::DuplicateMappingKey { .. } => "this key stands here a second time".to_owned(),
        Error::MultipleDocuments { .. } => "a second document begins here".to_owned(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "this alias stands within its own anchor".to_owned()
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            format!(
                "too deep or too large: at most {DEPTH_MAX} levels and {NODES_MAX} values, aliases followed"
            )
        }
        other => {
            let message = other.to_string();
            message.split(" at line ").next().unwrap_or_default().to_owned()
        }
    };
    let at = error.location().map_or(0, |location| byte_of(&location, text));
    syntax(message, at..at, "see https://yaml.org for how YAML is written")
}

/// The byte a location means. Faults of the scanner carry characters only.
fn byte_of(location: &Location, text: &str) -> usize {
    if let Some(byte) = location.span().byte_offset() {
        return to_index(Some(byte));
    }
    let characters = to_index(Some(location.span().offset()));
    text.char_indices().nth(characters).map_or(text.len(), |(byte, _)| byte)
}
