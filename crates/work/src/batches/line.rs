//! A line of an input, checked: what it asks, or what is wrong with it.

use super::CUSTOM_ID_BYTES_MAX;
use super::notes::Problem;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A line that can be asked.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// What the caller calls it.
    pub custom_id: Cow<'a, str>,
    /// The body, as the caller wrote it.
    pub body: &'a RawValue,
    /// What it asks, where that can be read.
    pub model: Option<String>,
}

/// A line that cannot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad {
    /// What the caller calls it, where that can be read.
    pub custom_id: Option<String>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// A line's fields, whatever is in them.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// What of a body is looked at.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    stream: Option<serde_json::Value>,
    #[serde(default)]
    model: Option<serde_json::Value>,
}

/// A text, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Checks a line of a batch that asks `endpoint`.
pub(super) fn check<'a>(text: &'a [u8], endpoint: &str) -> Result<Line<'a>, Bad> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let fields = fields(text).map_err(|problem| Bad { custom_id: None, problem })?;
    let custom_id = custom_id(fields.custom_id).map_err(|problem| Bad { custom_id: None, problem })?;
    match check_rest(&fields, endpoint) {
        Ok((body, model)) => Ok(Line { custom_id, body, model }),
        Err(problem) => Err(Bad { custom_id: Some(custom_id.into_owned()), problem }),
    }
}

/// A line that was not even held.
pub(super) fn too_long() -> Bad {
    let message = format!("This line has more than {} MiB.", super::LINE_BYTES_MAX >> 20);
    Bad { custom_id: None, problem: Problem::new("line_too_long", message) }
}

/// A line whose `custom_id` another has.
pub(super) fn duplicate(custom_id: &str) -> Bad {
    let problem = Problem::new("duplicate_custom_id", "Another line before has the same custom_id.");
    Bad { custom_id: Some(custom_id.to_owned()), problem: problem.of_param("custom_id") }
}

fn fields(text: &[u8]) -> Result<Fields<'_>, Problem> {
    let wrong = |message: String| Problem::new("invalid_json_line", message);
    // Else a list would be taken for the fields in their order.
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(wrong("This line is no JSON object.".to_owned()));
    }
    serde_json::from_slice(text)
        .map_err(|fault| wrong(format!("This line is no JSON object: {}.", within_line(&fault))))
}

/// A fault of a text that is one line: which of the file it is, is told elsewhere.
fn within_line(fault: &serde_json::Error) -> String {
    format!("{} at column {}", without_place(fault), fault.column())
}

fn without_place(fault: &serde_json::Error) -> String {
    let told = fault.to_string();
    let place = format!(" at line {} column {}", fault.line(), fault.column());
    told.strip_suffix(&place).unwrap_or(&told).to_owned()
}

fn custom_id(field: Option<&RawValue>) -> Result<Cow<'_, str>, Problem> {
    let field = field.ok_or_else(|| missing("custom_id"))?;
    let wrong = |message: &str| Problem::new("invalid_custom_id", message).of_param("custom_id");
    let Ok(Text(custom_id)) = serde_json::from_str(field.get()) else {
        return Err(wrong("The custom_id is no string."));
    };
    match custom_id.len() {
        0 => Err(wrong("The custom_id is empty.")),
        1..=CUSTOM_ID_BYTES_MAX => Ok(custom_id),
        _ => Err(wrong(&format!("The custom_id has more than {CUSTOM_ID_BYTES_MAX} bytes."))),
    }
}

/// All but the `custom_id`; the body and its model, where it is well.
fn check_rest<'a>(fields: &Fields<'a>, endpoint: &str) -> Result<(&'a RawValue, Option<String>), Problem> {
    let is = |field: &RawValue, expected: &str| {
        serde_json::from_str::<Text<'_>>(field.get()).is_ok_and(|text| text.0 == expected)
    };
    if !is(fields.method.ok_or_else(|| missing("method"))?, "POST") {
        return Err(Problem::new("invalid_method", "The method is not POST.").of_param("method"));
    }
    if !is(fields.url.ok_or_else(|| missing("url"))?, endpoint) {
        let message = format!("The url is not that of the batch, which is {endpoint}.");
        return Err(Problem::new("invalid_url", message).of_param("url"));
    }
    let body = fields.body.ok_or_else(|| missing("body"))?;
    let wrong = |message: &str| Problem::new("invalid_body", message).of_param("body");
    if !body.get().starts_with('{') {
        return Err(wrong("The body is no JSON object."));
    }
    match serde_json::from_str::<Body>(body.get()) {
        // Its columns are the body's own, and would mislead.
        Err(fault) => Err(wrong(&format!("The body cannot be read: {}.", without_place(&fault)))),
        Ok(Body { stream: Some(serde_json::Value::Bool(true)), .. }) => {
            Err(wrong("The body asks for a stream, and a batch has none.").of_param("body.stream"))
        }
        Ok(Body { model: Some(serde_json::Value::String(model)), .. }) => Ok((body, Some(model))),
        Ok(_) => Ok((body, None)),
    }
}

