//! What a model says, and its two ways out: whole, here, and as a stream, in
//! `stream`. Both count the same tokens.

use super::json;
use super::key::{Draws, Key};
use super::logprobs;
use super::token;
use bytes::Bytes;

/// One of the `n` answers to a request.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) says: Says,
    pub(crate) finish: Finish,
    /// The key its text and log-probabilities are drawn from.
    pub(crate) key: Key,
}

/// Text, or calls of tools.
#[derive(Debug)]
pub(crate) enum Says {
    Text(String),
    Calls(Vec<Call>),
}

/// One call of a tool.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    ToolCalls,
}

impl Finish {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
        }
    }
}

impl Choice {
    /// The tokens of an answer: those of its text; for a call one for its
    /// head, which is one frame of a stream, and those of its arguments.
    pub(crate) fn tokens(&self) -> u32 {
        match &self.says {
            Says::Text(text) => token::count(text),
            Says::Calls(calls) => calls.iter().map(|call| 1 + token::count(&call.arguments)).sum(),
        }
    }
}

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Chat,
    Completion,
}

/// What stands round every answer. Id and time are derived too: two runs of
/// one request are equal to the byte.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) protocol: Protocol,
    /// `"id":…,"object":…` without the object's suffix, up to the model.
    id: Vec<u8>,
    created: u64,
    model: String,
    fingerprint: Vec<u8>,
    /// How many alternatives of each token are told; `None` for no
    /// log-probabilities at all.
    pub(crate) top_logprobs: Option<u32>,
    pub(crate) usage: Usage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt: u32,
    pub(crate) completion: u32,
}

/// 2025-01-01, in seconds since 1970; replies lie within the year after.
pub(crate) const YEAR_START_S: u64 = 1_735_689_600;
const YEAR_S: u64 = 31_536_000;

impl Envelope {
    pub(crate) fn new(
        protocol: Protocol,
        key: Key,
        model: &str,
        top_logprobs: Option<u32>,
        usage: Usage,
    ) -> Self {
        let mut draws = key.draws(2);
        let prefix: &[u8] = match protocol {
            Protocol::Chat => b"chatcmpl-",
            Protocol::Completion => b"cmpl-",
        };
        let mut id = Vec::with_capacity(40);
        id.extend_from_slice(prefix);
        draws.id(&mut id, 29);
        let mut fingerprint = Vec::with_capacity(16);
        fingerprint.extend_from_slice(b"fp_");
        draws.id(&mut fingerprint, 10);
        let created = YEAR_START_S + draws.below(YEAR_S);
        Self { protocol, id, created, model: model.to_owned(), fingerprint, top_logprobs, usage }
    }

    /// The members that begin a reply or a frame, up to the choices.
    pub(crate) fn open(&self, into: &mut Vec<u8>, object: &str) {
        into.extend_from_slice(b"{\"id\":\"");
        into.extend_from_slice(&self.id);
        into.extend_from_slice(b"\",\"object\":\"");
        into.extend_from_slice(object.as_bytes());
        into.extend_from_slice(b"\",\"created\":");
        json::number(into, self.created);
        into.extend_from_slice(b",\"model\":");
        json::string(into, &self.model);
        into.extend_from_slice(b",\"system_fingerprint\":\"");
        into.extend_from_slice(&self.fingerprint);
        into.extend_from_slice(b"\",\"choices\":[");
    }

    /// The reply in one piece.
    pub(crate) fn whole(&self, choices: &[Choice]) -> Bytes {
        let mut out = Vec::with_capacity(choices.iter().map(size).sum::<usize>() + 512);
        self.open(
            &mut out,
            match self.protocol {
                Protocol::Chat => "chat.completion",
                Protocol::Completion => "text_completion",
            },
        );
        for (index, choice) in choices.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.choice(&mut out, index, choice);
        }
        out.extend_from_slice(b"],\"usage\":");
        self.usage.write(&mut out);
        out.push(b'}');
        out.into()
    }

    fn choice(&self, out: &mut Vec<u8>, index: usize, choice: &Choice) {
        out.extend_from_slice(b"{\"index\":");
        json::number(out, index as u64);
        match (self.protocol, &choice.says) {
            (Protocol::Completion, Says::Text(text)) => {
                out.extend_from_slice(b",\"text\":");
                json::string(out, text);
            }
            (_, Says::Text(text)) => {
                out.extend_from_slice(b",\"message\":{\"role\":\"assistant\",\"content\":");
                json::string(out, text);
                out.extend_from_slice(b",\"refusal\":null}");
            }
            (_, Says::Calls(calls)) => {
                out.extend_from_slice(b",\"message\":{\"role\":\"assistant\",\"content\":null,\"refusal\":null,\"tool_calls\":[");
                for (at, call) in calls.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    call.write(out, &call.arguments);
                }
                out.extend_from_slice(b"]}");
            }
        }
        out.extend_from_slice(b",\"logprobs\":");
        self.logprobs(out, choice);
        out.extend_from_slice(b",\"finish_reason\":\"");
        out.extend_from_slice(choice.finish.name().as_bytes());
        out.extend_from_slice(b"\"}");
    }

    fn logprobs(&self, out: &mut Vec<u8>, choice: &Choice) {
        match (self.top_logprobs, &choice.says) {
            (Some(top), Says::Text(text)) => {
                let tokens = token::split(text);
                logprobs::write(out, self.protocol, tokens, &mut logprobs::Scale::new(choice.key, top));
            }
            _ => out.extend_from_slice(b"null"),
        }
    }
}

/// About what a choice needs in bytes.
fn size(choice: &Choice) -> usize {
    160 + match &choice.says {
        Says::Text(text) => text.len(),
        Says::Calls(calls) => calls.iter().map(|call| 160 + 2 * call.arguments.len()).sum(),
    }
}

impl Call {
    /// A call with an id of its own.
    pub(crate) fn new(draws: &mut Draws, name: &str, arguments: String) -> Self {
        let mut id = b"call_".to_vec();
        draws.id(&mut id, 24);
        // Letters and digits: always text.
        Self { id: String::from_utf8(id).unwrap_or_default(), name: name.to_owned(), arguments }
    }

    /// The call with these of its arguments.
    fn write(&self, out: &mut Vec<u8>, arguments: &str) {
        out.push(b'{');
        self.members(out, arguments);
        out.push(b'}');
    }

    /// The members of a call, for a stream's first frame of it too.
    pub(crate) fn members(&self, out: &mut Vec<u8>, arguments: &str) {
        out.extend_from_slice(b"\"id\":");
        json::string(out, &self.id);
        out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
        json::string(out, &self.name);
        out.extend_from_slice(b",\"arguments\":");
        json::string(out, arguments);
        out.push(b'}');
    }
}

impl Usage {
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"prompt_tokens\":");
        json::number(out, u64::from(self.prompt));
        out.extend_from_slice(b",\"completion_tokens\":");
        json::number(out, u64::from(self.completion));
        out.extend_from_slice(b",\"total_tokens\":");
        json::number(out, u64::from(self.prompt) + u64::from(self.completion));
        out.extend_from_slice(b",\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}");
    }
}
