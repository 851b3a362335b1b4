#![allow(clippy::unwrap_used, clippy::panic)]
//! A checker of its own, written against the JSON Schema specification and not
//! against the maker, tells whether what was made conforms.

use super::instance;
use crate::sim::key::Key;
use serde_json::{Value, json};

type Schema = serde_json::Map<String, Value>;

/// Why an instance does not conform; `None` where it does.
fn fault(root: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    let schema = match schema {
        Value::Bool(true) => return None,
        Value::Object(schema) => schema,
        _ => return Some(format!("{place}: nothing conforms")),
    };
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        if let Some(why) = fault(root, target, value, place) {
            return Some(why);
        }
    }
    let why = equal(schema, value).or_else(|| branches(root, schema, value)).or_else(|| kind(schema, value));
    if let Some(why) = why {
        return Some(format!("{place}: {why}: {value}"));
    }
    match value {
        Value::Object(members) => object(root, schema, members, place),
        Value::Array(items) => array(root, schema, items, place),
        Value::String(text) => outside(schema, text.chars().count() as f64, "minLength", "maxLength", place),
        Value::Number(number) => bounds(schema, number.as_f64().unwrap(), place),
        _ => None,
    }
}

fn equal(schema: &Schema, value: &Value) -> Option<&'static str> {
    if schema.get("const").is_some_and(|constant| constant != value) {
        return Some("not the constant");
    }
    let listed = schema.get("enum").is_none_or(|list| list.as_array().unwrap().contains(value));
    (!listed).then_some("not in the enum")
}

fn branches(root: &Value, schema: &Schema, value: &Value) -> Option<&'static str> {
    ["anyOf", "oneOf", "allOf"].into_iter().find(|word| {
        let Some(list) = schema.get(*word).and_then(Value::as_array) else { return false };
        let conforming = list.iter().filter(|branch| fault(root, branch, value, "").is_none()).count();
        match *word {
            "anyOf" => conforming == 0,
            "oneOf" => conforming != 1,
            _ => conforming < list.len(),
        }
    })
}

fn kind(schema: &Schema, value: &Value) -> Option<&'static str> {
    let kinds: Vec<&str> = match schema.get("type")? {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => vec![kind.as_str().unwrap()],
    };
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    };
    (!kinds.into_iter().any(is)).then_some("wrong type")
}

fn object(root: &Value, schema: &Schema, members: &Schema, place: &str) -> Option<String> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    if let Some(name) = required.map(|name| name.as_str().unwrap()).find(|name| !members.contains_key(*name))
    {
        return Some(format!("{place}.{name} is missing"));
    }
    let anything = json!(true);
    let additional = schema.get("additionalProperties").unwrap_or(&anything);
    let property =
        |name: &str| schema.get("properties").and_then(|list| list.get(name)).unwrap_or(additional);
    let wrong = members
        .iter()
        .find_map(|(name, member)| fault(root, property(name), member, &format!("{place}.{name}")));
    wrong.or_else(|| outside(schema, members.len() as f64, "minProperties", "maxProperties", place))
}

fn array(root: &Value, schema: &Schema, items: &[Value], place: &str) -> Option<String> {
    let unique = schema.get("uniqueItems") == Some(&json!(true));
    if unique && (1..items.len()).any(|at| items[..at].contains(&items[at])) {
        return Some(format!("{place}: items repeat"));
    }
    let anything = json!(true);
    let prefix = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rest = schema.get("items").unwrap_or(&anything);
    let each = items.iter().enumerate();
    let wrong =
        each.map(|(at, item)| fault(root, prefix.get(at).unwrap_or(rest), item, &format!("{place}[{at}]")));
    wrong
        .into_iter()
        .flatten()
        .next()
        .or_else(|| outside(schema, items.len() as f64, "minItems", "maxItems", place))
}

fn bounds(schema: &Schema, number: f64, place: &str) -> Option<String> {
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    let excluded = bound("exclusiveMinimum").is_some_and(|least| number <= least)
        || bound("exclusiveMaximum").is_some_and(|most| number >= most)
        || bound("multipleOf").is_some_and(|step| (number / step - (number / step).round()).abs() > 1e-9);
    let fault = excluded.then(|| format!("{place}: {number} is excluded"));
    fault.or_else(|| outside(schema, number, "minimum", "maximum", place))
}

fn outside(schema: &Schema, value: f64, least: &str, most: &str, place: &str) -> Option<String> {
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    let outside =
        bound(least).is_some_and(|least| value < least) || bound(most).is_some_and(|most| value > most);
    outside.then(|| format!("{place}: {value} is not between {least} and {most}"))
}

