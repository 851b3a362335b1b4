//! One row of the input, where it stands, and what can be wrong with it.

use bytes::Bytes;
use wire::json;
use wire::splice::push_json_string;

use super::extent::Extent;

/// Most of a row that is no JSON which an error repeats.
const TEXT_CHARS_MAX: usize = 10_000;

/// A row, as a JSON object, whatever the file's form.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// How many rows stand before it: every row has a number of its own, and none is left out.
    pub(super) number: u64,
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// Its length in the input.
    pub(super) bytes: u64,
    /// Where the input is behind it.
    pub(super) after: Extent,
    /// An object that has been checked, or what there is instead.
    pub(super) text: Bytes,
}

/// A row's request, or why there is none.
#[derive(Debug)]
pub(super) struct Ready {
    /// The row.
    pub(super) row: Row,
    /// The body to send.
    pub(super) body: Result<Bytes, Fault>,
}

impl Ready {
    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.row.text.len() + self.body.as_ref().map_or(0, Bytes::len)
    }
}

/// Why a row came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// In one word, for machines: one of ours, or the provider's own.
    pub(super) code: String,
    /// In a sentence.
    pub(super) message: String,
    /// The answer's status, where there was an answer that said so.
    pub(super) status: Option<u16>,
}

impl Fault {
    /// A fault that was found here.
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), status: None }
    }

    /// What a text is not, if it is no JSON object.
    pub(super) fn of_json(fault: &json::Fault) -> Self {
        // The place is told within the line: the file's own stands before it.
        Self::new("not_json", fault.to_string().replacen(" line 1", "", 1))
    }

    /// The line of the error file: `{"line":…,"code":…,"message":…,"status":…,"row":…}`. A row that is no JSON is
    /// given as a text, its beginning at least.
    pub(super) fn line(&self, row: &Row) -> Vec<u8> {
        let mut out = Vec::with_capacity(row.text.len() + 128);
        out.extend_from_slice(format!("{{\"line\":{},\"code\":", row.line).as_bytes());
        push_json_string(&mut out, &self.code);
        out.extend_from_slice(b",\"message\":");
        push_json_string(&mut out, &self.message);
        if let Some(status) = self.status {
            out.extend_from_slice(format!(",\"status\":{status}").as_bytes());
        }
        out.extend_from_slice(b",\"row\":");
        if row.text.is_empty() {
            out.extend_from_slice(b"null");
        } else if json::validate(&row.text).is_ok() {
            out.extend_from_slice(row.text.trim_ascii());
        } else {
            let text = String::from_utf8_lossy(&row.text);
            push_json_string(&mut out, &text.chars().take(TEXT_CHARS_MAX).collect::<String>());
        }
        out.extend_from_slice(b"}\n");
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn line(text: &'static [u8], status: Option<u16>) -> serde_json::Value {
        let row =
            Row { number: 0, line: 7, bytes: 0, after: Extent::default(), text: Bytes::from_static(text) };
        let fault = Fault { status, ..Fault::new("broken", "it \"broke\"") };
        let mut line = fault.line(&row);
        assert_eq!(line.pop(), Some(b'\n'));
        assert!(!line.contains(&b'\n'));
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn an_error_repeats_its_row_as_it_is_or_as_text() {
        let told = line(b" {\"a\": 1}\r", Some(503));
        let expected = serde_json::json!(
            {"line": 7, "code": "broken", "message": "it \"broke\"", "status": 503, "row": {"a": 1}}
        );
        assert_eq!(told, expected);
        assert_eq!(line(b"", None)["row"], serde_json::Value::Null);
        assert_eq!(line(b"{\"a\"", None)["row"], "{\"a\"");
        assert_eq!(line(b"\"\xff\"", None)["row"], "\"\u{fffd}\"");
        assert!(line(b"{}", None).get("status").is_none());
    }
}
