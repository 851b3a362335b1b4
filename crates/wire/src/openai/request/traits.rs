//! What decides whether a request may be answered from a cache. Read on demand, so that a request
//! which no cache will see pays nothing for it.
//!
//! Facts only: which of them forbid a cached answer is the cache's own policy.

use std::borrow::Cow;
use std::ops::Range;

use super::Request;
use crate::json::{Kind, Object, Value};
use crate::operation::Operation;

/// Whether the same request means the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Determinism {
    /// The temperature is given and 0, or the answer is a vector.
    Deterministic,
    /// The temperature is above 0 or is not given.
    Sampled,
}

/// What a cache must know of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traits<'a> {
    /// Whether the same request means the same answer.
    pub determinism: Determinism,
    /// Whether the answer depends on more than the request, or leaves something behind: it is
    /// stored with the provider, goes on from a stored one, searches the web, or speaks.
    pub stateful: bool,
    /// How many answers are asked for; 1 where the request does not say.
    pub n: u64,
    /// Whether the model is given tools or functions.
    pub tools: bool,
    /// The end user, as the caller names it, decoded.
    pub user: Option<Cow<'a, str>>,
}

/// The text of a conversation that has one turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUser<'a> {
    /// The text, decoded.
    pub text: Cow<'a, str>,
    /// Where its JSON string stands in the body, in bytes, with its quotes.
    pub span: Range<usize>,
}

impl<'a> Request<'a> {
    /// What a cache must know of the request. Looks through the members that [`Request::parse`]
    /// found; nothing is parsed anew but small lists.
    #[must_use]
    pub fn traits(&self) -> Traits<'a> {
        let is_cold = self.operation == Operation::Embeddings;
        let determinism = if is_cold { Determinism::Deterministic } else { Determinism::Sampled };
        let mut traits = Traits { determinism, stateful: false, n: 1, tools: false, user: None };
        for (key, value) in self.object.iter().filter(|(_, value)| !value.is_null()) {
            match &*key {
                "temperature" if value.as_f64() == Some(0.0) => {
                    traits.determinism = Determinism::Deterministic;
                }
                "n" => traits.n = value.as_u64().unwrap_or(1),
                "tools" | "functions" => traits.tools |= !value.is_empty_container(),
                "user" => traits.user = value.as_str(),
                _ => traits.stateful |= is_tie(&key, &value),
            }
        }
        traits
    }

    /// The text to compare with other requests', where that text is all there is to the turn: a
    /// chat's only user message, behind nothing but system and developer messages, with a string or
    /// one part of text for its content.
    #[must_use]
    pub fn last_user_text(&self) -> Option<LastUser<'a>> {
        if self.operation != Operation::ChatCompletions {
            return None;
        }
        let mut messages = self.object.get("messages")?.elements()?;
        let user = loop {
            let message = messages.next()?.object()?;
            match &*message.get("role")?.as_str()? {
                "system" | "developer" => {}
                "user" => break message,
                _ => return None,
            }
        };
        if messages.next().is_some() {
            return None;
        }
        let text = only_text(&user)?;
        Some(LastUser { text: text.as_str()?, span: text.span() })
    }

    /// What a conversation begins with, as it stands in the body: a chat's messages up to the first of the
    /// user, which every later turn repeats.
    #[must_use]
    pub fn opening(&self) -> Option<&'a str> {
        if self.operation != Operation::ChatCompletions {
            return None;
        }
        let messages = self.object.get("messages")?;
        let mut begin = None;
        for message in messages.elements()? {
            let begin = *begin.get_or_insert(message.span().start);
            if message.object()?.get("role")?.as_str()? == "user" {
                return self.text().get(begin..message.span().end);
            }
        }
        None
    }
}

/// Whether a member ties the answer to the provider's memory or to the world.
fn is_tie(key: &str, value: &Value<'_>) -> bool {
    match key {
        "store" => value.as_bool() != Some(false),
        // Whatever they say. The last two are xAI's and OpenRouter's ways to search the web.
        "previous_response_id" | "conversation" | "web_search_options" | "search_parameters" | "plugins" => {
            true
        }
        "modalities" => {
            value.elements().into_iter().flatten().any(|it| it.as_str().as_deref() == Some("audio"))
        }
        _ => false,
    }
}

