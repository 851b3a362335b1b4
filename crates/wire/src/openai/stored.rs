//! Answers as a cache keeps them: what one is worth, and its two forms, whole and as a stream.
//!
//! A stored stream is the frames that [`super::Relay`] let pass. [`StoredStream::split`] takes it
//! apart into what every caller gets and the usage chunk that only some ask for. [`stream_of`] and
//! [`whole_of`] turn one form into the other, so that one entry can answer both kinds of request;
//! they copy values as they are written and give `None` wherever the result might say something
//! else than the original. Whether an answer may be kept at all is not decided here: [`Worth`] has
//! the facts.

mod assemble;
mod frames;
mod joined;
mod logprobs;
mod pieces;
#[cfg(test)]
mod tests;
mod unroll;
mod worth;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::stream::look;
use crate::json;
use crate::operation::Operation;

pub use assemble::whole_of;
pub use unroll::stream_of;
pub use worth::{Finishes, Worth, worth_of};

/// The end of a stream, in OpenAI's words.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// A complete stream, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredStream {
    /// All frames but the usage chunk and `[DONE]`.
    pub frames: Bytes,
    /// The frame of the chunk that has usage and no choice, whole.
    pub usage: Option<Bytes>,
}

impl StoredStream {
    /// Takes a stream apart: slices of `bytes`, which are copied only where a usage chunk stands
    /// amid other frames. (Of several usage chunks the last is kept.)
    ///
    /// `None` where it is not a stream of `operation` that came to its end: whole frames, each with
    /// a chunk that can be read and is no error, and `[DONE]` last of all.
    #[must_use]
    pub fn split(operation: Operation, bytes: &Bytes) -> Option<Self> {
        if !operation.streams() {
            return None;
        }
        let mut kept = Kept::default();
        let mut usage = None;
        for frame in frames::with_data(bytes)? {
            if frame.data == b"[DONE]".as_slice() {
                kept.up_to(frame.at.start);
                return (frame.at.end == bytes.len()).then(|| Self { frames: kept.of(bytes), usage });
            }
            let chunk = json::reply(&frame.data).ok()?;
            if chunk.get("error").is_some_and(look::is_said) {
                return None;
            }
            if look::is_usage_only(&chunk) {
                kept.up_to(frame.at.start);
                kept.next = frame.at.end;
                usage = Some(bytes.slice(frame.at));
            }
        }
        None
    }

    /// The stream as it goes out to one who asked for usage: frames, usage chunk, `[DONE]`.
    #[must_use]
    pub fn join(&self) -> Bytes {
        let usage = self.usage.as_deref().unwrap_or_default();
        [&self.frames, usage, DONE].concat().into()
    }

    /// The facts of the answer. Frames that cannot be read, which [`StoredStream::split`] does not
    /// give, count as an error.
    #[must_use]
    pub fn worth(&self) -> Worth {
        worth::of_stream(self)
    }
}

/// Ranges that stay of a stream.
#[derive(Default)]
struct Kept {
    ranges: Vec<Range<usize>>,
    /// Where the range that is open began.
    next: usize,
}

impl Kept {
    fn up_to(&mut self, end: usize) {
        if self.next < end {
            self.ranges.push(self.next..end);
        }
    }

    fn of(self, bytes: &Bytes) -> Bytes {
        if let [range] = self.ranges.as_slice() {
            return bytes.slice(range.clone());
        }
        let pieces = self.ranges.into_iter().filter_map(|range| bytes.get(range));
        let mut copy = BytesMut::new();
        pieces.for_each(|piece| copy.extend_from_slice(piece));
        copy.freeze()
    }
}
