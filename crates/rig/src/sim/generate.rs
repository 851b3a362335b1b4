//! The answers to a prompt: how many, how long, in which form.

use super::directive::{BYTES_MAX, Directive, TOKENS_MAX};
use super::format::Format;
use super::key::Key;
use super::prompt::Prompt;
use super::prose;
use super::refusal::Refusal;
use super::reply::{Call, Choice, Envelope, Finish, Protocol, Says, Usage};
use super::request::{Generation, Logprobs, Text};
use super::token;
use super::tools::Calls;
use memchr::memmem;

/// Tokens of all the answers to one request together.
const TOTAL_TOKENS_MAX: u64 = 4 * TOKENS_MAX as u64;

/// What is said, and how it goes out.
pub(crate) struct Generated {
    pub(crate) envelope: Envelope,
    pub(crate) choices: Vec<Choice>,
    pub(crate) include_usage: bool,
    /// Steps that it takes: the answers of one request come side by side.
    pub(crate) steps: u32,
}

/// Answers a prompt.
pub(crate) fn generate(
    protocol: Protocol,
    request: &Generation<'_>,
    prompt: &Prompt<'_>,
    directive: &Directive,
    default_tokens: u32,
) -> Result<Generated, Refusal> {
    let n = request.n.unwrap_or(1);
    let length = Length::new(request, directive, default_tokens);
    let answers = prompt.keys.len() as u64 * u64::from(n);
    if answers.saturating_mul(length.tokens_at_most()) > TOTAL_TOKENS_MAX {
        return Err(Refusal::wrong("n", "the answers together have more than 4000000 tokens"));
    }
    let choices = choices(protocol, request, prompt, length)?;
    let counts = choices.iter().map(Choice::tokens);
    let (completion, steps) =
        counts.fold((0u32, 0), |(sum, most), count| (sum.saturating_add(count), most.max(count)));
    let usage = Usage { prompt: prompt.tokens, completion };
    let key = prompt.keys.first().copied().unwrap_or(Key::new(0));
    let model = request.model.as_deref().unwrap_or_default();
    Ok(Generated {
        envelope: Envelope::new(protocol, key, model, top_logprobs(request), usage),
        choices,
        include_usage: request.stream_options.as_ref().and_then(|options| options.include_usage)
            == Some(true),
        steps,
    })
}

/// Every answer to every text of a prompt.
fn choices(
    protocol: Protocol,
    request: &Generation<'_>,
    prompt: &Prompt<'_>,
    length: Length,
) -> Result<Vec<Choice>, Refusal> {
    let (format, calls) = match protocol {
        Protocol::Chat => (Format::of(request)?, Calls::plan(request, &prompt.last_user)?),
        Protocol::Completion => (Format::Text, Calls::default()),
    };
    let stops = request.stop.as_ref().map(|stops| stops.0.as_slice()).unwrap_or_default();
    let answers = prompt.keys.iter().flat_map(|key| {
        // The first is the same however many there are.
        (0..request.n.unwrap_or(1)).map(|at| if at == 0 { *key } else { key.with_number(u64::from(at)) })
    });
    let choice =
        |key| if calls.is_empty() { text(key, &format, length, stops) } else { called(key, &calls, length) };
    Ok(answers.map(choice).collect())
}

/// How long a text is: in bytes or in tokens, and where it is cut.
#[derive(Clone, Copy)]
struct Length {
    bytes: Option<u32>,
    tokens: u32,
    limit: u32,
}

impl Length {
    fn new(request: &Generation<'_>, directive: &Directive, default_tokens: u32) -> Self {
        let limits = [request.max_tokens, request.max_completion_tokens];
        Self {
            bytes: directive.bytes.map(|bytes| bytes.min(BYTES_MAX)),
            tokens: directive.tokens.unwrap_or(default_tokens).min(TOKENS_MAX),
            limit: limits.into_iter().flatten().min().unwrap_or(u32::MAX),
        }
    }

    /// A byte is a token at the most, an English one a quarter of one.
    fn tokens_at_most(self) -> u64 {
        u64::from(self.bytes.map_or(self.tokens, |bytes| bytes / 4))
    }
}

fn text(key: Key, format: &Format, length: Length, stops: &[Text<'_>]) -> Choice {
    let mut text = match (format.instance(key), length.bytes) {
        (Some(instance), _) => instance,
        (None, Some(bytes)) => prose::of_bytes(key, bytes as usize),
        (None, None) => prose::of_tokens(key, length.tokens),
    };
    let mut finish = Finish::Stop;
    let stop = stops.iter().filter_map(|stop| memmem::find(text.as_bytes(), stop.as_bytes())).min();
    if let Some(stop) = stop {
        text.truncate(stop);
    }
    // A limit in bytes spares most texts the count.
    if (length.limit as usize) < text.len() {
        let kept = token::prefix(&text, length.limit).len();
        if kept < text.len() {
            text.truncate(kept);
            finish = Finish::Length;
        }
    }
    Choice { says: Says::Text(text), finish, key }
}

fn called(key: Key, calls: &Calls, length: Length) -> Choice {
    let mut calls = calls.make(key);
    let finish = if cut(&mut calls, length.limit) { Finish::Length } else { Finish::ToolCalls };
    Choice { says: Says::Calls(calls), finish, key }
}

/// Keeps calls within a limit of tokens, as a model does that runs out of
/// them in the middle of an argument. Says whether anything was lost.
fn cut(calls: &mut Vec<Call>, limit: u32) -> bool {
    let mut left = limit;
    for at in 0..calls.len() {
        let Some(call) = calls.get_mut(at) else { break };
        if left == 0 {
            calls.truncate(at);
            return true;
        }
        left -= 1;
        let kept = token::prefix(&call.arguments, left).len();
        if kept < call.arguments.len() {
            call.arguments.truncate(kept);
            calls.truncate(at + 1);
            return true;
        }
        left -= token::count(&call.arguments);
    }
    false
}

fn top_logprobs(request: &Generation<'_>) -> Option<u32> {
    match request.logprobs {
        Some(Logprobs::Wanted(true)) => Some(request.top_logprobs.unwrap_or(0)),
        Some(Logprobs::Top(top)) => Some(top),
        _ => None,
    }
}
