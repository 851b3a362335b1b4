//! Instances of a JSON schema, for tools' arguments and structured output.
//!
//! It follows what schemas for models are made of: `type`, `properties`,
//! `required`, `additionalProperties`, `enum`, `const`, `items`,
//! `prefixItems`, the bounds of strings, numbers and lists, `multipleOf`,
//! `uniqueItems`, `format`, simple `pattern`s, `anyOf`, `oneOf`, `allOf`,
//! `$ref` and `$defs`. It does not follow conditions (`if`, `not`,
//! `dependent…`, `contains`): a schema that needs them is not kept to.
//!
//! Depth and size are bounded: past `DEPTH_SOFT` only what is required is
//! made and the shortest branch taken, past `DEPTH_MAX` or `NODES_MAX` the
//! rest is `null`, which only a schema without finite instances needs.

mod merge;
mod pattern;
mod scalar;

use super::key::Draws;
use serde_json::{Map, Value};
use std::borrow::Cow;

const DEPTH_SOFT: u32 = 8;
const DEPTH_MAX: u32 = 48;
const NODES_SOFT: u32 = 500;
const NODES_MAX: u32 = 20_000;

/// An instance of a schema.
pub(crate) fn instance(schema: &Value, draws: Draws) -> Value {
    let mut maker = Maker { root: schema, draws, nodes: 0, probes: 20_000 };
    maker.make(schema, 0)
}

struct Maker<'a> {
    root: &'a Value,
    draws: Draws,
    nodes: u32,
    /// Steps left for looking ahead to the shortest branch.
    probes: u32,
}

