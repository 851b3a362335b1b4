//! What a chunk means to the gateway, and how to tell cheaply that it means nothing.
//!
//! Nearly all chunks carry a few letters of text and nothing to act on. A key is looked for as the
//! bytes `"key"` followed by a colon, which in JSON text is always a key: within a string its
//! quotes would be escaped. (A key that is itself written with escapes would be missed; no
//! provider does that, and all that is lost is an observation.)

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;

use super::super::Usage;
use super::Observed;
use crate::json::{self, Kind, Object, Value};
use crate::splice::{Edit, splice};
use crate::sse::Encoder;

struct Keys {
    usage: Finder<'static>,
    error: Finder<'static>,
    finish_reason: Finder<'static>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    usage: Finder::new(b"\"usage\""),
    error: Finder::new(b"\"error\""),
    finish_reason: Finder::new(b"\"finish_reason\""),
});

/// Whether a chunk must be parsed; notes a finish reason, which needs no parsing.
#[inline]
pub(super) fn is_of_interest(data: &[u8], observed: &mut Observed) -> bool {
    let keys = &*KEYS;
    if !observed.finish_reason && has_key(&keys.finish_reason, data) {
        observed.finish_reason = true;
    }
    !observed.content || has_key(&keys.usage, data) || has_key(&keys.error, data)
}

/// Whether some object in `data` has the key, with a value that is not null.
#[inline]
fn has_key(quoted: &Finder<'_>, data: &[u8]) -> bool {
    let mut from = 0;
    while let Some(found) = quoted.find(data.get(from..).unwrap_or_default()) {
        let at = from + found;
        from = at + quoted.needle().len();
        let escaped = at > 0 && data.get(at - 1) == Some(&b'\\');
        let after = data.get(from..).unwrap_or_default().trim_ascii_start();
        if let Some(value) = after.strip_prefix(b":")
            && !escaped
            && !value.trim_ascii_start().starts_with(b"null")
        {
            return true;
        }
    }
    false
}

/// What a parsed chunk means.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    pub(super) content: bool,
    pub(super) finish_reason: bool,
    pub(super) usage: Option<Usage>,
    pub(super) error: bool,
    /// The chunk has usage and no choice: how its `choices` say so.
    pub(super) usage_only: Option<NoChoices>,
}

/// How a chunk says that it has no choice.
#[derive(Debug)]
pub(super) enum NoChoices {
    /// `[]`, as it should.
    Empty,
    /// It is null, or something else that is no list: edited here.
    Strange(Edit),
    /// Not at all: inserted here.
    Missing(Edit),
}

impl Meaning {
    pub(super) fn read(data: &[u8]) -> Result<Self, json::Fault> {
        let chunk = json::reply(data)?;
        let choices = chunk.get("choices");
        let mut meaning = Self {
            error: chunk.get("error").is_some_and(is_said),
            usage: chunk.get("usage").and_then(Usage::read),
            ..Self::default()
        };
        for choice in choices.and_then(|list| list.elements()).into_iter().flatten() {
            let Some(choice) = choice.object() else { continue };
            meaning.finish_reason |= choice.get("finish_reason").is_some_and(|it| !it.is_null());
            meaning.content |= has_content(&choice);
        }
        if meaning.usage.is_some() {
            meaning.usage_only = no_choices(&chunk, choices);
        }
        Ok(meaning)
    }
}

/// Whether a chunk has usage and no choice.
pub(in crate::openai) fn is_usage_only(chunk: &Object<'_>) -> bool {
    chunk.get("usage").is_some_and(|usage| usage.kind() == Kind::Object)
        && no_choices(chunk, chunk.get("choices")).is_some()
}

fn no_choices(chunk: &Object<'_>, choices: Option<Value<'_>>) -> Option<NoChoices> {
    let edit = |range, with| Edit { range, with: Bytes::from_static(with) };
    match choices {
        // The chunk has usage, so a member stands before this one.
        None => Some(NoChoices::Missing(edit(chunk.end()..chunk.end(), b",\"choices\":[]"))),
        Some(list) if list.kind() == Kind::Array => list.is_empty_container().then_some(NoChoices::Empty),
        Some(strange) => Some(NoChoices::Strange(edit(strange.span(), b"[]"))),
    }
}

impl NoChoices {
    /// The chunk as a frame with `choices: []`, which clients count on; `None` where it has that.
    pub(super) fn mend(self, data: &[u8]) -> Option<Bytes> {
        let edit = match self {
            Self::Empty => return None,
            Self::Strange(edit) | Self::Missing(edit) => edit,
        };
        let mended = splice(&Bytes::copy_from_slice(data), &[edit]).into_bytes();
        // The encoder, because data that came in several lines has to go in several again.
        Some(Encoder::new().event(None, &String::from_utf8_lossy(&mended)).finish())
    }
}

/// Whether a choice carries a piece of the answer.
fn has_content(choice: &Object<'_>) -> bool {
    /// Members of a delta that hold a piece of the answer, with those that providers add to
    /// OpenAI's own: reasoning has three names.
    const PIECES: [&str; 8] = [
        "content",
        "refusal",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "tool_calls",
        "function_call",
        "audio",
    ];
    if choice.get("text").is_some_and(is_said) {
        return true;
    }
    let Some(delta) = choice.get("delta").and_then(|delta| delta.object()) else {
        return false;
    };
    delta.iter().any(|(key, value)| PIECES.contains(&&*key) && is_said(value))
}

/// Whether a value says something: a string, array or object with something in it.
pub(in crate::openai) fn is_said(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::String => value.raw().len() > 2,
        Kind::Array | Kind::Object => !value.is_empty_container(),
        Kind::Null | Kind::Bool | Kind::Number => false,
    }
}
