//! What a frame or a whole answer says, as far as a measurement needs it: whether there is content,
//! usage or an error. The rest is checked to be JSON and not kept.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A frame of a stream, or the body of an answer that is none: an object.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Payload {
    choices: Option<Vec<Choice>>,
    pub(super) usage: Option<Usage>,
    error: Given,
}

/// Tokens as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    #[serde(rename = "prompt_tokens")]
    pub(super) input: u64,
    #[serde(rename = "completion_tokens")]
    pub(super) output: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    delta: Option<Part>,
    message: Option<Part>,
    /// Legacy completions.
    text: Given,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    content: Given,
    reasoning_content: Given,
    reasoning: Given,
    refusal: Given,
    tool_calls: Given,
    function_call: Given,
}

impl Payload {
    pub(super) fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        // A derived struct would also be read out of an array.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(serde_json::Error::custom("expected an object"));
        }
        serde_json::from_slice(json)
    }

    /// Whether a reader would see something new: text, reasoning, a refusal or a tool call.
    pub(super) fn has_content(&self) -> bool {
        let says = |part: &Option<Part>| part.as_ref().is_some_and(Part::has_content);
        let choices = self.choices.as_deref().unwrap_or_default();
        choices.iter().any(|choice| choice.text.0 || says(&choice.delta) || says(&choice.message))
    }

    /// Whether it carries an `error`.
    pub(super) fn has_error(&self) -> bool {
        self.error.0
    }
}

impl Part {
    fn has_content(&self) -> bool {
        [
            &self.content,
            &self.reasoning_content,
            &self.reasoning,
            &self.refusal,
            &self.tool_calls,
            &self.function_call,
        ]
        .iter()
        .any(|given| given.0)
    }
}

/// Whether a member is there and is neither null nor empty.
#[derive(Default)]
struct Given(bool);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(GivenVisitor)
    }
}

struct GivenVisitor;

impl<'de> Visitor<'de> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Given, E> {
        Ok(Given(false))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Given, E> {
        Ok(Given(value))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Given, E> {
        Ok(Given(true))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Given, E> {
        Ok(Given(true))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Given, E> {
        Ok(Given(true))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Given, E> {
        Ok(Given(!text.is_empty()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Given, A::Error> {
        let mut given = Given(false);
        while items.next_element::<IgnoredAny>()?.is_some() {
            given.0 = true;
        }
        Ok(given)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Given, A::Error> {
        let mut given = Given(false);
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            given.0 = true;
        }
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn content_is_what_a_reader_would_see() {
        let check = |json: &str, content: bool| {
            let payload = Payload::read(json.as_bytes()).expect(json);
            assert_eq!(payload.has_content(), content, "{json}");
        };
        check(r#"{"choices":[{"delta":{"content":"a"}}]}"#, true);
        check(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, false);
        check(r#"{"choices":[{"delta":{"content":null}}]}"#, false);
        check(r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, true);
        check(r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#, true);
        check(r#"{"choices":[{"delta":{"tool_calls":[]}}]}"#, false);
        check(r#"{"choices":[{"delta":{}},{"delta":{"content":"b"}}]}"#, true);
        check(r#"{"choices":[{"text":"a"}]}"#, true);
        check(r#"{"choices":[{"message":{"content":"a"}}]}"#, true);
        check(r#"{"choices":[],"usage":{"completion_tokens":1}}"#, false);
        check(r#"{"choices":null}"#, false);
        check(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, false);
        check("{}", false);
    }

    #[test]
    fn usage_and_errors_are_found() {
        let payload = Payload::read(br#"{"usage":{"prompt_tokens":3,"completion_tokens":5,"x":{}}}"#);
        assert_eq!(payload.unwrap().usage, Some(Usage { input: 3, output: 5 }));
        let null = Payload::read(br#"{"usage":null,"error":null}"#).unwrap();
        assert!(null.usage.is_none() && !null.has_error());
        for json in [r#"{"error":{"message":"x"}}"#, r#"{"error":"x"}"#] {
            assert!(Payload::read(json.as_bytes()).unwrap().has_error(), "{json}");
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for json in ["", "[]", "1", "null", "{", "{}{}", r#"{"choices":5}"#, "<html>"] {
            assert!(Payload::read(json.as_bytes()).is_err(), "{json}");
        }
    }
}