/// Makes forty instances and judges each.
fn check(schema: &Value) -> Vec<Value> {
    let made: Vec<Value> = (0..40).map(|seed| instance(schema, Key::new(seed).draws(0))).collect();
    for value in &made {
        assert_eq!(fault(schema, schema, value, "$"), None, "{schema}\n{value}");
        assert!(value.to_string().len() < 300_000);
    }
    made
}

#[test]
fn every_scalar_keeps_to_its_bounds() {
    for schema in [
        json!({"type": "string"}),
        json!({"type": "string", "minLength": 60, "maxLength": 61}),
        json!({"type": "string", "maxLength": 3}),
        json!({"type": "integer"}),
        json!({"type": "integer", "minimum": 5, "maximum": 5}),
        json!({"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 7}),
        json!({"type": "integer", "minimum": -3.5, "maximum": -2.5}),
        json!({"type": "integer", "minimum": 1, "multipleOf": 7}),
        json!({"type": "integer", "minimum": i64::MAX}),
        json!({"type": "integer", "maximum": i64::MIN}),
        json!({"type": "number"}),
        json!({"type": "number", "minimum": 0, "maximum": 1}),
        json!({"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 0.2}),
        json!({"type": "number", "exclusiveMinimum": 1e-9, "exclusiveMaximum": 2e-9}),
        json!({"type": "number", "multipleOf": 0.25, "minimum": 1}),
        json!({"type": "boolean"}),
        json!({"type": "null"}),
        json!({"type": ["string", "null"]}),
        json!({"enum": ["a", 1, null]}),
        json!({"const": {"a": [1]}}),
        json!({"minimum": 3}),
        json!(true),
        json!({}),
    ] {
        check(&schema);
    }
}

#[test]
fn objects_and_lists_have_what_they_must() {
    for schema in [
        json!({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 14}},
               "required": ["city", "days"], "additionalProperties": false}),
        json!({"type": "object", "required": ["unlisted"]}),
        json!({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 3}),
        json!({"properties": {"a": {"items": {"type": "string"}}}}),
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 5}),
        json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}),
        json!({"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": true, "minItems": 3}),
        json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false}),
        json!({"type": "array", "minItems": 1000, "items": {"type": "boolean"}}),
    ] {
        check(&schema);
    }
}

#[test]
fn branches_and_references_are_followed() {
    for schema in [
        json!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 5}]}),
        json!({"oneOf": [{"type": "string"}, {"type": "null"}]}),
        json!({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                         {"properties": {"b": {"type": "integer"}}, "required": ["b"]}]}),
        json!({"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"],
               "anyOf": [{"properties": {"x": {"type": "number"}}, "required": ["x"]},
                         {"properties": {"y": {"type": "boolean"}}, "required": ["y"]}]}),
        json!({"$ref": "#/$defs/point", "$defs": {"point": {"type": "object", "properties": {"x": {"$ref": "#/$defs/n"}}, "required": ["x"]},
               "n": {"type": "number", "minimum": 3}}}),
        json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "integer", "minimum": 3, "maximum": 4}}}),
        json!({"anyOf": [{"$ref": "#/definitions/a"}, {"type": "null"}], "definitions": {"a": {"type": "string", "minLength": 40}}}),
    ] {
        check(&schema);
    }
}

#[test]
fn recursion_comes_to_an_end_and_still_conforms() {
    let list = json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "additionalProperties": false, "required": ["value", "next"],
        "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}}});
    check(&list);
    let tree = json!({"type": "object", "required": ["name", "children"], "properties": {"name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#"}}}});
    check(&tree);
    let expression = json!({"$ref": "#/$defs/e", "$defs": {"e": {"anyOf": [
        {"type": "object", "required": ["left", "right"], "properties": {"left": {"$ref": "#/$defs/e"}, "right": {"$ref": "#/$defs/e"}}},
        {"type": "object", "required": ["not"], "properties": {"not": {"$ref": "#/$defs/e"}}},
        {"type": "integer"}]}}});
    check(&expression);
}

#[test]
fn a_schema_without_finite_instances_ends_all_the_same() {
    let endless = json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "required": ["a", "b"],
        "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"$ref": "#/$defs/a"}}}}});
    let wide =
        json!({"type": "array", "minItems": 1_000_000, "items": {"type": "array", "minItems": 1_000_000}});
    let circle = json!({"$ref": "#"});
    for schema in
        [endless, wide, circle, json!(false), json!({"type": "unheard of"}), json!({"$ref": "elsewhere"})]
    {
        let made = instance(&schema, Key::new(0).draws(0));
        assert!(made.to_string().len() < 1_000_000);
    }
}

#[test]
fn one_key_makes_one_instance() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}});
    let make = |seed| instance(&schema, Key::new(seed).draws(0));
    assert_eq!(make(1), make(1));
    assert_ne!(make(1), make(2));
}
