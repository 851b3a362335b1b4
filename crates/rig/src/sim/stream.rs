//! An answer as a stream of server-sent events, one token a frame, made one
//! frame at a time when somebody asks for it.
//!
//! All that frames share is written once; a frame is that, copied, with a
//! token between.

use super::json;
use super::logprobs;
use super::reply::{Choice, Envelope, Protocol, Says};
use super::token;
use bytes::Bytes;

/// How long after the frame before it a frame is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    None,
    FirstToken,
    BetweenTokens,
}

/// The frames of a stream.
pub(crate) struct Frames {
    /// `data: {"id":…,"choices":[`
    head: Vec<u8>,
    /// `],"usage":null}\n\n`, or without the usage.
    tail: &'static [u8],
    envelope: Envelope,
    reels: Vec<Reel>,
    include_usage: bool,
    done_marker: bool,
    at: At,
    /// Whether any frame went out.
    begun: bool,
    /// Whether this step's first token went out. The choices of a step come
    /// together, as from a batch.
    stepped: bool,
    /// Whether the turn came back to the first choice.
    wrapped: bool,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Role(usize),
    Token(usize),
    Usage,
    Done,
    End,
}

impl Frames {
    pub(crate) fn new(
        envelope: Envelope,
        choices: Vec<Choice>,
        include_usage: bool,
        done_marker: bool,
    ) -> Self {
        let object = match envelope.protocol {
            Protocol::Chat => "chat.completion.chunk",
            Protocol::Completion => "text_completion",
        };
        let mut head = Vec::with_capacity(256);
        head.extend_from_slice(b"data: ");
        envelope.open(&mut head, object);
        let reels = choices.into_iter().map(|choice| Reel::new(choice, envelope.top_logprobs)).collect();
        Self {
            head,
            tail: if include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" },
            at: if envelope.protocol == Protocol::Chat { At::Role(0) } else { At::Token(0) },
            envelope,
            reels,
            include_usage,
            done_marker,
            begun: false,
            stepped: false,
            wrapped: false,
        }
    }

    /// Whether every frame was handed out.
    pub(crate) fn is_over(&self) -> bool {
        self.at == At::End
    }

    /// The next frame, and when it is due.
    pub(crate) fn next(&mut self) -> Option<(Bytes, Gap)> {
        let (frame, says) = match self.at {
            At::Role(index) => (self.role(index), true),
            At::Token(index) => self.token(index)?,
            At::Usage => (self.usage(), false),
            At::Done => {
                self.at = At::End;
                (Bytes::from_static(b"data: [DONE]\n\n"), false)
            }
            At::End => return None,
        };
        Some((frame, self.gap(says)))
    }

    /// The first frame waits for the first token; after it, the first that
    /// says something in a step waits for that step. A role comes with the
    /// first tokens, not a delay before them.
    fn gap(&mut self, says: bool) -> Gap {
        let first = !std::mem::replace(&mut self.begun, true);
        let leads = says && !self.stepped;
        self.stepped |= leads;
        // The turn has moved on already: back at the first, a new step begins.
        if std::mem::take(&mut self.wrapped) {
            self.stepped = false;
        }
        match (first, leads) {
            (true, _) => Gap::FirstToken,
            (false, true) => Gap::BetweenTokens,
            (false, false) => Gap::None,
        }
    }

    fn role(&mut self, index: usize) -> Bytes {
        self.at = if index + 1 < self.reels.len() { At::Role(index + 1) } else { At::Token(0) };
        let content = match self.reels.get(index).map(|reel| &reel.choice.says) {
            Some(Says::Calls(_)) => "null",
            _ => "\"\"",
        };
        let mut out = self.begin(index, 128);
        out.extend_from_slice(b",\"delta\":{\"role\":\"assistant\",\"content\":");
        out.extend_from_slice(content.as_bytes());
        out.extend_from_slice(b",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}");
        self.finished(out)
    }

    /// The next token of the choice whose turn it is, or that choice's end;
    /// with whether it says something.
    fn token(&mut self, index: usize) -> Option<(Bytes, bool)> {
        let mut out = self.begin(index, 128);
        let reel = self.reels.get_mut(index)?;
        let said = reel.write_next(&mut out, self.envelope.protocol);
        if said {
            out.extend_from_slice(b",\"finish_reason\":null}");
        } else {
            reel.write_end(&mut out, self.envelope.protocol);
        }
        self.pass_turn(index);
        Some((self.finished(out), said))
    }

