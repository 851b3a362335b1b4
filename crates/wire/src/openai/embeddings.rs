//! Several embedding requests as one, and its answer in parts.
//!
//! ```text
//! {…,"input":"a"}            ┐                                       ┌ {"data":[a],"usage":…}
//! {…,"input":["b","c"]}      ├► {…,"input":["a","b","c"]} ─► answer ─┤ {"data":[b,c],"usage":…}
//! ```
//!
//! Bytes are cut and put together, not read into vectors and written again: what a caller gets of a joint answer is
//! what the provider sent, but for `index`, which counts from 0, and the numbers of `usage`, which are shared out.
//! Whose requests may be joined is not decided here.

mod split;
#[cfg(test)]
mod tests;

use super::Request;
use crate::json::{Kind, Value};
use crate::operation::Operation;
use crate::splice::{Edit, splice};
use bytes::Bytes;
use std::ops::Range;

pub use split::{Share, split};

/// What a text's inputs are. One request has either, never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputKind {
    /// Texts.
    Texts,
    /// Texts as numbers of tokens.
    Tokens,
}

/// The inputs of an embedding request, as they stand in its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// What they are.
    pub kind: InputKind,
    /// How many; at least one.
    pub count: usize,
    /// How much of the work they are: the tokens where these are given, and the bytes of text otherwise. Comparable
    /// within one kind; at least one.
    pub weight: u64,
    /// The value of `input`.
    span: Range<usize>,
    /// Its elements with the commas between them; all of it, where it is one input by itself.
    elements: Range<usize>,
}

impl Request<'_> {
    /// The inputs of an embedding request; `None` of any other, and where they are of both kinds.
    #[must_use]
    pub fn inputs(&self) -> Option<Inputs> {
        if self.operation != Operation::Embeddings {
            return None;
        }
        let value = self.object.get("input")?;
        let within = |kinds: &[Kind]| value.kind() == Kind::Array && value.holds_only(kinds);
        let span = value.span();
        let inner = span.start + 1..span.end.saturating_sub(1);
        let (kind, count, weight, elements) = if value.kind() == Kind::String {
            (InputKind::Texts, 1, span.len() as u64, span.clone())
        } else if within(&[Kind::Number]) {
            (InputKind::Tokens, 1, length(&value), span.clone())
        } else if within(&[Kind::String]) {
            (InputKind::Texts, value.elements()?.count(), inner.len() as u64, inner)
        } else if within(&[Kind::Array]) {
            let tokens = value.elements()?.map(|input| length(&input)).sum();
            (InputKind::Tokens, value.elements()?.count(), tokens, inner)
        } else {
            return None;
        };
        (count > 0).then(|| Inputs { kind, count, weight: weight.max(1), span, elements })
    }
}

/// An array's length.
fn length(value: &Value<'_>) -> u64 {
    value.elements().map_or(0, |elements| elements.count() as u64)
}

/// One request with the inputs of all `parts`, each a body and the inputs in it, in their order. Everything besides is
/// the first one's: the others are taken to say the same. `None` where there is no part.
#[must_use]
pub fn join<'a>(parts: impl IntoIterator<Item = (&'a Bytes, &'a Inputs)> + Clone) -> Option<Bytes> {
    let (body, inputs) = parts.clone().into_iter().next()?;
    let mut joined = vec![b'['];
    for (body, inputs) in parts {
        if joined.len() > 1 {
            joined.push(b',');
        }
        joined.extend_from_slice(body.get(inputs.elements.clone())?);
    }
    joined.push(b']');
    Some(splice(body, &[Edit { range: inputs.span.clone(), with: joined.into() }]).into_bytes())
}
