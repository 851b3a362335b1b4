//! Log-probabilities shared out among the pieces of a text.
//!
//! A stream tells each token's probability with the token. That can be done again where the tokens
//! put together are the text; where they are not (a token may be half a character), the text goes
//! out in one piece with all of them.

use std::borrow::Cow;

use super::joined::{push_key, within_quotes};
use super::pieces;
use crate::json::{Object, Value};

/// Tokens of one piece of text: with a dozen alternatives each, their probabilities come to some
/// 30 KB.
const TOKENS_A_PIECE: usize = 32;

/// A piece of text as it is written, and its `logprobs` as JSON.
pub(super) type Piece<'a> = (&'a str, String);

/// The pieces of `text` with their shares of `logprobs`; `None` where they cannot be shared out.
pub(super) fn share<'a>(text: Value<'a>, logprobs: &Object<'a>) -> Option<Vec<Piece<'a>>> {
    let tokens = tokens(logprobs)?;
    let whole = text.as_str()?;
    if tokens.is_empty() || tokens.concat() != whole {
        return None;
    }
    let mut members = Vec::new();
    for (key, value) in logprobs.iter() {
        let shares = match value.elements() {
            Some(elements) => Member::List(elements.collect()),
            None => Member::Same(value),
        };
        if matches!(&shares, Member::List(list) if list.len() != tokens.len()) {
            return None;
        }
        members.push((key, shares));
    }
    let chars = tokens.chunks(TOKENS_A_PIECE).map(|run| run.iter().map(|token| token.chars().count()).sum());
    let texts = pieces::of_chars(within_quotes(&text), chars);
    let pieces = texts.enumerate().map(|(at, text)| (text, write(&members, at * TOKENS_A_PIECE)));
    Some(pieces.collect())
}

/// A member of the object: one element a token, or the same for all.
enum Member<'a> {
    List(Vec<Value<'a>>),
    Same(Value<'a>),
}

/// The tokens' texts, in a chat's form or a completion's.
fn tokens(logprobs: &Object<'_>) -> Option<Vec<String>> {
    if let Some(tokens) = logprobs.get("tokens") {
        return tokens.elements()?.map(|token| Some(token.as_str()?.into_owned())).collect();
    }
    let tokens = logprobs.get("content")?.elements()?;
    tokens.map(|token| Some(token.object()?.get("token")?.as_str()?.into_owned())).collect()
}

/// The share of the piece whose first token is the one at `from`.
fn write(members: &[(Cow<'_, str>, Member<'_>)], from: usize) -> String {
    let mut out = "{".to_owned();
    for (key, member) in members {
        push_key(&mut out, key);
        match member {
            Member::Same(value) => out.push_str(value.raw()),
            Member::List(list) => {
                out.push('[');
                for (at, value) in list.iter().skip(from).take(TOKENS_A_PIECE).enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str(value.raw());
                }
                out.push(']');
            }
        }
    }
    out.push('}');
    out
}
