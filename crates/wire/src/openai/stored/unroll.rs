//! A whole answer as the stream that the provider would have sent.
//!
//! Not token by token: in as few frames as a reader of a stream is content with. Values are copied
//! as they are written; only white space goes, since a line end would end a frame's line.

mod reel;

use super::joined::{push_key, within_quotes};
use super::{StoredStream, logprobs, pieces};
use crate::json::{self, Kind, Object, Value};
use crate::operation::Operation;
use reel::Reel;

/// The stream that says what `whole` says: for each choice its role, its text in pieces, its calls
/// and its end; then the usage chunk, where the answer has usage.
///
/// `None` where that is not certain: a choice has no finish reason, speaks (audio) or has content
/// that is no text; the answer is an error or has a key twice; or a frame would be longer than a
/// relay lets pass.
#[must_use]
pub fn stream_of(operation: Operation, whole: &[u8]) -> Option<StoredStream> {
    if !operation.streams() {
        return None;
    }
    let answer = json::object(whole).ok()?;
    let choices = answer.get("choices")?;
    if choices.is_empty_container() || answer.get("error").is_some_and(|error| !error.is_null()) {
        return None;
    }
    let mut reel = Reel::new(operation, &answer);
    for (position, choice) in choices.elements()?.enumerate() {
        let choice = Choice::read(position, choice.object()?)?;
        match operation {
            Operation::ChatCompletions => choice.chat(&mut reel)?,
            _ => choice.completion(&mut reel)?,
        }
    }
    reel.finish(answer.get("usage"))
}

/// Strings of a message that go out in pieces, in the order in which a model says them.
const SPOKEN: [&str; 4] = ["reasoning_content", "reasoning", "content", "refusal"];

/// One choice on its way out.
struct Choice<'a> {
    index: u64,
    logprobs: Option<Value<'a>>,
    finish_reason: Value<'a>,
    object: Object<'a>,
}

impl<'a> Choice<'a> {
    fn read(position: usize, object: Object<'a>) -> Option<Self> {
        Some(Self {
            index: object.get("index").map_or(Some(position as u64), |index| index.as_u64())?,
            logprobs: object.get("logprobs"),
            finish_reason: object.get("finish_reason").filter(|reason| !reason.is_null())?,
            object,
        })
    }