    fn pass_turn(&mut self, index: usize) {
        let live = |mut range: std::ops::Range<usize>| {
            range.find(|&at| self.reels.get(at).is_some_and(|reel| !reel.over))
        };
        let after = live(index + 1..self.reels.len());
        self.wrapped = after.is_none();
        self.at = match after.or_else(|| live(0..index + 1)) {
            Some(next) => At::Token(next),
            None if self.include_usage => At::Usage,
            None if self.done_marker => At::Done,
            None => At::End,
        };
    }

    fn usage(&mut self) -> Bytes {
        self.at = if self.done_marker { At::Done } else { At::End };
        let mut out = self.head.clone();
        out.extend_from_slice(b"],\"usage\":");
        self.envelope.usage.write(&mut out);
        out.extend_from_slice(b"}\n\n");
        out.into()
    }

    /// A frame up to the choice's index, with room for what follows.
    fn begin(&self, index: usize, room: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.head.len() + room + self.tail.len());
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":");
        json::number(&mut out, index as u64);
        out
    }

    fn finished(&self, mut out: Vec<u8>) -> Bytes {
        out.extend_from_slice(self.tail);
        out.into()
    }
}

/// One choice on its way out.
struct Reel {
    choice: Choice,
    /// Bytes said of the text, or of the arguments of the call under way.
    said: usize,
    /// The call under way, and whether its head went out.
    call: usize,
    opened: bool,
    over: bool,
    scale: Option<logprobs::Scale>,
}

impl Reel {
    fn new(choice: Choice, top_logprobs: Option<u32>) -> Self {
        let scale = top_logprobs.map(|top| logprobs::Scale::new(choice.key, top));
        Self { choice, said: 0, call: 0, opened: false, over: false, scale }
    }

    /// Writes the next token as the members of a choice; false where there is
    /// none left.
    fn write_next(&mut self, out: &mut Vec<u8>, protocol: Protocol) -> bool {
        match &self.choice.says {
            Says::Text(text) => {
                let token = token::first(text.get(self.said..).unwrap_or_default());
                self.said += token.len();
                if !token.is_empty() {
                    write_text(out, protocol, token, self.scale.as_mut());
                }
                !token.is_empty()
            }
            Says::Calls(_) => self.write_call(out),
        }
    }

    fn write_call(&mut self, out: &mut Vec<u8>) -> bool {
        let Says::Calls(calls) = &self.choice.says else { return false };
        while let Some(call) = calls.get(self.call) {
            let token = token::first(call.arguments.get(self.said..).unwrap_or_default());
            if self.opened && token.is_empty() {
                (self.call, self.said, self.opened) = (self.call + 1, 0, false);
                continue;
            }
            out.extend_from_slice(b",\"delta\":{\"tool_calls\":[{\"index\":");
            json::number(out, self.call as u64);
            out.push(b',');
            if self.opened {
                // Id and name come once: some clients join what is repeated.
                out.extend_from_slice(b"\"function\":{\"arguments\":");
                json::string(out, token);
                out.push(b'}');
                self.said += token.len();
            } else {
                call.members(out, "");
                self.opened = true;
            }
            out.extend_from_slice(b"}]},\"logprobs\":null");
            return true;
        }
        false
    }

    /// Writes the choice's end.
    fn write_end(&mut self, out: &mut Vec<u8>, protocol: Protocol) {
        self.over = true;
        out.extend_from_slice(match protocol {
            Protocol::Chat => b",\"delta\":{}".as_slice(),
            Protocol::Completion => b",\"text\":\"\"".as_slice(),
        });
        out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":\"");
        out.extend_from_slice(self.choice.finish.name().as_bytes());
        out.extend_from_slice(b"\"}");
    }
}

fn write_text(out: &mut Vec<u8>, protocol: Protocol, token: &str, scale: Option<&mut logprobs::Scale>) {
    match protocol {
        Protocol::Chat => {
            out.extend_from_slice(b",\"delta\":{\"content\":");
            json::string(out, token);
            out.push(b'}');
        }
        Protocol::Completion => {
            out.extend_from_slice(b",\"text\":");
            json::string(out, token);
        }
    }
    out.extend_from_slice(b",\"logprobs\":");
    match scale {
        Some(scale) => logprobs::write(out, protocol, std::iter::once(token), scale),
        None => out.extend_from_slice(b"null"),
    }
}
