//! The form that a file is brought in (RFC 7578), taken apart in memory.

use crate::sim::refusal::Refusal;
use bytes::Bytes;
use http::{HeaderMap, header};
use memchr::memmem;

/// A file, and what it is for.
pub(super) struct Form {
    pub(super) name: String,
    pub(super) purpose: String,
    pub(super) bytes: Bytes,
}

/// Reads a form with a `purpose` and a `file`; other fields may be there.
pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Form, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = kind.split("boundary=").nth(1).map(|rest| rest.trim_matches('"'));
    let boundary = boundary.ok_or_else(|| Refusal::invalid("A file is brought as multipart/form-data."))?;
    let (mut purpose, mut file) = (None, None);
    for (head, content) in parts(body, boundary).ok_or_else(|| Refusal::invalid("The form is not whole."))? {
        match parameter(&head, "name").as_deref() {
            Some("purpose") => purpose = Some(String::from_utf8_lossy(&content).into_owned()),
            Some("file") => file = Some((parameter(&head, "filename").unwrap_or_default(), content)),
            _ => {}
        }
    }
    let purpose = purpose.ok_or_else(|| Refusal::missing("purpose"))?;
    let (name, bytes) = file.ok_or_else(|| Refusal::missing("file"))?;
    Ok(Form { name, purpose, bytes })
}

/// The parts, each with its head; `None` where the last boundary is missing.
fn parts(body: &Bytes, boundary: &str) -> Option<Vec<(String, Bytes)>> {
    let (first, next) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let mut at = memmem::find(body, first.as_bytes())? + first.len();
    let mut parts = Vec::new();
    while !body.get(at..)?.starts_with(b"--") {
        let begin = at + 2;
        let end = begin + memmem::find(body.get(begin..)?, next.as_bytes())?;
        let part = body.slice(begin..end);
        let head = memmem::find(&part, b"\r\n\r\n")?;
        parts.push((String::from_utf8_lossy(&part[..head]).into_owned(), part.slice(head + 4..)));
        at = end + next.len();
    }
    Some(parts)
}

/// `name="purpose"` among a part's headers.
fn parameter(head: &str, name: &str) -> Option<String> {
    let mut words = head.split([';', '\r', '\n']).filter_map(|word| word.trim().split_once('='));
    words.find(|(word, _)| *word == name).map(|(_, value)| value.trim_matches('"').to_owned())
}
