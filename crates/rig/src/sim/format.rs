//! `response_format`: text, some JSON object, or an instance of a schema.

use super::key::Key;
use super::refusal::Refusal;
use super::request::Generation;
use super::schema;
use serde_json::{Value, json};

/// The form a text is asked for in.
#[derive(Debug, PartialEq)]
pub(crate) enum Format {
    Text,
    /// An instance of this schema.
    Json(Value),
}

impl Format {
    pub(crate) fn of(request: &Generation<'_>) -> Result<Self, Refusal> {
        const KINDS: &str = "'text', 'json_object' and 'json_schema'";
        let Some(raw) = request.response_format else { return Ok(Self::Text) };
        let mut format: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        match format.get("type").and_then(Value::as_str) {
            Some("text") => Ok(Self::Text),
            Some("json_object") => Ok(Self::Json(any_object())),
            Some("json_schema") => {
                if format.pointer("/json_schema/name").and_then(Value::as_str).is_none() {
                    return Err(Refusal::missing("response_format.json_schema.name"));
                }
                match format.pointer_mut("/json_schema/schema").map(Value::take) {
                    Some(schema @ Value::Object(_)) => Ok(Self::Json(schema)),
                    Some(_) => Err(Refusal::at(
                        "response_format.json_schema.schema",
                        "invalid_type",
                        "A schema must be an object.",
                    )),
                    None => Err(Refusal::missing("response_format.json_schema.schema")),
                }
            }
            Some(other) => Err(Refusal::wrong_value("response_format.type", other, KINDS)),
            None => Err(Refusal::missing("response_format.type")),
        }
    }

    /// What is said in this form; `None` for text, which has its own length.
    pub(crate) fn instance(&self, key: Key) -> Option<String> {
        match self {
            Self::Text => None,
            Self::Json(schema) => Some(schema::instance(schema, key.draws(5)).to_string()),
        }
    }
}

/// What an object without a schema looks like.
fn any_object() -> Value {
    json!({
        "type": "object",
        "properties": {
            "answer": {"type": "string", "minLength": 40, "maxLength": 80},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "topics": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn format(response_format: &str) -> Result<Format, Refusal> {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"response_format":{response_format}}}"#
        );
        Format::of(&Generation::chat(body.as_bytes()).unwrap())
    }

    #[test]
    fn a_form_is_read_or_refused_with_the_place() {
        assert_eq!(format("null"), Ok(Format::Text));
        assert_eq!(format(r#"{"type":"text"}"#), Ok(Format::Text));
        assert!(matches!(format(r#"{"type":"json_object"}"#), Ok(Format::Json(_))));
        for (response_format, param) in [
            ("{}", "response_format.type"),
            (r#"{"type":"xml"}"#, "response_format.type"),
            (r#"{"type":"json_schema"}"#, "response_format.json_schema.name"),
            (r#"{"type":"json_schema","json_schema":{"name":"a"}}"#, "response_format.json_schema.schema"),
            (
                r#"{"type":"json_schema","json_schema":{"name":"a","schema":1}}"#,
                "response_format.json_schema.schema",
            ),
        ] {
            assert_eq!(format(response_format).unwrap_err().param.as_deref(), Some(param));
        }
    }

    #[test]
    fn an_object_is_json() {
        let said = format(r#"{"type":"json_object"}"#).unwrap().instance(Key::new(1)).unwrap();
        assert!(serde_json::from_str::<Value>(&said).unwrap()["answer"].is_string());
    }
}