/// The string that is all of a message's content.
fn only_text<'a>(message: &Object<'a>) -> Option<Value<'a>> {
    let content = message.get("content")?;
    if content.kind() == Kind::String {
        return Some(content);
    }
    let mut parts = content.elements()?;
    let part = parts.next()?.object()?;
    if parts.next().is_some() || part.get("type")?.as_str()? != "text" {
        return None;
    }
    part.get("text").filter(|text| text.kind() == Kind::String)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const CHAT: Operation = Operation::ChatCompletions;

    /// The traits of a request with these members beside its model and its content.
    fn check(operation: Operation, members: &str, want: &Traits<'_>) {
        let content = r#""messages":[{}],"prompt":"p","input":"i""#;
        let body = format!(r#"{{"model":"m",{content}{members}}}"#);
        let request = Request::parse(operation, body.as_bytes()).unwrap();
        assert_eq!(&request.traits(), want, "{members}");
    }

    fn plain() -> Traits<'static> {
        Traits { determinism: Determinism::Sampled, stateful: false, n: 1, tools: false, user: None }
    }

    #[test]
    fn only_a_temperature_of_zero_makes_the_same_answer() {
        let cold = Traits { determinism: Determinism::Deterministic, ..plain() };
        for zero in ["0", "0.0", "-0.0", "0e5"] {
            check(CHAT, &format!(r#","temperature":{zero}"#), &cold);
            check(Operation::Completions, &format!(r#","temperature":{zero}"#), &cold);
        }
        for other in ["0.01", "1", "null", "\"0\"", "[0]", "false"] {
            check(CHAT, &format!(r#","temperature":{other}"#), &plain());
            check(Operation::Embeddings, &format!(r#","temperature":{other}"#), &cold);
        }
        check(CHAT, "", &plain());
        check(Operation::Embeddings, "", &cold);
    }

    #[test]
    fn every_turn_of_a_conversation_has_the_same_opening() {
        let opening = |messages: &str| {
            let body = format!(r#"{{"messages":[{messages}],"model":"m"}}"#);
            let request = Request::parse(CHAT, body.as_bytes()).unwrap();
            request.opening().map(str::to_owned)
        };
        let (system, user) = (r#"{"role":"system","content":"s"}"#, r#"{"role":"user","content":"u"}"#);
        let begun = format!("{system}, {user}");
        assert_eq!(opening(&begun).as_ref(), Some(&begun));
        assert_eq!(opening(&format!(r#"{begun},{{"role":"assistant","content":"a"}},{user}"#)), Some(begun));
        assert_eq!(opening(system), None);
        assert_eq!(opening("{}"), None);
    }

    #[test]
    fn what_ties_an_answer_to_the_world_is_seen() {
        for member in [
            r#""store":true"#,
            r#""st\u006fre":true"#,
            r#""previous_response_id":"resp_1""#,
            r#""conversation":{"id":"conv_1"}"#,
            r#""modalities":["text","audio"]"#,
            r#""web_search_options":{}"#,
            r#""search_parameters":{"mode":"auto"}"#,
            r#""plugins":[{"id":"web"}]"#,
        ] {
            check(CHAT, &format!(",{member}"), &Traits { stateful: true, ..plain() });
        }
        for member in [
            r#""store":false"#,
            r#""store":null"#,
            r#""previous_response_id":null"#,
            r#""conversation":null"#,
            r#""modalities":["text"]"#,
            r#""modalities":null"#,
            r#""modalities":"audio""#,
            r#""web_search_options":null"#,
            r#""metadata":{"store":true}"#,
        ] {
            check(CHAT, &format!(",{member}"), &plain());
        }
    }

    #[test]
    fn choices_tools_and_user_are_told() {
        let cases = [
            (r#","n":3"#, Traits { n: 3, ..plain() }),
            (r#","n":null"#, plain()),
            (r#","n":"3""#, plain()),
            (r#","tools":[{"type":"function"}]"#, Traits { tools: true, ..plain() }),
            (r#","functions":[{"name":"f"}]"#, Traits { tools: true, ..plain() }),
            (r#","tools":[],"functions":null"#, plain()),
            (r#","user":"\u0061 b""#, Traits { user: Some("a b".into()), ..plain() }),
            (r#","user":null"#, plain()),
            (r#","user":7"#, plain()),
        ];
        for (members, want) in cases {
            check(CHAT, members, &want);
        }
    }

    #[test]
    fn a_single_turn_s_text_is_found_with_its_place() {
        let cases = [
            (r#"{"role":"user","content":"hi 潮"}"#, r#""hi 潮""#, "hi 潮"),
            (r#"{"content" : "a\n\u0062" ,"role":"us\u0065r"}"#, r#""a\n\u0062""#, "a\nb"),
            (r#"{"role":"user","content":[ {"type":"text","text":"hi"} ]}"#, r#""hi""#, "hi"),
            (
                r#"{"role":"system","content":"s"}, {"role":"developer"} ,{"role":"user","content":"","name":"n"}"#,
                r#""""#,
                "",
            ),
        ];
        for (messages, raw, text) in cases {
            let body = format!(r#"{{ "model":"m","messages":[ {messages} ],"user":"hi"}}"#);
            let request = Request::parse(CHAT, body.as_bytes()).unwrap();
            let last = request.last_user_text().unwrap();
            assert_eq!((&*last.text, &body[last.span]), (text, raw), "{messages}");
        }
    }

    #[test]
    fn where_there_is_more_than_one_turn_of_text_there_is_none() {
        let user = r#"{"role":"user","content":"hi"}"#;
        for messages in [
            "{}".to_owned(),
            r#"{"role":"system","content":"s"}"#.to_owned(),
            format!("{user},{user}"),
            format!(r#"{user},{{"role":"system","content":"s"}}"#),
            format!(r#"{{"role":"assistant","content":"a"}},{user}"#),
            format!(r#"{{"role":"tool","content":"a"}},{user}"#),
            format!(r#"{{"role":7}},{user}"#),
            r#"{"role":"user"}"#.to_owned(),
            r#"{"role":"user","content":null}"#.to_owned(),
            r#"{"role":"user","content":[]}"#.to_owned(),
            r#"{"role":"user","content":["hi"]}"#.to_owned(),
            r#"{"role":"user","content":[{"type":"text","text":1}]}"#.to_owned(),
            r#"{"role":"user","content":[{"text":"hi"}]}"#.to_owned(),
            r#"{"role":"user","content":[{"type":"image_url","text":"hi"}]}"#.to_owned(),
            r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#.to_owned(),
        ] {
            let body = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
            let request = Request::parse(CHAT, body.as_bytes()).unwrap();
            assert_eq!(request.last_user_text(), None, "{messages}");
        }
        let request = Request::parse(Operation::Completions, br#"{"model":"m","prompt":"hi"}"#).unwrap();
        assert_eq!(request.last_user_text(), None);
    }
}