impl Maker<'_> {
    fn make(&mut self, schema: &Value, depth: u32) -> Value {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return Value::Null;
        }
        let Some(schema) = schema.as_object() else {
            // `true` takes anything; `false` takes nothing, not even this.
            return Value::String(scalar::words(&mut self.draws));
        };
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(Value::Array(options)) = schema.get("enum") {
            return self.draws.pick(options).cloned().unwrap_or_default();
        }
        if let Some(flat) = self.flatten(schema, depth) {
            return self.make(&Value::Object(flat), depth + 1);
        }
        match self.kind(schema, depth) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "integer" => scalar::integer(schema, &mut self.draws),
            "number" => scalar::number(schema, &mut self.draws),
            "boolean" => Value::Bool(self.draws.below(2) == 1),
            "null" => Value::Null,
            _ => Value::String(scalar::string(schema, &mut self.draws)),
        }
    }

    fn is_deep(&self, depth: u32) -> bool {
        depth >= DEPTH_SOFT || self.nodes > NODES_SOFT
    }

    /// A schema that refers or chooses, as one that does neither: the branch
    /// laid over what stands beside it. `None` where there is nothing to do.
    fn flatten(&mut self, schema: &Map<String, Value>, depth: u32) -> Option<Map<String, Value>> {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.resolve(target).into_owned();
            return Some(merge::over(schema, "$ref", &target));
        }
        if let Some(Value::Array(all)) = schema.get("allOf") {
            let mut flat = merge::without(schema, "allOf");
            for part in all {
                flat = merge::both(flat, &self.followed(part));
            }
            return Some(flat);
        }
        let member =
            ["anyOf", "oneOf"].into_iter().find(|member| schema.get(*member).is_some_and(Value::is_array))?;
        let branches = schema.get(member)?.as_array()?;
        let branch = if self.is_deep(depth) {
            branches.iter().min_by_key(|branch| self.height(branch, 0))
        } else {
            self.draws.pick(branches)
        };
        Some(merge::over(schema, member, branch.unwrap_or(&Value::Bool(true))))
    }

    /// What a reference inside `allOf` stands for.
    fn followed<'s>(&self, schema: &'s Value) -> Cow<'s, Value> {
        let mut followed = Cow::Borrowed(schema);
        for _ in 0..DEPTH_SOFT {
            let Some(target) = followed.get("$ref").and_then(Value::as_str) else { break };
            followed = Cow::Owned(self.resolve(target).into_owned());
        }
        followed
    }

    /// The schema at a local reference, such as `#/$defs/node`.
    fn resolve(&self, reference: &str) -> Cow<'_, Value> {
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        target.map_or(Cow::Owned(Value::Bool(true)), Cow::Borrowed)
    }

    /// The type to make: the first one listed that is not null, unless only
    /// the shortest way out counts; where none is told, what the other words
    /// of the schema are about.
    fn kind<'s>(&self, schema: &'s Map<String, Value>, depth: u32) -> &'s str {
        match schema.get("type") {
            Some(Value::String(kind)) => kind,
            Some(Value::Array(kinds)) => {
                let kinds = || kinds.iter().filter_map(Value::as_str);
                let null = kinds().find(|kind| *kind == "null" && self.is_deep(depth));
                null.or_else(|| kinds().find(|kind| *kind != "null"))
                    .or_else(|| kinds().next())
                    .unwrap_or("null")
            }
            _ => {
                let has = |words: &[&str]| words.iter().any(|word| schema.contains_key(*word));
                if has(&["properties", "required", "additionalProperties", "minProperties"]) {
                    "object"
                } else if has(&["items", "prefixItems", "minItems", "maxItems", "uniqueItems"]) {
                    "array"
                } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
                    "number"
                } else {
                    "string"
                }
            }
        }
    }

    fn object(&mut self, schema: &Map<String, Value>, depth: u32) -> Value {
        let mut made = Map::new();
        let required = required(schema);
        let deep = self.is_deep(depth);
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (name, property) in properties {
                if !deep || required.contains(&name.as_str()) {
                    made.insert(name.clone(), self.make(property, depth + 1));
                }
            }
        }
        let anything = Value::Bool(true);
        let additional = schema.get("additionalProperties").unwrap_or(&anything);
        for name in required {
            if !made.contains_key(name) {
                made.insert(name.to_owned(), self.make(additional, depth + 1));
            }
        }
        let least = bound(schema, "minProperties").unwrap_or(0);
        // A map without named members shows one, that it can be seen to fit.
        let shown = usize::from(additional.is_object() && !deep && made.is_empty());
        for at in 1.. {
            if made.len() >= least.max(shown) || self.nodes > NODES_MAX {
                break;
            }
            made.insert(format!("key_{at}"), self.make(additional, depth + 1));
        }
        Value::Object(made)
    }

    fn array(&mut self, schema: &Map<String, Value>, depth: u32) -> Value {
        /// Items made where the schema leaves it open.
        const USUAL: usize = 2;
        /// Draws for an item that no other equals.
        const TRIES: u32 = 64;
        let anything = Value::Bool(true);
        let listed = |word| schema.get(word).and_then(Value::as_array);
        let prefix = listed("prefixItems").or_else(|| listed("items")).map_or(&[][..], Vec::as_slice);
        let rest = schema.get("items").filter(|items| !items.is_array()).unwrap_or(&anything);
        let least = bound(schema, "minItems").unwrap_or(0);
        let usual = if self.is_deep(depth) { 0 } else { USUAL.max(prefix.len()) };
        let length = usual.max(least).min(bound(schema, "maxItems").unwrap_or(usize::MAX));
        let length = if *rest == Value::Bool(false) { length.min(prefix.len()) } else { length };
        let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
        let mut made: Vec<Value> = Vec::new();
        while made.len() < length && self.nodes <= NODES_MAX {
            let items = prefix.get(made.len()).unwrap_or(rest);
            let mut item = self.make(items, depth + 1);
            for _ in 0..TRIES {
                if !unique || !made.contains(&item) {
                    break;
                }
                item = self.make(items, depth + 1);
            }
            if unique && made.contains(&item) {
                break;
            }
            made.push(item);
        }
        Value::Array(made)
    }

    /// How deep the shortest instance of a schema is: what to choose by where
    /// a recursive schema has to come to an end.
    fn height(&mut self, schema: &Value, depth: u32) -> u32 {
        const FAR: u32 = 100;
        if depth > DEPTH_SOFT || self.probes == 0 {
            return FAR;
        }
        self.probes -= 1;
        let Some(schema) = schema.as_object() else { return 0 };
        if schema.contains_key("const") || schema.contains_key("enum") {
            return 0;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.resolve(target).into_owned();
            return self.height(&target, depth + 1);
        }
        for member in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = schema.get(member) {
                return branches.iter().map(|branch| self.height(branch, depth + 1)).min().unwrap_or(FAR);
            }
        }
        let parts: Vec<&Value> = match self.kind(schema, DEPTH_SOFT) {
            "object" => {
                required(schema).into_iter().filter_map(|name| schema.get("properties")?.get(name)).collect()
            }
            "array" if bound(schema, "minItems").unwrap_or(0) > 0 => {
                schema.get("items").into_iter().collect()
            }
            "array" => Vec::new(),
            _ => return 0,
        };
        1 + parts.into_iter().map(|part| self.height(part, depth + 1)).max().unwrap_or(0)
    }
}

fn required(schema: &Map<String, Value>) -> Vec<&str> {
    let list = schema.get("required").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A bound that counts something.
fn bound(schema: &Map<String, Value>, word: &str) -> Option<usize> {
    schema.get(word).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok())
}

#[cfg(test)]
pub(crate) mod tests;