fn missing(param: &str) -> Problem {
    let message = format!("This line has no {param}.");
    Problem::new("missing_required_parameter", message).of_param(param)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::check;

    const GOOD: &str =
        r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}"#;

    #[test]
    fn a_good_line_keeps_its_body_as_it_is_written() {
        for (line, custom_id, body) in [
            (GOOD, "a", r#"{"model":"m"}"#),
            (
                "\u{feff}{\"body\": {\"a\" : 1.0, \"a\":2, \"stream\": false },\"url\":\"/v1/chat/completions\",\
                 \"method\":\"POST\", \"custom_id\":\"\\u0061b\",\"more\":[1]}\r",
                "ab",
                "{\"a\" : 1.0, \"a\":2, \"stream\": false }",
            ),
        ] {
            let line = check(line.as_bytes(), "/v1/chat/completions").unwrap();
            assert_eq!((&*line.custom_id, line.body.get()), (custom_id, body));
        }
    }

    #[test]
    fn what_is_no_json_is_told_with_its_column_and_no_line_of_its_own() {
        let told = |line: &str| check(line.as_bytes(), "/v1/chat/completions").unwrap_err().problem.message;
        assert_eq!(told("{oops}"), "This line is no JSON object: key must be a string at column 2.");
        assert_eq!(
            told(r#"{"a":1"#),
            "This line is no JSON object: EOF while parsing an object at column 6."
        );
    }

    #[test]
    fn a_bad_line_says_what_is_wrong_with_it() {
        let check = |from: &str, to: &str, code: &str, param: Option<&str>, custom_id: Option<&str>| {
            let line = GOOD.replacen(from, to, 1);
            assert_ne!(line, GOOD);
            let bad = check(line.as_bytes(), "/v1/chat/completions").unwrap_err();
            assert_eq!((bad.problem.code.as_str(), bad.problem.param.as_deref()), (code, param), "{line}");
            assert_eq!(bad.custom_id.as_deref(), custom_id, "{line}");
        };
        check("}}", "}", "invalid_json_line", None, None);
        check(GOOD, "[1]", "invalid_json_line", None, None);
        check(GOOD, "\u{fffd}", "invalid_json_line", None, None);
        check(GOOD, r#"{"custom_id":"a","custom_id":"b"}"#, "invalid_json_line", None, None);
        check("custom_id", "id", "missing_required_parameter", Some("custom_id"), None);
        check(r#""a""#, "7", "invalid_custom_id", Some("custom_id"), None);
        check(r#""a""#, r#""""#, "invalid_custom_id", Some("custom_id"), None);
        check("\"a\"", &format!("{:?}", "x".repeat(513)), "invalid_custom_id", Some("custom_id"), None);
        check(r#""method":"POST","#, "", "missing_required_parameter", Some("method"), Some("a"));
        check("POST", "GET", "invalid_method", Some("method"), Some("a"));
        check("\"url\"", "\"uri\"", "missing_required_parameter", Some("url"), Some("a"));
        check("/v1/chat", "/chat", "invalid_url", Some("url"), Some("a"));
        check("\"body\"", "\"data\"", "missing_required_parameter", Some("body"), Some("a"));
        check(r#"{"model":"m"}"#, "[]", "invalid_body", Some("body"), Some("a"));
        check(r#"{"model":"m"}"#, "null", "missing_required_parameter", Some("body"), Some("a"));
        check(r#""model":"m""#, r#""stream":true"#, "invalid_body", Some("body.stream"), Some("a"));
    }
}
