#![allow(clippy::unwrap_used, clippy::panic)]
//! A checker of its own, written against the JSON Schema specification and not
//! against the maker, tells whether what was made conforms.

use super::instance;
use crate::sim::key::Key;
use serde_json::{Value, json};

/// Why an instance does not conform; `None` where it does.
fn fault(root: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    let schema = match schema {
        Value::Bool(true) => return None,
        Value::Object(schema) => schema,
        _ => return Some(format!("{place}: nothing conforms")),
    };
    let fails = |why: &str| Some(format!("{place}: {why}: {value}"));
    let number = |word: &str| schema.get(word).and_then(Value::as_f64);
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        if let Some(why) = fault(root, target, value, place) {
            return Some(why);
        }
    }
    if schema.get("const").is_some_and(|constant| constant != value) {
        return fails("not the constant");
    }
    if schema.get("enum").is_some_and(|list| !list.as_array().unwrap().contains(value)) {
        return fails("not in the enum");
    }
    for (word, exact) in [("anyOf", false), ("oneOf", true), ("allOf", false)] {
        if let Some(list) = schema.get(word).and_then(Value::as_array) {
            let conforming = list.iter().filter(|branch| fault(root, branch, value, place).is_none()).count();
            let fits = match word {
                "allOf" => conforming == list.len(),
                _ if exact => conforming == 1,
                _ => conforming > 0,
            };
            if !fits {
                return fails(word);
            }
        }
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let is = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    };
    if !kinds.is_empty() && !kinds.iter().any(is) {
        return fails("wrong type");
    }
    match value {
        Value::Object(members) => {
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                if !members.contains_key(name.as_str().unwrap()) {
                    return fails(&format!("{name} is missing"));
                }
            }
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, member) in members {
                let anything = json!(true);
                let additional = schema.get("additionalProperties").unwrap_or(&anything);
                let property = properties.and_then(|properties| properties.get(name)).unwrap_or(additional);
                if let Some(why) = fault(root, property, member, &format!("{place}.{name}")) {
                    return Some(why);
                }
            }
            number("minProperties")
                .filter(|least| (members.len() as f64) < *least)
                .and_then(|_| fails("too few members"))
        }
        Value::Array(items) => {
            let length = items.len() as f64;
            if number("minItems").is_some_and(|least| length < least)
                || number("maxItems").is_some_and(|most| length > most)
            {
                return fails("wrong number of items");
            }
            if schema.get("uniqueItems") == Some(&json!(true))
                && (1..items.len()).any(|at| items[..at].contains(&items[at]))
            {
                return fails("items repeat");
            }
            let anything = json!(true);
            let prefix = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let rest = schema.get("items").unwrap_or(&anything);
            items.iter().enumerate().find_map(|(at, item)| {
                fault(root, prefix.get(at).unwrap_or(rest), item, &format!("{place}[{at}]"))
            })
        }
        Value::String(text) => {
            let length = text.chars().count() as f64;
            (number("minLength").is_some_and(|least| length < least)
                || number("maxLength").is_some_and(|most| length > most))
            .then(|| format!("{place}: wrong length: {text:?}"))
        }
        Value::Number(n) => {
            let n = n.as_f64().unwrap();
            let wrong = number("minimum").is_some_and(|least| n < least)
                || number("maximum").is_some_and(|most| n > most)
                || number("exclusiveMinimum").is_some_and(|least| n <= least)
                || number("exclusiveMaximum").is_some_and(|most| n >= most)
                || number("multipleOf").is_some_and(|step| (n / step - (n / step).round()).abs() > 1e-9);
            wrong.then(|| format!("{place}: out of bounds: {n}"))
        }
        _ => None,
    }
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
