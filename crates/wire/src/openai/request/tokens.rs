//! How many tokens a request will likely cost, before anyone has counted: what a quota reserves and a queue
//! weighs. Corrected by the provider's own count when the answer is there.
//!
//! It is no tokenizer. One reading of the body is all it gets, and that has been: it goes by the lengths which
//! [`Request::parse`] has found. A walk through the messages would cost about as much again.

use super::Request;
use crate::json::{Kind, Value};
use crate::operation::Operation;

/// Bytes of a token: about four of English, which is OpenAI's own rule of thumb. Other scripts have fewer
/// characters in four bytes, and fewer to a token.
const TOKEN_BYTES: u64 = 4;

/// What an image, a sound or a file counts for. Providers bill an image by its size in tiles, some hundred
/// tokens for most.
const PIECE_TOKENS: u64 = 1_000;

/// The length of an answer for which no request says a bound: longer than most.
pub const OUTPUT_TOKENS_DEFAULT: u64 = 512;

/// The bound of a legacy completion that names none: the API's own default.
pub const COMPLETION_TOKENS_DEFAULT: u64 = 16;

/// Tokens that a request will likely cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokensExpected {
    /// Read by the model: messages, tools and schemas; at least one.
    pub input: u64,
    /// Written by it: the bound that the request gives, for each answer it asks for.
    pub output: u64,
    /// Whether the request gives one; else `output` is what is usual.
    pub is_bounded: bool,
}

impl TokensExpected {
    /// Both together.
    #[must_use]
    pub fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// The members that decide, none of them null; numbers that are no whole ones count as absent.
#[derive(Default)]
struct Members<'a> {
    content: Option<Value<'a>>,
    /// Length of all that the model reads, content included, in bytes.
    read: u64,
    n: Option<u64>,
    best_of: Option<u64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
}

impl Request<'_> {
    /// The tokens that the request will likely cost. Looks once through the members that [`Request::parse`] found.
    ///
    /// The JSON round each message stands for what a message costs besides its text, and escapes for the tokens
    /// that line breaks and quotes are.
    #[must_use]
    pub fn tokens_expected(&self) -> TokensExpected {
        let members = Members::of(self);
        let data = self.object.data();
        // Encoded bytes may stand in a member that no model reads; then there is less to take away from.
        let text = members.read.saturating_sub(u64::from(data.bytes));
        TokensExpected {
            input: text.div_ceil(TOKEN_BYTES).max(1) + u64::from(data.pieces) * PIECE_TOKENS,
            output: members.output(self.operation),
            is_bounded: members.max_completion_tokens.or(members.max_tokens).is_some(),
        }
    }
}

impl<'a> Members<'a> {
    fn of(request: &Request<'a>) -> Self {
        let content = super::content_of(request.operation).unwrap_or_default();
        let mut found = Self::default();
        for (key, value) in request.object.iter().filter(|(_, value)| !value.is_null()) {
            match &*key {
                key if key == content => {
                    found.content = Some(value);
                    found.read += value.span().len() as u64;
                }
                "tools" | "functions" | "response_format" => found.read += value.span().len() as u64,
                "n" => found.n = value.as_u64(),
                "best_of" => found.best_of = value.as_u64(),
                "max_tokens" => found.max_tokens = value.as_u64(),
                "max_completion_tokens" => found.max_completion_tokens = value.as_u64(),
                _ => {}
            }
        }
        found
    }

    fn output(&self, operation: Operation) -> u64 {
        let n = self.n.unwrap_or(1).max(1);
        match operation {
            Operation::ChatCompletions => {
                let bound = self.max_completion_tokens.or(self.max_tokens);
                bound.unwrap_or(OUTPUT_TOKENS_DEFAULT).saturating_mul(n)
            }
            Operation::Completions => {
                let bound = self.max_tokens.unwrap_or(COMPLETION_TOKENS_DEFAULT);
                let answers = self.best_of.unwrap_or(1).max(n);
                bound.saturating_mul(answers).saturating_mul(self.prompts())
            }
            Operation::Embeddings | Operation::Models => 0,
        }
    }

