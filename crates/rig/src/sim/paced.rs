//! Bytes as they become due, and whatever goes wrong on the way: the part of
//! a body that knows of time.

use super::Reset;
use super::directive::Directive;
use super::pace::Pace;
use super::refusal::Refusal;
use super::stream::{Frames, Gap};
use bytes::Bytes;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Neither JSON nor UTF-8, in a frame's clothes.
const GARBAGE: &[u8] = b"data: {\"id\":\"chatcmpl-\xff\xfe\x00<html>}{\n\n";

/// Where the bytes come from.
pub(crate) enum Source {
    Frames(Frames),
    /// The pieces of a reply that is not streamed.
    Pieces(VecDeque<Bytes>),
}

/// A body under way.
pub(crate) struct Paced {
    source: Source,
    pace: Pace,
    directive: Directive,
    /// Bytes until the connection breaks.
    reset_in: Option<u64>,
    /// Declared and not handed out yet; `None` for a stream.
    declared: Option<u64>,
    /// Frames handed out.
    frames: u32,
    /// Of the frame whose turn it is.
    held: Bytes,
    /// When `held` may go. An absolute time: a reader who was late gets what
    /// a provider's socket would have kept for it, and the rate stays true.
    due: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Running,
    /// The frame held is the last one, whatever the source has.
    Last,
    Hanging,
    Over,
}

impl Paced {
    pub(crate) fn stream(frames: Frames, pace: Pace, directive: Directive) -> Self {
        Self::new(Source::Frames(frames), None, pace, directive)
    }

    /// A whole reply that is not simply sent. Its two halves are its frames.
    pub(crate) fn whole(reply: &Bytes, pace: Pace, mut directive: Directive) -> Self {
        let halves = |bytes: &Bytes| {
            let middle = bytes.len() / 2;
            (bytes.slice(..middle), bytes.slice(middle..))
        };
        let first_half = |after: Option<u32>| after.map(|frames| frames.min(1));
        directive.hang_after = first_half(directive.hang_after);
        directive.cut_after = first_half(directive.cut_after);
        let (first, second) = halves(reply);
        let pieces = match (directive.garbage_after.take(), directive.error_frame_after.take()) {
            (Some(0), _) => vec![Bytes::from_static(GARBAGE)],
            (Some(_), _) => vec![first, Bytes::from_static(GARBAGE)],
            // An error under a 200, as some providers have it.
            (None, Some(_)) => vec![error()],
            (None, None) => vec![first, second],
        };
        let declared = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self::new(Source::Pieces(pieces.into()), Some(declared), pace, directive)
    }

    fn new(source: Source, declared: Option<u64>, pace: Pace, directive: Directive) -> Self {
        Self {
            source,
            pace,
            reset_in: directive.reset_after,
            directive,
            declared,
            frames: 0,
            held: Bytes::new(),
            due: Instant::now(),
            timer: None,
            waiting: false,
            state: State::Running,
        }
    }

    /// Whether nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether what was handed out last was the end of a frame.
    pub(crate) fn between_frames(&self) -> bool {
        self.held.is_empty()
    }

    /// What is left of the length that the head declared.
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        self.declared
    }

    /// The next bytes, once they are due.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Reset>>> {
        if self.reset_in == Some(0) {
            return Poll::Ready(Some(Err(Reset)));
        }
        if self.held.is_empty() && self.state == State::Running {
            self.fetch();
        }
        match self.state {
            // Nothing will wake this: only the caller can end it.
            State::Hanging => return Poll::Pending,
            State::Over => return Poll::Ready(None),
            State::Running | State::Last => {}
        }
        if self.waiting {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
            }
            self.waiting = false;
        }
        Poll::Ready(Some(Ok(self.release())))
    }

    /// Takes up the next frame, or what is to happen in its place.
    fn fetch(&mut self) {
        let now = Some(self.frames);
        if self.directive.hang_after == now {
            self.state = State::Hanging;
        } else if self.directive.cut_after == now {
            self.state = State::Over;
        } else if self.directive.garbage_after == now {
            (self.held, self.state) = (Bytes::from_static(GARBAGE), State::Last);
        } else if self.directive.error_frame_after == now {
            (self.held, self.state) = ([b"data: ", &*error(), b"\n\n"].concat().into(), State::Last);
        } else {
            let next = match &mut self.source {
                Source::Frames(frames) => frames.next(),
                Source::Pieces(pieces) => pieces.pop_front().map(|piece| (piece, Gap::None)),
            };
            let Some((bytes, gap)) = next else {
                self.state = State::Over;
                return;
            };
            self.held = bytes;
            let delay = match gap {
                Gap::None => Duration::ZERO,
                Gap::FirstToken => self.pace.first(),
                Gap::BetweenTokens => self.pace.between(),
            };
            self.wait(delay);
        }
    }

    /// Puts off what is held. Without a delay no clock is read.
    fn wait(&mut self, delay: Duration) {
        if delay.is_zero() {
            return;
        }
        self.due += delay;
        if self.due <= Instant::now() {
            return;
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(self.due),
            None => self.timer = Some(Box::pin(sleep_until(self.due))),
        }
        self.waiting = true;
    }

    /// Hands out what is held, or as much of it as may go.
    fn release(&mut self) -> Bytes {
        let mut length = self.held.len();
        if self.directive.drip.is_some() {
            length = length.min(1);
        }
        if let Some(left) = &mut self.reset_in {
            length = length.min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= length as u64;
        }
        let bytes = self.held.split_to(length);
        if let Some(declared) = &mut self.declared {
            *declared = declared.saturating_sub(length as u64);
        }
        if self.held.is_empty() {
            self.frames += 1;
            let cut = self.directive.cut_after == Some(self.frames);
            let over = match &self.source {
                Source::Frames(frames) => frames.is_over(),
                Source::Pieces(pieces) => pieces.is_empty(),
            };
            // A reset that is due comes before the end.
            if (self.state == State::Last || cut || over) && self.reset_in != Some(0) {
                self.state = State::Over;
            }
        }
        if let Some(drip) = self.directive.drip {
            self.wait(drip);
        }
        bytes
    }
}

fn error() -> Bytes {
    Refusal::played(http::StatusCode::INTERNAL_SERVER_ERROR).body()
}
