//! Where a body is wrong: read again as a tree, with all the time it takes,
//! because the caller needs a place and the one-pass reader has none.

use super::check::below;
use crate::sim::refusal::Refusal;
use serde_json::{Map, Value};

/// Which body it is.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Chat,
    Completion,
    Embedding,
}

/// What a member has to be; `null` stands for absent everywhere.
#[derive(Clone, Copy)]
enum Form {
    Boolean,
    /// At least this.
    Natural(u64),
    Integer,
    Number,
    String,
    Object,
    StringOrStrings,
    StringOrObjects,
    /// Text, texts, tokens or lists of tokens.
    Inputs,
    Messages,
    Logprobs,
}

const GENERATION: &[(&str, Form)] = &[
    ("model", Form::String),
    ("messages", Form::Messages),
    ("prompt", Form::Inputs),
    ("stream", Form::Boolean),
    ("stream_options", Form::Object),
    ("max_tokens", Form::Natural(1)),
    ("max_completion_tokens", Form::Natural(1)),
    ("n", Form::Natural(1)),
    ("seed", Form::Integer),
    ("stop", Form::StringOrStrings),
    ("logprobs", Form::Logprobs),
    ("top_logprobs", Form::Natural(0)),
    ("temperature", Form::Number),
    ("top_p", Form::Number),
    ("presence_penalty", Form::Number),
    ("frequency_penalty", Form::Number),
    ("parallel_tool_calls", Form::Boolean),
];
const EMBEDDING: &[(&str, Form)] = &[
    ("model", Form::String),
    ("input", Form::Inputs),
    ("dimensions", Form::Natural(1)),
    ("encoding_format", Form::String),
];
const MESSAGE: &[(&str, Form)] = &[
    ("role", Form::String),
    ("content", Form::StringOrObjects),
    ("name", Form::String),
    ("tool_call_id", Form::String),
];
const PART: &[(&str, Form)] = &[("type", Form::String), ("text", Form::String), ("refusal", Form::String)];

/// The refusal of a body that the one-pass reader stopped at with `error`.
pub(super) fn find(body: &[u8], kind: Kind, error: &serde_json::Error) -> Refusal {
    let tree = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(members)) => members,
        Ok(other) => {
            return Refusal::invalid(format!(
                "The request body must be a JSON object, not {}.",
                name(&other)
            ));
        }
        Err(error) => {
            return Refusal::invalid(format!("We could not parse the JSON body of your request: {error}."));
        }
    };
    let members = if kind == Kind::Embedding { EMBEDDING } else { GENERATION };
    let mut place = String::new();
    let found = first_fault(&mut place, &tree, members).or_else(|| stream_options(&tree));
    // What a tree forgives, such as a member given twice, is told as it came.
    found.unwrap_or_else(|| Refusal::invalid(format!("The request body is not valid: {error}.")))
}

fn stream_options(tree: &Map<String, Value>) -> Option<Refusal> {
    let options = tree.get("stream_options")?.as_object()?;
    first_fault(&mut String::from("stream_options."), options, &[("include_usage", Form::Boolean)])
}

/// `place` is the prefix of what stands in `object`; it is given back as it was.
fn first_fault(place: &mut String, object: &Map<String, Value>, members: &[(&str, Form)]) -> Option<Refusal> {
    let prefix = place.len();
    members.iter().find_map(|&(member, form)| {
        let value = object.get(member).filter(|value| !value.is_null())?;
        place.push_str(member);
        let fault = fault(place, value, form);
        place.truncate(prefix);
        fault
    })
}

fn fault(place: &mut String, value: &Value, form: Form) -> Option<Refusal> {
    let expected = match (form, value) {
        (Form::Boolean, Value::Bool(_))
        | (Form::Number, Value::Number(_))
        | (Form::String | Form::StringOrStrings | Form::StringOrObjects | Form::Inputs, Value::String(_))
        | (Form::Object, Value::Object(_))
        | (Form::Logprobs, Value::Bool(_)) => return None,
        (Form::Natural(least), Value::Number(number)) => match number.as_i64() {
            Some(number) if number < least.cast_signed() => return Some(below(place, &least, &number)),
            Some(number) if u32::try_from(number).is_ok() => return None,
            _ => "an integer",
        },
        (Form::Integer | Form::Logprobs, Value::Number(number)) if number.is_i64() => return None,
        (Form::StringOrStrings, Value::Array(items)) => {
            return items_fault(place, items, Value::is_string, "a string");
        }
        (Form::StringOrObjects, Value::Array(items)) => return objects_fault(place, items, PART),
        (Form::Messages, Value::Array(items)) => return objects_fault(place, items, MESSAGE),
        (Form::Inputs, Value::Array(items)) => return inputs_fault(place, items),
        (form, _) => expected(form),
    };
    Some(Refusal::wrong_type(place, expected, name(value)))
}

fn expected(form: Form) -> &'static str {
    match form {
        Form::Boolean => "a boolean",
        Form::Natural(_) | Form::Integer => "an integer",
        Form::Number => "a number",
        Form::String => "a string",
        Form::Object => "an object",
        Form::StringOrStrings => "a string or an array of strings",
        Form::StringOrObjects => "one of a string or an array of objects",
        Form::Inputs => "a string, an array of strings, or an array of tokens",
        Form::Messages => "an array of objects",
        Form::Logprobs => "a boolean or an integer",
    }
}

fn items_fault(place: &str, items: &[Value], fits: fn(&Value) -> bool, expected: &str) -> Option<Refusal> {
    let (at, item) = items.iter().enumerate().find(|(_, item)| !fits(item))?;
    Some(Refusal::wrong_type(&format!("{place}[{at}]"), expected, name(item)))
}

fn objects_fault(place: &mut String, items: &[Value], members: &[(&str, Form)]) -> Option<Refusal> {
    let prefix = place.len();
    items.iter().enumerate().find_map(|(at, item)| {
        place.push_str(&format!("[{at}]"));
        let fault = match item {
            Value::Object(object) => {
                place.push('.');
                first_fault(place, object, members)
            }
            other => Some(Refusal::wrong_type(place, "an object", name(other))),
        };
        place.truncate(prefix);
        fault
    })
}

fn inputs_fault(place: &str, items: &[Value]) -> Option<Refusal> {
    match items.first()? {
        Value::String(_) => items_fault(place, items, Value::is_string, "a string"),
        Value::Number(_) => items_fault(place, items, Value::is_u64, "an integer"),
        Value::Array(_) => items.iter().enumerate().find_map(|(at, item)| match item {
            Value::Array(tokens) => {
                items_fault(&format!("{place}[{at}]"), tokens, Value::is_u64, "an integer")
            }
            other => {
                Some(Refusal::wrong_type(&format!("{place}[{at}]"), "an array of integers", name(other)))
            }
        }),
        other => Some(Refusal::wrong_type(&format!("{place}[0]"), "a string or an integer", name(other))),
    }
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
