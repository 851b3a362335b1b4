//! What an answer is worth: the facts from which a cache decides whether to keep it.

use std::collections::BTreeMap;

use super::{StoredStream, frames};
use crate::json::{self, Kind, Object, Value};
use crate::openai::Usage;
use crate::openai::stream::look;
use crate::operation::Operation;

/// Facts of a complete answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worth {
    /// How its choices ended. Nothing is set for embeddings.
    pub finish: Finishes,
    /// Whether a choice refuses: in `refusal` or in a part of that type.
    pub refusal: bool,
    /// Whether a choice has no text, no tool call and no audio, or there is no choice; for
    /// embeddings, whether there is no vector.
    pub empty: bool,
    /// Whether it carries an `error` that is not null, whatever its status said.
    pub error: bool,
    /// Number of choices, or of vectors.
    pub choices: u32,
    /// What it cost.
    pub usage: Option<Usage>,
    /// Characters of its text in all choices, without reasoning and refusals.
    pub text_chars: u64,
}

/// How choices ended: which ways occurred at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finishes {
    /// The model came to an end.
    pub stop: bool,
    /// The answer was cut off at a limit of tokens.
    pub length: bool,
    /// The model called tools, or a function.
    pub tool_calls: bool,
    /// A filter cut the answer off or withheld it.
    pub content_filter: bool,
    /// `error`, or a reason that is not OpenAI's.
    pub other: bool,
    /// A choice has no reason at all: it did not come to its end.
    pub incomplete: bool,
}

/// The facts of a whole answer to `operation`.
///
/// # Errors
/// The answer is not a JSON object.
pub fn worth_of(operation: Operation, body: &[u8]) -> Result<Worth, json::Fault> {
    let answer = json::reply(body)?;
    if operation.streams() {
        let mut reading = Reading::default();
        reading.envelope(&answer);
        for (at, choice) in choices(&answer).enumerate() {
            reading.choice(at as u64, &choice);
        }
        return Ok(reading.finish());
    }
    let vectors = answer.get("data").and_then(|data| data.elements()).map_or(0, Iterator::count);
    let mut reading = Reading::default();
    reading.envelope(&answer);
    let choices = u32::try_from(vectors).unwrap_or(u32::MAX);
    Ok(Worth { choices, empty: vectors == 0, ..reading.worth })
}

/// The facts of a stream.
pub(super) fn of_stream(stream: &StoredStream) -> Worth {
    let mut reading = Reading::default();
    for bytes in [Some(&stream.frames), stream.usage.as_ref()].into_iter().flatten() {
        reading.frames(bytes);
    }
    reading.finish()
}

/// The choices of an answer or a chunk.
fn choices<'a>(answer: &Object<'a>) -> impl Iterator<Item = Object<'a>> + use<'a> {
    let list = answer.get("choices").and_then(|list| list.elements());
    list.into_iter().flatten().filter_map(|choice| choice.object())
}

/// An answer being read, in one piece or in many.
#[derive(Default)]
struct Reading {
    worth: Worth,
    choices: BTreeMap<u64, Choice>,
}

/// One choice so far.
#[derive(Default)]
struct Choice {
    said: bool,
    finished: bool,
}

impl Reading {
    fn frames(&mut self, bytes: &bytes::Bytes) {
        let Some(frames) = frames::with_data(bytes) else {
            self.worth.error = true;
            return;
        };
        for frame in frames {
            let Ok(chunk) = json::reply(&frame.data) else {
                self.worth.error = true;
                continue;
            };
            self.envelope(&chunk);
            for (position, choice) in choices(&chunk).enumerate() {
                let index = choice.get("index").and_then(|index| index.as_u64());
                self.choice(index.unwrap_or(position as u64), &choice);
            }
        }
    }

    fn envelope(&mut self, answer: &Object<'_>) {
        self.worth.error |= answer.get("error").is_some_and(|error| !error.is_null());
        self.worth.usage = answer.get("usage").and_then(Usage::read).or(self.worth.usage);
    }

    fn choice(&mut self, index: u64, choice: &Object<'_>) {
        let so_far = self.choices.entry(index).or_default();
        if let Some(reason) = choice.get("finish_reason").filter(|reason| !reason.is_null()) {
            so_far.finished = true;
            self.worth.finish.add(reason);
        }
        let mut chars = choice.get("text").map_or(0, chars);
        let message = choice.get("message").filter(|message| message.kind() == Kind::Object);
        if let Some(message) = message.or_else(|| choice.get("delta")).and_then(|it| it.object()) {
            chars += message.get("content").map_or(0, chars_of_content);
            self.worth.refusal |= refuses(&message);
            so_far.said |= ["tool_calls", "function_call", "audio"]
                .iter()
                .any(|key| message.get(key).is_some_and(look::is_said));
        }
        so_far.said |= chars > 0;
        self.worth.text_chars += chars;
    }

    fn finish(self) -> Worth {
        let Self { mut worth, choices } = self;
        worth.empty = choices.is_empty() || choices.values().any(|choice| !choice.said);
        worth.finish.incomplete = choices.values().any(|choice| !choice.finished);
        worth.choices = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        worth
    }
}

impl Finishes {
    fn add(&mut self, reason: Value<'_>) {
        let way = match reason.as_str().as_deref() {
            Some("stop") => &mut self.stop,
            Some("length") => &mut self.length,
            Some("tool_calls" | "function_call") => &mut self.tool_calls,
            Some("content_filter") => &mut self.content_filter,
            _ => &mut self.other,
        };
        *way = true;
    }
}

/// Characters of a string.
fn chars(text: Value<'_>) -> u64 {
    text.as_str().map_or(0, |text| text.chars().count() as u64)
}

/// Characters of a content: a string, or the texts of its parts.
fn chars_of_content(content: Value<'_>) -> u64 {
    match content.elements() {
        Some(parts) => parts.filter_map(|part| part.object()?.get("text")).map(chars).sum(),
        None => chars(content),
    }
}

fn refuses(message: &Object<'_>) -> bool {
    let says_so = message.get("refusal").is_some_and(|refusal| chars(refusal) > 0);
    let parts = message.get("content").and_then(|content| content.elements());
    says_so
        || parts
            .into_iter()
            .flatten()
            .filter_map(|part| part.object()?.get("type")?.as_str())
            .any(|part_type| part_type == "refusal")
}
