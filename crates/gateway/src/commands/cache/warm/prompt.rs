//! One line of the file → the requests that are sent for it.
//!
//! What a line says goes out as it says it: a cache that is asked for exactly what callers ask tells `0` from
//! `0.0`, so that no value is read and written again.

use std::borrow::Cow;

use bytes::Bytes;
use wire::json::{self, Kind, Object};
use wire::splice::json_string;

/// What the command line adds to each line.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// The model of a line that names none.
    pub(super) model: Option<String>,
    /// The temperature of a line that gives none, as it is written in JSON; `None`: none is added.
    pub(super) temperature: Option<String>,
    /// Whether each line is asked in both forms, or only in the one it asks for.
    pub(super) both_forms: bool,
}

/// The body of one request, and the form of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asking {
    /// A chat completion's request.
    pub(super) body: Bytes,
    /// Whether a stream is asked for.
    pub(super) stream: bool,
}

/// Why a line cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// It is not JSON. Told without its line, which is always the first: the file's own stands before it.
    #[error("{}", .0.to_string().replacen(" line 1", "", 1))]
    Json(#[from] json::Fault),
    /// It is JSON of another kind.
    #[error("expected a request's body, {{\"prompt\": \"text\"}} or a text in quotes")]
    Kind,
    /// It asks nothing.
    #[error("it has neither \"messages\" nor \"prompt\"")]
    NoPrompt,
    /// Its prompt is no text.
    #[error("\"prompt\" must be a text")]
    PromptKind,
    /// Nobody says whom to ask.
    #[error("it names no model; name one with --model")]
    NoModel,
}

impl Recipe {
    /// The requests for a line, in the order in which they are to be sent: the whole answer first, as the stream
    /// can be made from it.
    pub(super) fn requests(&self, line: &[u8]) -> Result<Vec<Asking>, Fault> {
        let line = line.trim_ascii();
        if line.first() == Some(&b'"') {
            json::validate(line)?;
            let text = std::str::from_utf8(line).map_err(|_| Fault::Kind)?;
            return self.of_members(&Members { messages: Cow::Owned(messages(text)), ..Members::default() });
        }
        if line.first() != Some(&b'{') {
            json::validate(line)?;
            return Err(Fault::Kind);
        }
        self.of_members(&Members::read(&json::object(line)?)?)
    }

    fn of_members(&self, members: &Members<'_>) -> Result<Vec<Asking>, Fault> {
        let forms: &[bool] = match (self.both_forms, members.stream) {
            (true, _) => &[false, true],
            (false, false) => &[false],
            (false, true) => &[true],
        };
        forms.iter().map(|stream| self.request(members, *stream)).collect()
    }

    fn request(&self, members: &Members<'_>, stream: bool) -> Result<Asking, Fault> {
        let named = self.model.as_ref().map(|model| json_string(model));
        let named = named.as_deref().and_then(|name| std::str::from_utf8(name).ok());
        let model = members.model.or(named).ok_or(Fault::NoModel)?;
        let mut body = format!("{{\"model\":{model},\"messages\":{}", members.messages);
        if let Some(temperature) = &self.temperature
            && !members.has_temperature
        {
            push(&mut body, "temperature", temperature);
        }
        for (name, value) in &members.rest {
            // Providers refuse it where no stream is asked for.
            if stream || name != "stream_options" {
                push(&mut body, name, value);
            }
        }
        if stream {
            push(&mut body, "stream", "true");
        }
        body.push('}');
        Ok(Asking { body: body.into(), stream })
    }
}

/// What a line says, each value as it is written.
#[derive(Default)]
struct Members<'a> {
    messages: Cow<'a, str>,
    model: Option<&'a str>,
    stream: bool,
    has_temperature: bool,
    rest: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Members<'a> {
    fn read(object: &Object<'a>) -> Result<Self, Fault> {
        let mut members = Self::default();
        let prompt = object.get("prompt");
        members.messages = match (object.get("messages"), prompt) {
            (Some(messages), _) => Cow::Borrowed(messages.raw()),
            (None, Some(prompt)) if prompt.kind() == Kind::String => Cow::Owned(messages(prompt.raw())),
            (None, Some(_)) => return Err(Fault::PromptKind),
            (None, None) => return Err(Fault::NoPrompt),
        };
        for (name, value) in object.iter() {
            match &*name {
                "messages" | "prompt" => {}
                "model" => members.model = Some(value.raw()),
                "stream" => members.stream = value.as_bool() == Some(true),
                _ => {
                    members.has_temperature |= name == "temperature";
                    members.rest.push((name, value.raw()));
                }
            }
        }
        Ok(members)
    }
}

