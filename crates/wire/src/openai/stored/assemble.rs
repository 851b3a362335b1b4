//! A stream's chunks put together: the whole answer that the provider would have given.

use bytes::Bytes;

use super::joined::{How, Joined, Members, PARTS_MAX, push_key};
use super::{StoredStream, frames};
use crate::json::{self, Kind, Object, Value};
use crate::operation::Operation;

/// The whole answer that says what `stream` says, its members in OpenAI's usual order.
///
/// `None` where that is not certain: a choice did not finish, a delta speaks (audio), the pieces of
/// a value do not fit one another, a chunk has a key twice or an error.
#[must_use]
pub fn whole_of(operation: Operation, stream: &StoredStream) -> Option<Bytes> {
    let object = match operation {
        Operation::ChatCompletions => "chat.completion",
        Operation::Completions => "text_completion",
        Operation::Embeddings | Operation::Models => return None,
    };
    let mut frames: Vec<_> = frames::with_data(&stream.frames)?.collect();
    if let Some(usage) = &stream.usage {
        frames.extend(frames::with_data(usage)?);
    }
    let mut answer = Answer::default();
    for frame in &frames {
        answer.chunk(&json::object(&frame.data).ok()?)?;
    }
    answer.write(operation, object)
}

/// The answer so far.
#[derive(Default)]
struct Answer<'a> {
    /// Members beside the choices, each from the first chunk that has it.
    envelope: Members<'a>,
    choices: Vec<Choice<'a>>,
    usage: Option<Value<'a>>,
}

/// One choice so far.
struct Choice<'a> {
    index: u64,
    /// What a chat's deltas say.
    message: Members<'a>,
    /// What a completion says.
    text: Option<Joined<'a>>,
    logprobs: Option<Joined<'a>>,
    finish_reason: Option<Value<'a>>,
    /// Other members of the choice.
    others: Members<'a>,
}

impl<'a> Answer<'a> {
    fn chunk(&mut self, chunk: &Object<'a>) -> Option<()> {
        for (key, value) in chunk.iter() {
            match &*key {
                "choices" => self.pieces(value)?,
                "usage" if value.kind() == Kind::Object => self.usage = Some(value),
                "error" if !value.is_null() => return None,
                // The last is padding that hides from a listener how long a chunk's text is.
                "usage" | "error" | "object" | "obfuscation" => {}
                _ => self.envelope.take_first(key, value)?,
            }
        }
        Some(())
    }

    fn pieces(&mut self, choices: Value<'a>) -> Option<()> {
        for (position, piece) in choices.elements().into_iter().flatten().enumerate() {
            let piece = piece.object()?;
            let index = piece.get("index").map_or(Some(position as u64), |index| index.as_u64())?;
            let known = self.choices.iter().position(|choice| choice.index == index);
            if known.is_none() {
                self.choices.push(Choice::new(index));
            }
            let at = known.unwrap_or(self.choices.len() - 1);
            if at >= PARTS_MAX {
                return None;
            }
            self.choices.get_mut(at)?.piece(&piece)?;
        }
        Some(())
    }

    fn write(mut self, operation: Operation, object: &str) -> Option<Bytes> {
        const FIRST: [&str; 3] = ["id", "created", "model"];
        if self.choices.is_empty() {
            return None;
        }
        self.choices.sort_by_key(|choice| choice.index);
        let mut out = "{".to_owned();
        self.envelope.write(&mut out, |key| key == "id");
        push_key(&mut out, "object");
        out.push_str(&format!("\"{object}\""));
        for first in ["created", "model"] {
            self.envelope.write(&mut out, |key| key == first);
        }
        push_key(&mut out, "choices");
        for (at, choice) in self.choices.iter().enumerate() {
            out.push(if at == 0 { '[' } else { ',' });
            choice.write(operation, &mut out)?;
        }
        out.push(']');
        if let Some(usage) = self.usage {
            push_key(&mut out, "usage");
            out.push_str(usage.raw());
        }
        self.envelope.write(&mut out, |key| !FIRST.contains(&key));
        out.push('}');
        Some(out.into())
    }
}

impl<'a> Choice<'a> {
    fn new(index: u64) -> Self {
        Self {
            index,
            message: Members::default(),
            text: None,
            logprobs: None,
            finish_reason: None,
            others: Members::default(),
        }
    }

