//! The form of the output: which of a row's fields it keeps, and where the answer stands.

use std::borrow::Cow;

use wire::json::{self, Kind, Object, Value};
use wire::splice::push_json_string;

use super::source::Format;
use super::template::Path;

/// What came of a row's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A text.
    Text(String),
    /// A JSON value on one line.
    Json(String),
}

/// The form of the output.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// JSON or comma-separated values.
    pub(super) format: Format,
    /// The fields that are kept, in this order; `None`: all, as the row has them.
    pub(super) fields: Option<Vec<Path>>,
    /// The answer's own name.
    pub(super) answer: String,
}

impl Shape {
    /// What stands before the first row.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.format == Format::Csv {
            for field in self.fields.iter().flatten().filter(|field| field.name() != self.answer) {
                push_cell(&mut out, field.name());
                out.push(b',');
            }
            push_cell(&mut out, &self.answer);
            out.push(b'\n');
        }
        out
    }

    /// The line of the output for a row.
    ///
    /// # Errors
    /// A row that is no JSON object or lacks a field; the recipe has seen to both.
    pub(super) fn line(&self, row: &[u8], content: &Content) -> Result<Vec<u8>, super::row::Fault> {
        let object = json::object(row).map_err(|fault| super::row::Fault::of_json(&fault))?;
        // Lines may be held for a while: none takes more than it needs.
        let kept = if self.fields.is_some() { 0 } else { row.len() };
        let mut out = Vec::with_capacity(kept + content.len() + content.len() / 8 + self.answer.len() + 64);
        match (self.format, &self.fields) {
            (Format::Csv, fields) => {
                for field in fields.iter().flatten().filter(|field| field.name() != self.answer) {
                    push_cell(&mut out, &text_of(field.get(&object)?));
                    out.push(b',');
                }
                push_cell(&mut out, content.text());
            }
            (Format::Jsonl, Some(fields)) => {
                out.push(b'{');
                for field in fields.iter().filter(|field| field.name() != self.answer) {
                    push_member(&mut out, field.name(), field.get(&object)?.raw());
                    out.push(b',');
                }
                self.push_answer(&mut out, content);
            }
            (Format::Jsonl, None) => {
                self.push_members(&mut out, &object);
                self.push_answer(&mut out, content);
            }
        }
        out.push(b'\n');
        Ok(out)
    }

    /// The row's own members, each with a comma behind it. One that is named like the answer gives way to it.
    fn push_members(&self, out: &mut Vec<u8>, object: &Object<'_>) {
        if object.get(&self.answer).is_none() {
            // As they are written.
            let text = object.text().get(..object.end()).unwrap_or_default().trim();
            out.extend_from_slice(text.as_bytes());
            if !object.is_empty() {
                out.push(b',');
            }
            return;
        }
        out.push(b'{');
        for (name, value) in object.iter().filter(|(name, _)| *name != self.answer) {
            push_member(out, &name, value.raw());
            out.push(b',');
        }
    }

    fn push_answer(&self, out: &mut Vec<u8>, content: &Content) {
        push_json_string(out, &self.answer);
        out.push(b':');
        match content {
            Content::Text(text) => push_json_string(out, text),
            Content::Json(json) => out.extend_from_slice(json.as_bytes()),
        }
        out.push(b'}');
    }
}

impl Content {
    /// As a text: a JSON value as it is written.
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Json(text) => text,
        }
    }

    fn len(&self) -> usize {
        self.text().len()
    }
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &str) {
    push_json_string(out, name);
    out.push(b':');
    out.extend_from_slice(value.as_bytes());
}

/// A value in a table: a string's text, nothing for null, anything else as its JSON.
fn text_of<'a>(value: Value<'a>) -> Cow<'a, str> {
    match value.kind() {
        Kind::Null => Cow::Borrowed(""),
        _ => value.as_str().unwrap_or_else(|| Cow::Borrowed(value.raw())),
    }
}

/// A field as RFC 4180 has it: in quotes where it holds a comma, a quote or a line end, or would be taken for a blank
/// line.
fn push_cell(out: &mut Vec<u8>, text: &str) {
    let plain = !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) && !text.is_empty();
    if plain {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn shape(format: Format, fields: Option<&[&str]>) -> Shape {
        let fields = fields.map(|fields| fields.iter().map(|name| Path::new(name)).collect());
        Shape { format, fields, answer: "answer".to_owned() }
    }

    fn check(format: Format, fields: Option<&[&str]>, row: &str, content: &Content, line: &str) {
        let made = shape(format, fields).line(row.as_bytes(), content).unwrap();
        assert_eq!(String::from_utf8(made).unwrap(), format!("{line}\n"));
    }

    #[test]
    fn a_row_is_kept_as_it_is_written_and_the_answer_follows() {
        let text = Content::Text("a \"b\"\n".to_owned());
        let json = Content::Json("{\"x\":[1]}".to_owned());
        check(Format::Jsonl, None, "{}", &text, r#"{"answer":"a \"b\"\n"}"#);
        check(Format::Jsonl, None, " {\"n\": 1.50 }\r", &json, r#"{"n": 1.50,"answer":{"x":[1]}}"#);
        check(
            Format::Jsonl,
            None,
            r#"{"a":1,"answer":2,"b":3}"#,
            &json,
            r#"{"a":1,"b":3,"answer":{"x":[1]}}"#,
        );
    }

    #[test]
    fn fields_that_are_chosen_stand_in_the_order_they_were_chosen_in() {
        let row = r#"{"a":{"b":[1]},"id":7,"none":null}"#;
        let text = Content::Text("yes".to_owned());
        let fields: &[&str] = &["id", "a.b"];
        check(Format::Jsonl, Some(fields), row, &text, r#"{"id":7,"a.b":[1],"answer":"yes"}"#);
        check(Format::Jsonl, Some(&["answer"]), row, &text, r#"{"answer":"yes"}"#);
        check(Format::Csv, Some(&["id", "none", "a.b"]), row, &text, r#"7,"",[1],yes"#);
    }

    #[test]
    fn cells_are_quoted_where_a_reader_needs_it() {
        for (text, cell) in
            [("a b", "a b"), ("a,b", "\"a,b\""), ("\"", "\"\"\"\""), ("a\nb", "\"a\nb\""), ("", "\"\"")]
        {
            let row = serde_json::json!({ "t": text }).to_string();
            let content = Content::Json("[1,2]".to_owned());
            check(Format::Csv, Some(&["t"]), &row, &content, &format!("{cell},\"[1,2]\""));
        }
        let head = shape(Format::Csv, Some(&["a,b", "answer", "c"])).head();
        assert_eq!(head, b"\"a,b\",c,answer\n");
        assert!(shape(Format::Jsonl, None).head().is_empty());
    }
}