/// A conversation of one message, whose content is a JSON string.
fn messages(content: &str) -> String {
    format!("[{{\"role\":\"user\",\"content\":{content}}}]")
}

fn push(body: &mut String, name: &str, value: &str) {
    body.push(',');
    body.push_str(&String::from_utf8_lossy(&json_string(name)));
    body.push(':');
    body.push_str(value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn plain() -> Recipe {
        Recipe { model: Some("m".to_owned()), temperature: Some("0".to_owned()), both_forms: false }
    }

    fn check(recipe: &Recipe, line: &str, bodies: &[&str]) {
        let asked = recipe.requests(line.as_bytes()).expect(line);
        let told: Vec<&[u8]> = asked.iter().map(|asking| &asking.body[..]).collect();
        let bodies: Vec<&[u8]> = bodies.iter().map(|body| body.as_bytes()).collect();
        assert_eq!(told, bodies, "{line}");
        for asking in asked {
            assert_eq!(json::object(&asking.body).unwrap().get("stream").is_some(), asking.stream, "{line}");
        }
    }

    #[test]
    fn a_line_becomes_the_request_that_callers_send() {
        let hello = r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"temperature":0}"#;
        check(&plain(), r#""hello""#, &[hello]);
        check(&plain(), r#" {"prompt":"hello"} "#, &[hello]);
        check(&plain(), r#"{"messages":[{"role":"user","content":"hello"}]}"#, &[hello]);
        check(
            &plain(),
            r#"{"prompt":"a\"\u0062","max_tokens":1e2,"model":"x/y"}"#,
            &[
                r#"{"model":"x/y","messages":[{"role":"user","content":"a\"\u0062"}],"temperature":0,"max_tokens":1e2}"#,
            ],
        );
    }

    #[test]
    fn what_a_line_says_wins_and_keeps_its_spelling() {
        for given in ["0.0", "1.0", "1e0", "null"] {
            check(
                &plain(),
                &format!(r#"{{"temperature":{given},"messages":[]}}"#),
                &[&format!(r#"{{"model":"m","messages":[],"temperature":{given}}}"#)],
            );
        }
        let none = Recipe { temperature: None, ..plain() };
        check(&none, r#"{"messages":[]}"#, &[r#"{"model":"m","messages":[]}"#]);
        let high = Recipe { temperature: Some("0.70".to_owned()), ..plain() };
        check(&high, r#"{"messages":[]}"#, &[r#"{"model":"m","messages":[],"temperature":0.70}"#]);
    }

    #[test]
    fn a_stream_is_asked_for_by_the_line_or_beside_the_whole() {
        let whole = r#"{"model":"m","messages":[],"temperature":0,"seed":1}"#;
        let stream = r#"{"model":"m","messages":[],"temperature":0,"seed":1,"stream":true}"#;
        let both = Recipe { both_forms: true, ..plain() };
        check(&plain(), r#"{"messages":[],"seed":1,"stream":true}"#, &[stream]);
        check(&plain(), r#"{"messages":[],"seed":1,"stream":false}"#, &[whole]);
        check(&both, r#"{"messages":[],"seed":1,"stream":true}"#, &[whole, stream]);
        let options = r#"{"messages":[],"stream_options":{"include_usage":true}}"#;
        check(
            &both,
            options,
            &[
                r#"{"model":"m","messages":[],"temperature":0}"#,
                r#"{"model":"m","messages":[],"temperature":0,"stream_options":{"include_usage":true},"stream":true}"#,
            ],
        );
    }

    #[test]
    fn a_line_that_cannot_be_asked_says_why() {
        for (line, why) in [
            ("hello", "expected a value at column 1"),
            ("\"hello", "closing"),
            ("{\"prompt\":\"a\"", "expected ',' or '}'"),
            ("{\"prompt\":\"a\"} x", "nothing after the value"),
            ("{\"prompt\":\"a\",\"prompt\":\"b\"}", "the same key twice"),
            ("[1]", "expected a request's body"),
            ("7", "expected a request's body"),
            ("{}", "neither"),
            ("{\"prompt\":[\"a\"]}", "must be a text"),
            ("\"\u{1}\"", "control character"),
        ] {
            let told = plain().requests(line.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(why), "{line}: {told}");
        }
        assert!(plain().requests(b"\"\xff\"").unwrap_err().to_string().contains("UTF-8"));
        let nobody = Recipe { model: None, ..plain() };
        assert_eq!(nobody.requests(b"\"a\""), Err(Fault::NoModel));
        assert!(nobody.requests(b"{\"prompt\":\"a\",\"model\":\"m\"}").is_ok());
    }
}
