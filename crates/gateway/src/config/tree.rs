//! One tree for every format and every layer: values that remember where they came from.
//!
//! It is not a general document model: nulls are gone (a key without a value counts as not given), and
//! comments are not kept.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde_json::Value;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// There without anyone's saying.
    Default,
    /// Laid beneath by a profile.
    Profile(&'static str),
    /// At these bytes of the configuration file.
    File(Range<usize>),
    /// At these bytes of the file, which bring in a variable or another file: never to be repeated.
    Expanded(Range<usize>),
    /// By this environment variable.
    Variable(String),
    /// By this flag of the command.
    Flag(String),
}

impl Origin {
    fn replace_unwritten(&mut self, written: Origin) {
        if matches!(self, Self::Profile(_) | Self::Default) {
            *self = written;
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) origin: Origin,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Bool(bool),
    /// Wide enough for every integer type of the schema.
    Int(i128),
    Float(f64),
    Text(String),
    /// Text from where all is text (a variable, a flag, an expansion): the schema decides what it means.
    Untyped(String),
    List(Vec<Node>),
    Table(Table),
}

/// Entries by key, in the keys' order.
pub(super) type Table = BTreeMap<String, Entry>;

/// A value under its key, and where the key stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: Origin,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn new(kind: Kind, origin: Origin) -> Self {
        Self { kind, origin }
    }

    /// An empty table.
    pub(super) fn table(origin: Origin) -> Self {
        Self::new(Kind::Table(Table::new()), origin)
    }

    pub(super) fn as_table(&self) -> Option<&Table> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) | Kind::Untyped(text) => Some(text),
            _ => None,
        }
    }

    /// The value under a key of a table.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.as_table()?.get(key).map(|entry| &entry.node)
    }

    /// The value at a path, if there is one.
    pub(super) fn at(&self, path: &Path) -> Option<&Node> {
        path.0.iter().try_fold(self, |node, step| match (step, &node.kind) {
            (Step::Key(key), Kind::Table(table)) => table.get(key).map(|entry| &entry.node),
            (Step::Index(index), Kind::List(items)) => items.get(*index),
            _ => None,
        })
    }

    /// Where to point for a path: at its value, or at the key of the nearest table above it that exists.
    pub(super) fn nearest_origin(&self, path: &Path) -> &Origin {
        let mut found = &self.origin;
        let mut node = self;
        for (depth, step) in path.0.iter().enumerate() {
            let last = depth + 1 == path.0.len();
            match (step, &node.kind) {
                (Step::Key(key), Kind::Table(table)) => {
                    let Some(entry) = table.get(key) else { return found };
                    found = if last { &entry.node.origin } else { &entry.key };
                    node = &entry.node;
                }
                (Step::Index(index), Kind::List(items)) => {
                    let Some(item) = items.get(*index) else { return found };
                    found = &item.origin;
                    node = item;
                }
                _ => return found,
            }
        }
        found
    }

    /// Where the key stands that a path ends with; where there is none, as [`nearest_origin`].
    ///
    /// [`nearest_origin`]: Node::nearest_origin
    pub(super) fn key_origin(&self, path: &Path) -> &Origin {
        let key = path.0.split_last().and_then(|(last, above)| {
            let Step::Key(key) = last else { return None };
            self.at(&Path(above.to_vec()))?.as_table()?.get(key)
        });
        key.map_or_else(|| self.nearest_origin(path), |entry| &entry.key)
    }

    /// Puts a value at a path of keys, making the tables on the way. What stood there gives way.
    pub(super) fn put(&mut self, keys: &[String], node: Node) {
        let Some((first, rest)) = keys.split_first() else {
            *self = node;
            return;
        };
        if self.as_table().is_none() {
            *self = Self::table(node.origin.clone());
        }
        if let Kind::Table(table) = &mut self.kind {
            let entry = table.entry(first.clone()).or_insert_with(|| Entry {
                key: node.origin.clone(),
                node: Self::table(node.origin.clone()),
            });
            entry.node.put(rest, node);
        }
    }

    /// Lays another layer over this one: tables are merged, everything else is replaced. A merged table
    /// stays where it was first written, which is the more telling place for a fault; a profile's is nowhere.
    pub(super) fn merge(&mut self, over: Node) {
        match (&mut self.kind, over.kind) {
            (Kind::Table(below), Kind::Table(above)) => {
                self.origin.replace_unwritten(over.origin);
                for (key, entry) in above {
                    match below.get_mut(&key) {
                        Some(kept) => {
                            kept.key.replace_unwritten(entry.key);
                            kept.node.merge(entry.node);
                        }
                        None => {
                            below.insert(key, entry);
                        }
                    }
                }
            }
            (kind, replacement) => {
                *kind = replacement;
                self.origin = over.origin;
            }
        }
    }

    /// The plain value, without origins. Numbers that JSON cannot hold become null; the shape check has
    /// refused those before.
    pub(super) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Bool(flag) => Value::Bool(*flag),
            Kind::Int(int) => serde_json::Number::from_i128(*int).map_or(Value::Null, Value::Number),
            Kind::Float(float) => serde_json::Number::from_f64(*float).map_or(Value::Null, Value::Number),
            Kind::Text(text) | Kind::Untyped(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Kind::Table(table) => {
                Value::Object(table.iter().map(|(key, entry)| (key.clone(), entry.node.to_value())).collect())
            }
        }
    }
}

/// A place in the tree, as the schema sees it: `keys[1].models[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// The top.
    pub(super) fn root() -> Self {
        Self::default()
    }

    /// A path of keys, `server.timeouts.idle`.
    pub(super) fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    /// One key further down.
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// One element further down.
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Whether another path leads here or above.
    pub(super) fn starts_with(&self, other: &Path) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    let dot = if depth == 0 { "" } else { "." };
                    write!(f, "{dot}{}", Quoted(key))?;
                }
            }
        }
        Ok(())
    }
}

/// A key as TOML would spell it: bare where that is possible.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !self.0.is_empty() && self.0.bytes().all(bare) {
            f.write_str(self.0)
        } else {
            write!(f, "{}", toml::Value::String(self.0.to_owned()))
        }
    }
}
