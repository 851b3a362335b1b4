//! The frames of a stream being made: what all chunks begin and end with.

use super::push_member;
use crate::json::{Kind, Object, Value};
use crate::openai::stored::StoredStream;
use crate::operation::Operation;
use crate::sse::FRAME_BYTES_MAX;

pub(super) struct Reel {
    /// `{"id":…,"object":…,"choices":[`
    head: String,
    /// `]}`; for the first chunk, with the members that only it has.
    tail: String,
    frames: String,
    /// Whether every frame is short enough for a relay.
    fits: bool,
}

impl Reel {
    pub(super) fn new(operation: Operation, answer: &Object<'_>) -> Self {
        /// Members that every chunk has, beside its id.
        const COMMON: [&str; 4] = ["created", "model", "service_tier", "system_fingerprint"];
        let object = match operation {
            Operation::ChatCompletions => r#""chat.completion.chunk""#,
            _ => r#""text_completion""#,
        };
        let (mut head, mut tail) = ("{".to_owned(), "]".to_owned());
        if let Some(id) = answer.get("id") {
            push_member(&mut head, "id", id.raw());
        }
        push_member(&mut head, "object", object);
        for (key, value) in answer.iter() {
            match &*key {
                "id" | "object" | "choices" | "usage" | "error" => {}
                common if COMMON.contains(&common) => push_member(&mut head, &key, value.raw()),
                _ => push_member(&mut tail, &key, value.raw()),
            }
        }
        push_member(&mut head, "choices", "[");
        tail.push('}');
        Self { head, tail, frames: String::new(), fits: true }
    }

    /// Adds the frame of a chunk with one choice.
    pub(super) fn push(&mut self, choice: &str) {
        let tail = std::mem::replace(&mut self.tail, "]}".to_owned());
        self.frame(&[&self.head, choice, &tail].concat());
    }

    /// The stream, with the usage chunk where there is usage.
    pub(super) fn finish(mut self, usage: Option<Value<'_>>) -> Option<StoredStream> {
        let frames = std::mem::take(&mut self.frames);
        let usage = usage.filter(|usage| usage.kind() == Kind::Object).map(|usage| {
            self.frame(&[&self.head, "],\"usage\":", usage.raw(), "}"].concat());
            std::mem::take(&mut self.frames).into()
        });
        self.fits.then(|| StoredStream { frames: frames.into(), usage })
    }

    fn frame(&mut self, chunk: &str) {
        let start = self.frames.len();
        self.frames.push_str("data: ");
        push_compact(&mut self.frames, chunk);
        self.frames.push_str("\n\n");
        self.fits &= self.frames.len() - start <= FRAME_BYTES_MAX;
    }
}

/// Appends JSON on one line: without the white space between its tokens, where it has line ends.
fn push_compact(out: &mut String, json: &str) {
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_none() {
        return out.push_str(json);
    }
    let mut rest = json;
    while let Some((between, after)) = rest.split_once('"') {
        out.extend(between.chars().filter(|character| !character.is_ascii_whitespace()));
        let end = string_end(after);
        out.push('"');
        out.push_str(after.get(..end).unwrap_or_default());
        rest = after.get(end..).unwrap_or_default();
    }
    out.extend(rest.chars().filter(|character| !character.is_ascii_whitespace()));
}

/// Behind the closing quote of the string whose opening quote stands before `text`.
fn string_end(text: &str) -> usize {
    let mut from = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.as_bytes().get(from..).unwrap_or_default()) {
        from += found;
        if text.as_bytes().get(from) == Some(&b'"') {
            return from + 1;
        }
        from += 2;
    }
    text.len()
}