    fn completion(&self, reel: &mut Reel) -> Option<()> {
        let text = self.object.get("text").filter(|text| text.kind() == Kind::String)?;
        for (piece, logprobs) in self.text(text) {
            self.frame(reel, &format!(r#""text":"{piece}""#), &logprobs);
        }
        self.end(reel, r#""text":"""#, !is_spoken(text));
        Some(())
    }

    fn chat(&self, reel: &mut Reel) -> Option<()> {
        let message = self.object.get("message")?.object()?;
        self.frame(reel, &first_delta(&message)?, "null");
        for key in SPOKEN {
            let Some(said) = message.get(key).filter(|said| is_spoken(*said)) else { continue };
            let pieces = if key == "content" { self.text(said) } else { plain(said) };
            for (piece, logprobs) in pieces {
                self.frame(reel, &format!(r#""delta":{{"{key}":"{piece}"}}"#), &logprobs);
            }
        }
        if let Some(call) = message.get("function_call").and_then(|call| call.object()) {
            let (head, arguments) = without_arguments(&call);
            self.frame(reel, &format!(r#""delta":{{"function_call":{head}}}"#), "null");
            for piece in pieces::of_bytes(arguments) {
                let delta = format!(r#""delta":{{"function_call":{{"arguments":"{piece}"}}}}"#);
                self.frame(reel, &delta, "null");
            }
        }
        let calls = message.get("tool_calls").and_then(|calls| calls.elements());
        for (index, call) in calls.into_iter().flatten().enumerate() {
            self.tool_call(reel, index, &call.object()?);
        }
        self.end(reel, r#""delta":{}"#, !message.get("content").is_some_and(is_spoken));
        Some(())
    }

    fn tool_call(&self, reel: &mut Reel, index: usize, call: &Object<'_>) {
        let mut head = format!(r#"{{"index":{index}"#);
        let mut all_arguments = "";
        for (key, value) in call.iter().filter(|(key, _)| key != "index") {
            match value.object() {
                Some(function) if key == "function" => {
                    let (function, arguments) = without_arguments(&function);
                    push_member(&mut head, &key, &function);
                    all_arguments = arguments;
                }
                _ => push_member(&mut head, &key, value.raw()),
            }
        }
        self.frame(reel, &format!(r#""delta":{{"tool_calls":[{head}}}]}}"#), "null");
        for piece in pieces::of_bytes(all_arguments) {
            let call = format!(r#"{{"index":{index},"function":{{"arguments":"{piece}"}}}}"#);
            self.frame(reel, &format!(r#""delta":{{"tool_calls":[{call}]}}"#), "null");
        }
    }

    /// The pieces of a text, each with its log-probabilities.
    fn text(&self, text: Value<'a>) -> Vec<logprobs::Piece<'a>> {
        let Some(logprobs) = self.logprobs.filter(|_| is_spoken(text)) else {
            return plain(text);
        };
        let Some(members) = logprobs.object() else {
            return plain(text);
        };
        let together = || vec![(within_quotes(&text), logprobs.raw().to_owned())];
        logprobs::share(text, &members).unwrap_or_else(together)
    }

    /// Adds a frame that says `what`, a member of the choice.
    fn frame(&self, reel: &mut Reel, what: &str, logprobs: &str) {
        reel.push(&format!("{}{}", self.open(what, logprobs), r#","finish_reason":null}"#));
    }

    /// Adds the last frame. It has the log-probabilities where there was no text to have them.
    fn end(&self, reel: &mut Reel, what: &str, with_logprobs: bool) {
        let logprobs = self.logprobs.filter(|_| with_logprobs).map_or("null", |logprobs| logprobs.raw());
        let mut last = self.open(what, logprobs);
        push_member(&mut last, "finish_reason", self.finish_reason.raw());
        for (key, value) in self.object.iter() {
            if !matches!(&*key, "index" | "message" | "text" | "logprobs" | "finish_reason") {
                push_member(&mut last, &key, value.raw());
            }
        }
        last.push('}');
        reel.push(&last);
    }

    fn open(&self, what: &str, logprobs: &str) -> String {
        let logprobs = if self.logprobs.is_some() { [r#","logprobs":"#, logprobs] } else { ["", ""] };
        format!(r#"{{"index":{},{what}{}"#, self.index, logprobs.concat())
    }
}

/// The first delta of a message: its role, and all that does not go out in pieces.
fn first_delta(message: &Object<'_>) -> Option<String> {
    let mut delta = r#""delta":{"#.to_owned();
    let role = message.get("role").filter(|role| !role.is_null());
    push_member(&mut delta, "role", role.map_or(r#""assistant""#, |role| role.raw()));
    for (key, value) in message.iter() {
        match (&*key, value.kind()) {
            ("role", _) => {}
            ("content", Kind::String) => push_member(&mut delta, &key, r#""""#),
            ("content" | "refusal", Kind::Array | Kind::Object) => return None,
            ("audio", kind) if kind != Kind::Null => return None,
            ("function_call", Kind::Object) => {}
            ("tool_calls", Kind::Array) if !value.is_empty_container() => {}
            (spoken, _) if SPOKEN.contains(&spoken) && is_spoken(value) => {
                push_member(&mut delta, &key, "null");
            }
            _ => push_member(&mut delta, &key, value.raw()),
        }
    }
    delta.push('}');
    Some(delta)
}

/// A called function with no arguments yet, and its arguments as they are written between their
/// quotes; where they are no string, with all that it has.
fn without_arguments<'a>(function: &Object<'a>) -> (String, &'a str) {
    let mut head = "{".to_owned();
    let mut all_arguments = "";
    for (key, value) in function.iter() {
        if key == "arguments" && value.kind() == Kind::String {
            all_arguments = within_quotes(&value);
            push_member(&mut head, &key, r#""""#);
        } else {
            push_member(&mut head, &key, value.raw());
        }
    }
    head.push('}');
    (head, all_arguments)
}

fn push_member(out: &mut String, key: &str, value: &str) {
    push_key(out, key);
    out.push_str(value);
}

/// The pieces of a string that has no log-probabilities.
fn plain(text: Value<'_>) -> Vec<logprobs::Piece<'_>> {
    pieces::of_bytes(within_quotes(&text)).map(|piece| (piece, "null".to_owned())).collect()
}

/// Whether a value is a string with something in it.
fn is_spoken(value: Value<'_>) -> bool {
    value.kind() == Kind::String && !within_quotes(&value).is_empty()
}
