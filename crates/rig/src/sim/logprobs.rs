//! Log-probabilities, in the two shapes of chats and completions. Drawn, not
//! computed; but the token said is always the likeliest, alternatives differ
//! from it and from one another, and fall off.

use super::json;
use super::key::{Draws, Key};
use super::prose;
use super::reply::Protocol;

/// Where the probabilities of one answer come from.
#[derive(Debug)]
pub(crate) struct Scale {
    draws: Draws,
    top: u32,
    /// Bytes of text before the next token, for completions.
    offset: usize,
}

impl Scale {
    pub(crate) fn new(key: Key, top: u32) -> Self {
        Self { draws: key.draws(3), top, offset: 0 }
    }

    /// The token said and its alternatives, the likeliest first.
    fn draw<'t>(&mut self, token: &'t str) -> Vec<(std::borrow::Cow<'t, str>, f64)> {
        let mut logprob = -self.draws.unit().powi(2);
        let mut list = vec![(token.into(), logprob)];
        // One more than needed: the token itself may be among them.
        let others = prose::nouns(&mut self.draws).filter(|noun| token.trim_start() != *noun);
        for other in others.take((self.top as usize).saturating_sub(1)) {
            logprob -= 0.5 + self.draws.unit();
            list.push((format!(" {other}").into(), logprob));
        }
        list
    }
}

/// The `logprobs` member for some tokens of an answer.
pub(crate) fn write<'t>(
    out: &mut Vec<u8>,
    protocol: Protocol,
    tokens: impl Iterator<Item = &'t str>,
    scale: &mut Scale,
) {
    match protocol {
        Protocol::Chat => chat(out, tokens, scale),
        Protocol::Completion => completion(out, tokens, scale),
    }
}

fn chat<'t>(out: &mut Vec<u8>, tokens: impl Iterator<Item = &'t str>, scale: &mut Scale) {
    out.extend_from_slice(b"{\"content\":[");
    for (at, token) in tokens.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let list = scale.draw(token);
        out.push(b'{');
        if let Some((token, logprob)) = list.first() {
            members(out, token, *logprob);
        }
        out.extend_from_slice(b",\"top_logprobs\":[");
        for (at, (token, logprob)) in list.iter().take(scale.top as usize).enumerate() {
            out.extend_from_slice(if at > 0 { b",{" } else { b"{" });
            members(out, token, *logprob);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"],\"refusal\":null}");
}

fn members(out: &mut Vec<u8>, token: &str, logprob: f64) {
    out.extend_from_slice(b"\"token\":");
    json::string(out, token);
    json::put(out, format_args!(",\"logprob\":{logprob:.4},\"bytes\":["));
    for (at, byte) in token.bytes().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::number(out, u64::from(byte));
    }
    out.push(b']');
}

/// Four lists side by side, as completions have them.
fn completion<'t>(out: &mut Vec<u8>, tokens: impl Iterator<Item = &'t str>, scale: &mut Scale) {
    let [mut probs, mut tops, mut offsets] = [Vec::new(), Vec::new(), Vec::new()];
    out.extend_from_slice(b"{\"tokens\":[");
    for (at, token) in tokens.enumerate() {
        if at > 0 {
            [&mut *out, &mut probs, &mut tops, &mut offsets].into_iter().for_each(|list| list.push(b','));
        }
        json::string(out, token);
        let list = scale.draw(token);
        if let Some((_, logprob)) = list.first() {
            json::put(&mut probs, format_args!("{logprob:.4}"));
        }
        for (at, (token, logprob)) in list.iter().take(scale.top as usize).enumerate() {
            tops.push(if at > 0 { b',' } else { b'{' });
            json::string(&mut tops, token);
            json::put(&mut tops, format_args!(":{logprob:.4}"));
        }
        tops.extend_from_slice(if scale.top == 0 { b"{}" } else { b"}" });
        json::number(&mut offsets, scale.offset as u64);
        scale.offset += token.len();
    }
    for (name, list) in [("token_logprobs", probs), ("top_logprobs", tops), ("text_offset", offsets)] {
        json::put(out, format_args!("],\"{name}\":["));
        out.extend_from_slice(&list);
    }
    out.extend_from_slice(b"]}");
}
