//! What a body of the right types may still have wrong: what is missing, out
//! of range or not allowed together.

use super::{Content, Embedding, Generation, Input, Inputs, Message, Text};
use crate::sim::embeddings::DIMENSIONS;
use crate::sim::refusal::Refusal;

/// Items of `input` or `prompt`, as OpenAI bounds them.
const INPUTS_MAX: usize = 2048;
/// Numbers of all the vectors of an answer.
const NUMBERS_MAX: u64 = 4_000_000;
/// Sequences of `stop`.
const STOPS_MAX: usize = 4;

pub(super) fn model(model: Option<&Text<'_>>) -> Result<(), Refusal> {
    match model {
        None => Err(Refusal::missing("model")),
        Some(name) if name.is_empty() => Err(Refusal::wrong("model", "it is empty")),
        Some(_) => Ok(()),
    }
}

pub(super) fn messages(messages: Option<&[Message<'_>]>) -> Result<(), Refusal> {
    let messages = messages.ok_or_else(|| Refusal::missing("messages"))?;
    if messages.is_empty() {
        return Err(empty_array("messages"));
    }
    messages.iter().enumerate().try_for_each(|(at, one)| message(at, one))
}

fn message(at: usize, message: &Message<'_>) -> Result<(), Refusal> {
    const ROLES: &str = "'system', 'developer', 'user', 'assistant', 'tool' and 'function'";
    let place = |member: &str| format!("messages[{at}].{member}");
    let Some(role) = message.role.as_deref() else {
        return Err(Refusal::missing(&place("role")));
    };
    match role {
        "system" | "developer" | "user" | "assistant" | "tool" | "function" => {}
        other => return Err(Refusal::wrong_value(&place("role"), other, ROLES)),
    }
    if role == "tool" && message.tool_call_id.is_none() {
        return Err(Refusal::missing(&place("tool_call_id")));
    }
    match &message.content {
        None if role == "assistant" || role == "function" => Ok(()),
        None => Err(Refusal::missing(&place("content"))),
        Some(Content::Text(_)) => Ok(()),
        Some(content @ Content::Parts(_)) => parts(&place("content"), content),
    }
}

fn parts(place: &str, content: &Content<'_>) -> Result<(), Refusal> {
    const KINDS: &str = "'text', 'image_url', 'input_audio', 'file' and 'refusal'";
    let Content::Parts(parts) = content else { return Ok(()) };
    if parts.is_empty() {
        return Err(empty_array(place));
    }
    for (at, part) in parts.iter().enumerate() {
        match part.kind.as_deref() {
            None => return Err(Refusal::missing(&format!("{place}[{at}].type"))),
            Some("text") if part.text.is_none() => {
                return Err(Refusal::missing(&format!("{place}[{at}].text")));
            }
            Some("text" | "image_url" | "input_audio" | "file" | "refusal") => {}
            Some(other) => return Err(Refusal::wrong_value(&format!("{place}[{at}].type"), other, KINDS)),
        }
    }
    Ok(())
}

pub(super) fn inputs(place: &str, inputs: Option<&Inputs<'_>>) -> Result<(), Refusal> {
    let Inputs(list) = inputs.ok_or_else(|| Refusal::missing(place))?;
    match list.len() {
        0 => Err(empty_array(place)),
        1..=INPUTS_MAX => Ok(()),
        _ => Err(Refusal::wrong(place, "it has more than 2048 items")),
    }
}

pub(super) fn generation(request: &Generation<'_>) -> Result<(), Refusal> {
    let top = request.top_logprobs.map(u64::from);
    for (place, value, least, most) in [
        ("n", request.n.map(u64::from), 1, 128),
        ("max_tokens", request.max_tokens.map(u64::from), 1, u64::MAX),
        ("max_completion_tokens", request.max_completion_tokens.map(u64::from), 1, u64::MAX),
        ("top_logprobs", top, 0, 20),
    ] {
        integer(place, value, least, most)?;
    }
    for (place, value, least, most) in [
        ("temperature", request.temperature, 0.0, 2.0),
        ("top_p", request.top_p, 0.0, 1.0),
        ("presence_penalty", request.presence_penalty, -2.0, 2.0),
        ("frequency_penalty", request.frequency_penalty, -2.0, 2.0),
    ] {
        decimal(place, value, least, most)?;
    }
    if let Some(super::Logprobs::Top(top)) = request.logprobs {
        integer("logprobs", Some(u64::from(top)), 0, 5)?;
    }
    if top.is_some() && !matches!(request.logprobs, Some(super::Logprobs::Wanted(true))) {
        return Err(Refusal::wrong("top_logprobs", "'logprobs' must be true where it is given"));
    }
    if request.stream_options.is_some() && request.stream != Some(true) {
        return Err(Refusal::wrong("stream_options", "it is only allowed when 'stream' is true"));
    }
    stops(request)
}

fn stops(request: &Generation<'_>) -> Result<(), Refusal> {
    let Some(stops) = &request.stop else { return Ok(()) };
    if stops.0.len() > STOPS_MAX {
        return Err(Refusal::wrong("stop", "it has more than 4 sequences"));
    }
    if stops.0.iter().any(|stop| stop.is_empty()) {
        return Err(Refusal::wrong("stop", "a sequence is empty"));
    }
    Ok(())
}

pub(super) fn embedding(request: &Embedding<'_>) -> Result<(), Refusal> {
    let empty = |input: &Input<'_>| match input {
        Input::Text(text) => text.is_empty(),
        Input::Tokens(tokens) => tokens.is_empty(),
    };
    if request.input.as_ref().is_some_and(|inputs| inputs.0.iter().any(empty)) {
        return Err(Refusal::wrong("input", "it cannot be an empty string"));
    }
    integer("dimensions", request.dimensions.map(u64::from), 1, 4096)?;
    let inputs = request.input.as_ref().map_or(0, |inputs| inputs.0.len() as u64);
    if inputs * u64::from(request.dimensions.unwrap_or(DIMENSIONS)) > NUMBERS_MAX {
        return Err(Refusal::wrong("input", "its vectors together have more than 4000000 numbers"));
    }
    match request.encoding_format.as_deref() {
        None | Some("float" | "base64") => Ok(()),
        Some(other) => Err(Refusal::wrong_value("encoding_format", other, "'float' and 'base64'")),
    }
}

