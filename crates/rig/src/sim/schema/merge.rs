//! Schemas laid over one another: what `$ref`, `anyOf` and `allOf` come to
//! once a branch is chosen.

use serde_json::{Map, Value};

/// The schema without one of its words.
pub(super) fn without(schema: &Map<String, Value>, word: &str) -> Map<String, Value> {
    let others = schema.iter().filter(|(name, _)| *name != word);
    others.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The schema with a branch in the place of the word that led to it.
pub(super) fn over(schema: &Map<String, Value>, word: &str, branch: &Value) -> Map<String, Value> {
    both(without(schema, word), branch)
}

/// Both at once: members of objects and required names are joined; of bounds
/// the tighter one stands; anything else the second decides.
pub(super) fn both(mut first: Map<String, Value>, second: &Value) -> Map<String, Value> {
    let Some(second) = second.as_object() else { return first };
    for (word, value) in second {
        let joined = match (first.get_mut(word), value) {
            (Some(Value::Object(into)), Value::Object(members)) if word == "properties" => {
                for (name, property) in members {
                    let merged = match (into.get(name), property) {
                        (Some(Value::Object(one)), other) => Value::Object(both(one.clone(), other)),
                        _ => property.clone(),
                    };
                    into.insert(name.clone(), merged);
                }
                continue;
            }
            (Some(Value::Array(into)), Value::Array(names)) if word == "required" => {
                into.extend(names.iter().filter(|name| !into.contains(name)).cloned().collect::<Vec<_>>());
                continue;
            }
            (Some(one), other) => tighter(word, one, other),
            (None, other) => other.clone(),
        };
        first.insert(word.clone(), joined);
    }
    first
}

fn tighter(word: &str, one: &Value, other: &Value) -> Value {
    let (Some(a), Some(b)) = (one.as_f64(), other.as_f64()) else { return other.clone() };
    let keep_one = match word {
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => a > b,
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => a < b,
        _ => false,
    };
    if keep_one { one.clone() } else { other.clone() }
}
