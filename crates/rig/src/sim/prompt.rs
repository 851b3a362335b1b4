//! What a reply depends on: the conversation, folded into a key, a number of
//! tokens, and what its last user said.

use super::key::Key;
use super::models;
use super::request::{Content, Generation, Input, Message};
use super::token;
use std::borrow::Cow;

/// Tokens that a message costs beside its content: its role and its frame.
const MESSAGE_TOKENS: u32 = 4;
/// Tokens that open the answer.
const ANSWER_TOKENS: u32 = 3;
/// Tokens of an image, a sound or a file.
const MEDIUM_TOKENS: u32 = 85;

/// A prompt as far as the reply is concerned.
pub(crate) struct Prompt<'r> {
    /// A key for each text to complete; a chat has one.
    pub(crate) keys: Vec<Key>,
    pub(crate) tokens: u32,
    /// The last user message, or the last text to complete.
    pub(crate) last_user: Cow<'r, str>,
}

impl<'r> Prompt<'r> {
    pub(crate) fn of_chat(request: &'r Generation<'_>, seed: u64) -> Self {
        let messages = request.messages.as_deref().unwrap_or_default();
        let mut key = base(request, seed);
        let mut tokens = ANSWER_TOKENS;
        for message in messages {
            key = absorb(key, message);
            tokens = tokens.saturating_add(cost(message));
        }
        if let Some(tools) = request.tools {
            key = key.with(tools.get().as_bytes());
            tokens = tokens.saturating_add(token::count(tools.get()));
        }
        let last_user = messages.iter().rev().find(|message| message.role.as_deref() == Some("user"));
        let last_user =
            last_user.and_then(|message| message.content.as_ref()).map(joined).unwrap_or_default();
        Self { keys: vec![key], tokens, last_user }
    }

    pub(crate) fn of_completion(request: &'r Generation<'_>, seed: u64) -> Self {
        let inputs = request.prompt.as_ref().map(|inputs| inputs.0.as_slice()).unwrap_or_default();
        let base = base(request, seed);
        let mut tokens = 0u32;
        let mut keys = Vec::with_capacity(inputs.len());
        for input in inputs {
            let (key, count) = match input {
                Input::Text(text) => (base.with(text.as_bytes()), token::count(text)),
                Input::Tokens(list) => (
                    list.iter().fold(base, |key, &token| key.with_number(token)),
                    u32::try_from(list.len()).unwrap_or(u32::MAX),
                ),
            };
            tokens = tokens.saturating_add(count);
            keys.push(key);
        }
        Self { keys, tokens, last_user: last_text(inputs) }
    }
}

/// The last text of some inputs; empty where there are tokens only.
pub(crate) fn last_text<'r>(inputs: &'r [Input<'_>]) -> Cow<'r, str> {
    let text = |input: &'r Input<'_>| match input {
        Input::Text(text) => Some(Cow::Borrowed(&**text)),
        Input::Tokens(_) => None,
    };
    inputs.iter().rev().find_map(text).unwrap_or_default()
}

fn base(request: &Generation<'_>, seed: u64) -> Key {
    let model = request.model.as_deref().unwrap_or_default();
    // The bits of a negative seed are as good as any.
    Key::new(seed)
        .with(models::short(model).as_bytes())
        .with_number(request.seed.unwrap_or(0).cast_unsigned())
}

fn absorb(key: Key, message: &Message<'_>) -> Key {
    let key = key.with(message.role.as_deref().unwrap_or_default().as_bytes());
    let key = match &message.content {
        Some(content) => content.texts().fold(key, |key, text| key.with(text.as_bytes())),
        None => key,
    };
    message.tool_calls.map_or(key, |calls| key.with(calls.get().as_bytes()))
}

fn cost(message: &Message<'_>) -> u32 {
    let name = message.name.as_deref().map_or(0, token::count);
    let calls = message.tool_calls.map_or(0, |calls| token::count(calls.get()));
    let content = message.content.as_ref().map_or(0, |content| {
        let media = u32::try_from(content.media()).unwrap_or(u32::MAX).saturating_mul(MEDIUM_TOKENS);
        content.texts().map(token::count).fold(media, u32::saturating_add)
    });
    MESSAGE_TOKENS.saturating_add(name).saturating_add(calls).saturating_add(content)
}

/// The texts of a message as one; borrowed where there is one.
fn joined<'r>(content: &'r Content<'_>) -> Cow<'r, str> {
    match content {
        Content::Text(text) => Cow::Borrowed(text),
        Content::Parts(_) => Cow::Owned(content.texts().collect::<Vec<_>>().join("\n")),
    }
}
