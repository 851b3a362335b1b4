//! The JSON schema of the configuration, made from `raw`'s types and read by the shape check.
//!
//! The reader is no general validator. It knows `$ref`, `type`, `properties`, `additionalProperties`, `required`,
//! `items`, `enum`, `const`, `oneOf`, `minimum`, `maximum`, `minItems`, `maxItems`, `format`, `writeOnly`.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value;

use super::raw;

/// The JSON schema of the configuration file (draft 2020-12).
#[must_use]
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let settings =
            SchemaSettings::draft2020_12().with_transform(WithoutNulls).with_transform(RequiredAlone);
        settings.into_generator().into_root_schema_for::<raw::File>().to_value()
    })
}

/// Takes the nulls out: a key without a value is a key not given, and nobody should be led to write one.
#[derive(Clone, Debug)]
struct WithoutNulls;

impl Transform for WithoutNulls {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        if let Some(object) = schema.as_object_mut() {
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
        }
        transform_subschemas(self, schema);
    }
}

/// Takes the defaults of required keys out: what must be given has none.
#[derive(Clone, Debug)]
struct RequiredAlone;

impl Transform for RequiredAlone {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        if let Some(object) = schema.as_object_mut() {
            let required = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            let known = object.get_mut("properties").and_then(Value::as_object_mut);
            for (name, key) in known.into_iter().flatten() {
                if let (true, Some(key)) =
                    (required.contains(&Value::from(name.as_str())), key.as_object_mut())
                {
                    key.remove("default");
                }
            }
        }
        transform_subschemas(self, schema);
    }
}

/// A schema, its reference followed.
#[derive(Clone, Copy)]
pub(super) struct Schema(&'static Value);

/// What a schema's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Table,
    List,
    Text,
    Integer,
    Number,
    Flag,
}

impl Schema {
    /// The whole file's.
    pub(super) fn root() -> Self {
        Self::follow(schema())
    }

    fn follow(mut value: &'static Value) -> Self {
        // The schema is our own and its references have no cycle without a table between.
        while let Some(name) = value.get("$ref").and_then(Value::as_str) {
            let target = name.strip_prefix('#').and_then(|pointer| schema().pointer(pointer));
            match target {
                Some(target) => value = target,
                None => break,
            }
        }
        Self(value)
    }

    /// The schema of what stands under a key; `None`: there is no such key.
    pub(super) fn child(self, key: &str) -> Option<Self> {
        self.0.get("properties").and_then(|known| known.get(key)).map(Self::follow).or_else(|| self.any_key())
    }

    /// The schema of the values of a table whose keys are free.
    pub(super) fn any_key(self) -> Option<Self> {
        self.0.get("additionalProperties").filter(|schema| schema.is_object()).map(Self::follow)
    }

    /// The schema of a list's items.
    pub(super) fn items(self) -> Option<Self> {
        self.0.get("items").map(Self::follow)
    }

    /// The keys it knows by name.
    pub(super) fn keys(self) -> impl Iterator<Item = &'static str> {
        let known = self.0.get("properties").and_then(Value::as_object);
        known.into_iter().flat_map(|known| known.keys().map(String::as_str))
    }

    /// The keys that must be there.
    pub(super) fn required(self) -> impl Iterator<Item = &'static str> {
        let required = self.0.get("required").and_then(Value::as_array);
        required.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether a type is among those it allows.
    pub(super) fn allows(self, wanted: Type) -> bool {
        let name = match wanted {
            Type::Table => "object",
            Type::List => "array",
            Type::Text => "string",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::Flag => "boolean",
        };
        match self.0.get("type") {
            Some(Value::String(only)) => only == name,
            Some(Value::Array(several)) => several.iter().any(|one| one == name),
            // A choice of constants, all of them text.
            _ => wanted == Type::Text && self.0.get("oneOf").is_some(),
        }
    }

    /// The texts it allows, if it names them.
    pub(super) fn choices(self) -> Option<Vec<&'static str>> {
        let several = |schema: &'static Value| {
            let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
            listed.chain(schema.get("const")).filter_map(Value::as_str)
        };
        if let Some(choices) = self.0.get("oneOf").and_then(Value::as_array) {
            return Some(choices.iter().flat_map(several).collect());
        }
        self.0.get("enum").map(|_| several(self.0).collect())
    }

    /// The format's name.
    pub(super) fn format(self) -> Option<&'static str> {
        self.0.get("format").and_then(Value::as_str)
    }

    /// Whether its values are never to be shown.
    pub(super) fn is_secret(self) -> bool {
        self.0.get("writeOnly").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The smallest and the largest number it allows.
    pub(super) fn range(self) -> (f64, f64) {
        let bound = |name| self.0.get(name).and_then(Value::as_f64);
        let widest = match self.format() {
            Some("uint16") => f64::from(u16::MAX),
            Some("uint32") => f64::from(u32::MAX),
            Some("uint64") => u64::MAX as f64,
            _ => f64::INFINITY,
        };
        (bound("minimum").unwrap_or(f64::NEG_INFINITY), bound("maximum").unwrap_or(widest))
    }

    /// The least and the most items of a list.
    pub(super) fn length(self) -> (usize, usize) {
        let bound = |name| self.0.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        (bound("minItems").unwrap_or(0), bound("maxItems").unwrap_or(usize::MAX))
    }

    /// Every path of named keys below, with the keys' own name last: for "did you mean" across sections.
    pub(super) fn paths(self) -> Vec<String> {
        let mut paths = Vec::new();
        for key in self.keys() {
            let Some(child) = self.child(key) else { continue };
            paths.push(key.to_owned());
            let (below, step) = match (child.items(), child.any_key()) {
                (Some(item), _) => (item, "[].".to_owned()),
                (None, Some(value)) => (value, ".*.".to_owned()),
                (None, None) => (child, ".".to_owned()),
            };
            paths.extend(below.paths().into_iter().map(|path| format!("{key}{step}{path}")));
        }
        paths
    }
}

/// The candidate that a word was likely meant to be.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A garbled or pasted key is no misspelling, and the measure is quadratic in length.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::osa_distance(&word, &candidate.to_lowercase().replace('-', "_")), candidate)
        })
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::schema;
    use serde_json::Value;

    /// Required keys of which a default is told, anywhere below.
    fn told(schema: &Value, found: &mut Vec<String>) {
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if schema["properties"][name].get("default").is_some() {
                found.push(format!("{}: {name}", schema["description"]));
            }
        }
        let below: Vec<&Value> = match schema {
            Value::Object(members) => members.values().collect(),
            Value::Array(items) => items.iter().collect(),
            _ => Vec::new(),
        };
        below.into_iter().for_each(|schema| told(schema, found));
    }

    #[test]
    fn what_must_be_given_has_no_default_and_the_rest_keeps_its_own() {
        let mut found = Vec::new();
        told(schema(), &mut found);
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(schema()["$defs"]["Target"]["properties"]["weight"]["default"], 1);
    }
}
