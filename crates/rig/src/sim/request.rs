//! The bodies that callers send, read in one pass into borrowed types: this
//! is the hot path's largest cost. Only a body that does not fit is read
//! again, as a tree, to say where it is wrong (`fault`). What the simulator
//! does not act on is skipped, as a provider skips what a newer caller sends.

mod check;
mod content;
mod fault;

pub(crate) use content::{Content, Input, Inputs, Logprobs, Stops, Text};

use super::refusal::Refusal;
use serde::Deserialize;
use serde_json::value::RawValue;

/// `POST /v1/chat/completions` and `POST /v1/completions`, whose members
/// hardly differ.
#[derive(Deserialize)]
pub(crate) struct Generation<'a> {
    #[serde(borrow)]
    pub(crate) model: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) messages: Option<Vec<Message<'a>>>,
    #[serde(borrow)]
    pub(crate) prompt: Option<Inputs<'a>>,
    pub(crate) stream: Option<bool>,
    pub(crate) stream_options: Option<StreamOptions>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) max_completion_tokens: Option<u32>,
    pub(crate) n: Option<u32>,
    pub(crate) seed: Option<i64>,
    #[serde(borrow)]
    pub(crate) stop: Option<Stops<'a>>,
    pub(crate) logprobs: Option<Logprobs>,
    pub(crate) top_logprobs: Option<u32>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) presence_penalty: Option<f64>,
    pub(crate) frequency_penalty: Option<f64>,
    // Rare and deep: kept as text here, read by `tools` and `format`.
    #[serde(borrow)]
    pub(crate) tools: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) tool_choice: Option<&'a RawValue>,
    pub(crate) parallel_tool_calls: Option<bool>,
    #[serde(borrow)]
    pub(crate) response_format: Option<&'a RawValue>,
}

/// One message of a conversation.
#[derive(Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow)]
    pub(crate) role: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) content: Option<Content<'a>>,
    #[serde(borrow)]
    pub(crate) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) tool_call_id: Option<Text<'a>>,
}

/// `stream_options`
#[derive(Deserialize)]
pub(crate) struct StreamOptions {
    pub(crate) include_usage: Option<bool>,
}

/// `POST /v1/embeddings`
#[derive(Deserialize)]
pub(crate) struct Embedding<'a> {
    #[serde(borrow)]
    pub(crate) model: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) input: Option<Inputs<'a>>,
    pub(crate) dimensions: Option<u32>,
    #[serde(borrow)]
    pub(crate) encoding_format: Option<Text<'a>>,
}

impl<'a> Generation<'a> {
    /// Reads a chat's body. Its messages are there and sound.
    pub(crate) fn chat(body: &'a [u8]) -> Result<Self, Refusal> {
        let request = read::<Self>(body, fault::Kind::Chat)?;
        check::model(request.model.as_ref())?;
        check::messages(request.messages.as_deref())?;
        if matches!(request.logprobs, Some(Logprobs::Top(_))) {
            return Err(Refusal::wrong_type("logprobs", "a boolean", "an integer"));
        }
        check::generation(&request)?;
        Ok(request)
    }

    /// Reads a completion's body. Its prompt is there.
    pub(crate) fn completion(body: &'a [u8]) -> Result<Self, Refusal> {
        let request = read::<Self>(body, fault::Kind::Completion)?;
        check::model(request.model.as_ref())?;
        check::inputs("prompt", request.prompt.as_ref())?;
        if matches!(request.logprobs, Some(Logprobs::Wanted(_))) {
            return Err(Refusal::wrong_type("logprobs", "an integer", "a boolean"));
        }
        check::generation(&request)?;
        Ok(request)
    }
}

impl<'a> Embedding<'a> {
    /// Reads an embedding's body. Its input is there and not empty.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        let request = read::<Self>(body, fault::Kind::Embedding)?;
        check::model(request.model.as_ref())?;
        check::inputs("input", request.input.as_ref())?;
        check::embedding(&request)?;
        Ok(request)
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], kind: fault::Kind) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| fault::find(body, kind, &error))
}

#[cfg(test)]
mod tests;
