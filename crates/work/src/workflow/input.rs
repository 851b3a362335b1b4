//! What a run may be started with: a list of required fields, or the part of JSON Schema that says which
//! fields there are, of which type, and which must be given.

use serde_json::{Map, Value};

use super::fault::{Faults, Findings, Spot, suggest};

/// What a definition says of its input.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Input {
    /// `None`: anything goes.
    pub(super) fields: Option<Vec<Field>>,
}

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: FieldKind,
    pub(super) required: bool,
    pub(super) default: Option<Value>,
}

/// JSON Schema's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    Any,
    String,
    Number,
    Integer,
    Boolean,
    Array,
    Object,
}

impl FieldKind {
    pub(super) const NAMED: [(&'static str, Self); 6] = [
        ("string", Self::String),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("array", Self::Array),
        ("object", Self::Object),
    ];

    fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, kind)| *kind == self).map_or("any", |(name, _)| name)
    }

    pub(super) fn admits(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

impl Input {
    /// Whether expressions may read the field.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.iter().any(|field| field.name == name))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().flatten().map(|field| field.name.as_str())
    }

    /// See [`Definition::accept`](super::Definition::accept).
    pub(super) fn accept(&self, input: Value) -> Result<Value, Faults> {
        let Some(fields) = &self.fields else { return Ok(input) };
        let mut faults = Findings::default();
        let root = Spot::default();
        let mut given = match input {
            Value::Object(given) => given,
            Value::Null => Map::new(),
            _ => {
                faults.add(&root, "the input is no object", "give an object with a value for each field");
                Map::new()
            }
        };
        for name in given.keys().filter(|name| !self.knows(name)) {
            let mend = suggest(name, self.names(), "leave it out");
            faults.add(&root.below(name, 0..0), format!("unknown field `{name}`"), mend);
        }
        for field in fields {
            match (given.get(&field.name), &field.default) {
                (Some(value), _) if field.kind.admits(value) => {}
                (Some(_), _) => {
                    let what = format!("`{}` must be of the type `{}`", field.name, field.kind.name());
                    faults.add(&root.below(&field.name, 0..0), what, "give a value of that type");
                }
                (None, Some(default)) => {
                    given.insert(field.name.clone(), default.clone());
                }
                (None, None) if field.required => {
                    let what = format!("`{}` is missing", field.name);
                    faults.add(&root.below(&field.name, 0..0), what, "give a value");
                }
                (None, None) => {
                    given.insert(field.name.clone(), Value::Null);
                }
            }
        }
        if faults.is_empty() { Ok(Value::Object(given)) } else { Err(faults.told(None)) }
    }
}