fn integer(place: &str, value: Option<u64>, least: u64, most: u64) -> Result<(), Refusal> {
    match value {
        Some(value) if value < least => Err(below(place, &least, &value)),
        Some(value) if value > most => Err(above(place, &most, &value)),
        _ => Ok(()),
    }
}

fn decimal(place: &str, value: Option<f64>, least: f64, most: f64) -> Result<(), Refusal> {
    match value {
        Some(value) if value < least => Err(below(place, &least, &value)),
        Some(value) if value > most => Err(above(place, &most, &value)),
        _ => Ok(()),
    }
}

/// A number under the least allowed.
pub(super) fn below(place: &str, least: &dyn std::fmt::Display, got: &dyn std::fmt::Display) -> Refusal {
    let message = format!(
        "Invalid '{place}': below minimum value. Expected a value >= {least}, but got {got} instead."
    );
    Refusal::at(place, "integer_below_min_value", message)
}

fn above(place: &str, most: &dyn std::fmt::Display, got: &dyn std::fmt::Display) -> Refusal {
    let message =
        format!("Invalid '{place}': above maximum value. Expected a value <= {most}, but got {got} instead.");
    Refusal::at(place, "integer_above_max_value", message)
}

fn empty_array(place: &str) -> Refusal {
    let message = format!(
        "Invalid '{place}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    );
    Refusal::at(place, "empty_array", message)
}