    fn piece(&mut self, piece: &Object<'a>) -> Option<()> {
        for (key, value) in piece.iter() {
            match &*key {
                "index" => {}
                "delta" => self.delta(value)?,
                "text" => join(&mut self.text, value, How::Append)?,
                "logprobs" => join(&mut self.logprobs, value, How::Lists)?,
                "finish_reason" if value.is_null() => {}
                "finish_reason" => self.finish_reason = Some(value),
                // A whole message within a chunk: nobody can say how the two go together.
                "message" if !value.is_null() => return None,
                "message" => {}
                _ => self.others.join(key, value, How::Latest)?,
            }
        }
        Some(())
    }

    fn delta(&mut self, delta: Value<'a>) -> Option<()> {
        if delta.is_null() {
            return Some(());
        }
        for (key, value) in delta.object()?.iter() {
            let plain = match &*key {
                "content" | "refusal" => matches!(value.kind(), Kind::Null | Kind::String),
                "audio" => value.is_null(),
                _ => true,
            };
            if !plain {
                return None;
            }
            self.message.join(key, value, How::Append)?;
        }
        Some(())
    }

    fn write(&self, operation: Operation, out: &mut String) -> Option<()> {
        out.push('{');
        match (operation, &self.text) {
            (Operation::Completions, Some(text)) if self.message.0.is_empty() => {
                push_key(out, "text");
                text.write(out);
                self.write_index(out);
            }
            (Operation::ChatCompletions, None) => {
                self.write_index(out);
                push_key(out, "message");
                self.write_message(out)?;
            }
            // The chunks are another operation's.
            _ => return None,
        }
        if let Some(logprobs) = &self.logprobs {
            push_key(out, "logprobs");
            logprobs.write(out);
        }
        push_key(out, "finish_reason");
        out.push_str(self.finish_reason?.raw());
        self.others.write(out, |_| true);
        out.push('}');
        Some(())
    }

    fn write_index(&self, out: &mut String) {
        push_key(out, "index");
        out.push_str(&self.index.to_string());
    }

    fn write_message(&self, out: &mut String) -> Option<()> {
        const FIRST: [&str; 3] = ["role", "content", "refusal"];
        out.push('{');
        for (key, otherwise) in [("role", "\"assistant\""), ("content", "null")] {
            push_key(out, key);
            match self.message.get(key) {
                Some(value) if key == "content" || !value.is_null() => value.write(out),
                _ => out.push_str(otherwise),
            }
        }
        self.message.write(out, |key| key == "refusal");
        for (key, value) in self.message.0.iter().filter(|(key, _)| !FIRST.contains(&&**key)) {
            push_key(out, key);
            match value {
                Joined::List(calls) if key == "tool_calls" => write_calls(calls, out)?,
                value => value.write(out),
            }
        }
        out.push('}');
        Some(())
    }
}

fn join<'a>(so_far: &mut Option<Joined<'a>>, next: Value<'a>, how: How) -> Option<()> {
    match so_far {
        Some(so_far) => so_far.join("", next, how)?,
        None => *so_far = Some(Joined::of(next, how)?),
    }
    Some(())
}

/// Calls of tools, in the order of their indices, which a whole answer does not have.
fn write_calls(calls: &[(Option<u64>, Joined<'_>)], out: &mut String) -> Option<()> {
    let mut calls: Vec<_> = calls.iter().collect();
    calls.sort_by_key(|(index, _)| *index);
    out.push('[');
    for (at, (_, call)) in calls.into_iter().enumerate() {
        let Joined::Object(call) = call else { return None };
        if !is_named(call) {
            return None;
        }
        out.push_str(if at == 0 { "{" } else { ",{" });
        call.write(out, |key| key != "index");
        out.push('}');
    }
    out.push(']');
    Some(())
}

/// Whether a call says what it calls; a piece that belonged to another call does not.
fn is_named(call: &Members<'_>) -> bool {
    ["function", "custom"].iter().any(|kind| match call.get(kind) {
        Some(Joined::Object(called)) => called.get("name").is_some_and(|name| !name.is_null()),
        _ => false,
    })
}