    /// How many prompts a legacy completion has: an array of numbers is one prompt, of tokens.
    fn prompts(&self) -> u64 {
        let several =
            |prompt: &Value<'a>| prompt.kind() == Kind::Array && !prompt.holds_only(&[Kind::Number]);
        let prompts = self.content.filter(several).and_then(|prompts| prompts.elements());
        prompts.map_or(1, |prompts| prompts.count() as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const CHAT: Operation = Operation::ChatCompletions;
    const TEXT: Operation = Operation::Completions;
    const EMBED: Operation = Operation::Embeddings;

    fn expected(operation: Operation, members: &str) -> TokensExpected {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        Request::parse(operation, body.as_bytes()).unwrap().tokens_expected()
    }

    #[test]
    fn input_follows_the_bytes_that_are_read() {
        let hello = r#""messages":[{"role":"user","content":"Hello!"}]"#;
        let cases = [
            // 36 bytes; OpenAI counts 9.
            (CHAT, hello.to_owned(), 9),
            // What is not read counts nothing.
            (
                CHAT,
                format!(r#"{hello},"prompt":"{}","metadata":{{"a":"bcdefghijklmnop"}}"#, "x".repeat(400)),
                9,
            ),
            (CHAT, r#""messages":[{}]"#.to_owned(), 1),
            (CHAT, format!(r#""messages":[{{"role":"user","content":"{}"}}]"#, "word ".repeat(80)), 108),
            // Two messages of nothing: 59 bytes.
            (
                CHAT,
                r#""messages":[{"role":"user","content":""},{"role":"user","content":""}]"#.to_owned(),
                15,
            ),
            (CHAT, format!(r#"{hello},"tools":[{{"type":"function"}}]"#), 15),
            (CHAT, format!(r#"{hello},"tools":null,"functions":[],"response_format":{{"type":"text"}}"#), 14),
            (TEXT, r#""prompt":"some words""#.to_owned(), 3),
            (TEXT, r#""prompt":null"#.to_owned(), 1),
            (EMBED, r#""input":["some words","and more"]"#.to_owned(), 7),
        ];
        for (operation, members, input) in cases {
            assert_eq!(expected(operation, &members).input, input, "{members}");
        }
    }

    #[test]
    fn an_image_counts_as_one_whatever_its_bytes() {
        let image = |bytes: usize| {
            let url = format!("data:image/png;base64,{}", "iVBORw0KGgo+".repeat(bytes / 12));
            let parts = format!(
                r#"[{{"type":"text","text":"what?"}},{{"type":"image_url","image_url":{{"url":"{url}"}}}}]"#
            );
            expected(CHAT, &format!(r#""messages":[{{"role":"user","content":{parts}}}]"#)).input
        };
        assert_eq!(image(12_000), image(1_200_000));
        assert_eq!(image(12_000), PIECE_TOKENS + 26);
        // Where it stands in a member that no model reads, nothing is below zero.
        let elsewhere = format!(r#""prompt":"x","other":"{}""#, "A".repeat(5_000));
        assert_eq!(expected(TEXT, &elsewhere).input, 1 + PIECE_TOKENS);
    }

    #[test]
    fn output_is_what_the_request_allows() {
        let chat = |more: &str| format!(r#""messages":[{{}}]{more}"#);
        let text = |prompt: &str, more: &str| format!(r#""prompt":{prompt}{more}"#);
        let cases = [
            (CHAT, chat(""), OUTPUT_TOKENS_DEFAULT),
            (CHAT, chat(r#","max_tokens":100"#), 100),
            (CHAT, chat(r#","max_completion_tokens":70,"max_tokens":100"#), 70),
            (CHAT, chat(r#","max_completion_tokens":null,"max_tokens":100,"n":3"#), 300),
            (CHAT, chat(r#","n":2"#), 2 * OUTPUT_TOKENS_DEFAULT),
            (CHAT, chat(r#","n":0,"max_tokens":5"#), 5),
            // What makes no sense is the provider's to judge.
            (CHAT, chat(r#","max_tokens":-1"#), OUTPUT_TOKENS_DEFAULT),
            (CHAT, chat(r#","max_tokens":"many","n":"x""#), OUTPUT_TOKENS_DEFAULT),
            (CHAT, chat(r#","max_tokens":18446744073709551615,"n":9"#), u64::MAX),
            (TEXT, text(r#""p""#, ""), COMPLETION_TOKENS_DEFAULT),
            (TEXT, text(r#""p""#, r#","max_tokens":50,"best_of":4,"n":2"#), 200),
            (TEXT, text(r#"["p","q","r"]"#, r#","max_tokens":10,"n":2"#), 60),
            (TEXT, text("[1,2,3]", r#","max_tokens":10"#), 10),
            (TEXT, text("[[1,2],[3]]", r#","max_tokens":10"#), 20),
            (EMBED, r#""input":"p","max_tokens":50"#.to_owned(), 0),
        ];
        for (operation, members, output) in cases {
            assert_eq!(expected(operation, &members).output, output, "{members}");
        }
    }

    #[test]
    fn both_together_do_not_overflow() {
        let of = |output| TokensExpected { input: 7, output, is_bounded: true };
        assert_eq!(of(5).total(), 12);
        assert_eq!(of(u64::MAX).total(), u64::MAX);
    }
}
