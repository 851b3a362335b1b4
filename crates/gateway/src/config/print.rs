//! Shows the merged configuration: every key with its value, where it came from, and no secret.
//!
//! Secrets are gone before anything is formatted: their type serialises as `[redacted]`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Loaded;
use super::raw::REDACTED;
use super::tree::{Origin, Path, Quoted};

/// Column at which the origins stand, where the line leaves room.
const COMMENT_COLUMN: usize = 56;

impl Loaded {
    /// The merged configuration as TOML that loads again, each value not a default with its origin.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = format!(
            "# Every key that is set or has a default, as it is in force; secrets are {REDACTED}. A comment says who set \
             it.\n# Without `server.workers` there is one worker for each processor.\n"
        );
        if let Value::Object(top) = self.to_json() {
            self.table(&mut out, &top, &Path::root());
        }
        out
    }

    /// The merged configuration as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        // The raw types are plain data with text keys; serialising them does not fail.
        let mut value = serde_json::to_value(&self.raw).unwrap_or(Value::Null);
        prune(&mut value);
        value
    }

    fn table(&self, out: &mut String, table: &Map<String, Value>, path: &Path) {
        for (key, value) in table.iter().filter(|(_, value)| !is_section(value)) {
            let line = format!("{} = {}", Quoted(key), inline(value));
            match self.origin(&path.key(key)) {
                Some(origin) => {
                    let _ = writeln!(out, "{line:COMMENT_COLUMN$} # {origin}");
                }
                None => {
                    let _ = writeln!(out, "{line}");
                }
            }
        }
        for (key, value) in table.iter().filter(|(_, value)| is_section(value)) {
            let path = path.key(key);
            match value {
                Value::Object(table) => {
                    // A table of nothing, or of nothing but tables, needs no line of its own.
                    if table.values().any(|value| !is_section(value)) {
                        let _ = writeln!(out, "\n[{path}]");
                    }
                    self.table(out, table, &path);
                }
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        let _ = writeln!(out, "\n[[{path}]]");
                        if let Value::Object(table) = item {
                            self.table(out, table, &path.index(index));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Who set a value; `None`: it is a default.
    fn origin(&self, path: &Path) -> Option<String> {
        let place = |start: usize| {
            let source = self.source.as_ref()?;
            let line = source.text.get(..start)?.matches('\n').count() + 1;
            Some(format!("{}:{line}", source.path.display()))
        };
        match &self.tree.at(path)?.origin {
            Origin::Default => None,
            Origin::Profile(name) => Some(format!("profile {name}")),
            Origin::File(span) => place(span.start),
            Origin::Expanded(span) => place(span.start).map(|place| format!("{place}, expanded")),
            Origin::Variable(name) | Origin::Flag(name) => Some(name.clone()),
        }
    }
}

/// Whether a value is written under a header of its own.
fn is_section(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(Value::is_object),
        _ => false,
    }
}

/// Takes out what is not set.
fn prune(value: &mut Value) {
    match value {
        Value::Object(table) => {
            table.retain(|_, value| !value.is_null());
            table.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        // Numbers and booleans are written alike in both.
        other => other.to_string(),
    }
}
