//! The relay of a provider's stream: frames pass as the bytes they came in, watched on their way.
//!
//! Only whole frames pass. A caller has no use for half a frame, and where the provider is cut off
//! the error event that follows never lands within one. What it takes out is what breaks OpenAI's
//! clients: `id:`, `retry:` and `event:` lines, frames without data, the usage chunk nobody asked
//! for, and everything after the end.
//!
//! Most frames are looked at with a substring search or two and never parsed: see [`look`]. What is
//! not here: time-outs, the connection, and any change to what the model said.

pub(super) mod frame;
pub(super) mod look;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::Usage;
use crate::failure::{Failure, Kind};
use crate::sse::{Cut, Frames, Whole};
use frame::Lines;
use look::Meaning;

/// The end of a stream, in OpenAI's words.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// What the relay must know beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayOptions {
    /// What becomes of the usage chunk at the stream's end.
    pub usage_chunk: UsageChunk,
    /// The provider ends its streams with `[DONE]`: one that ends without it was cut. Where it does
    /// not, a `finish_reason` must have come, and the relay adds the marker.
    pub done_marker: bool,
}

/// What becomes of the chunk that has usage and no choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageChunk {
    /// The caller asked for it: it passes.
    Pass,
    /// Nobody asked for it: it is taken out.
    Drop,
    /// It is taken out and kept, and `[DONE]` behind it is taken out too: see [`Relay::take_usage_frame`]. For one who stores the stream and
    /// will replay it to callers who ask for usage and to callers who do not.
    Apart,
}

/// What was seen in passing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The first piece of the answer has come: text, reasoning or a tool call.
    pub content: bool,
    /// The last usage that the provider sent.
    pub usage: Option<Usage>,
    /// A choice is finished.
    pub finish_reason: bool,
    /// The provider's `[DONE]` has come.
    pub done: bool,
    /// The provider sent an error in place of a chunk.
    pub error: bool,
    /// Frames of data, without `[DONE]`.
    pub frames: u64,
}

/// The relay of one stream.
#[derive(Debug)]
pub struct Relay {
    options: RelayOptions,
    observed: Observed,
    frames: Frames,
    /// The usage chunk's frame, where it is kept apart.
    usage_frame: Option<Bytes>,
    /// Nothing more passes: `[DONE]` or an error has.
    ended: bool,
    /// Nothing more passes: the stream broke. Kept until what came before has been handed out.
    failure: Option<Failure>,
    /// The body has ended: what is left must be whole by itself.
    closing: bool,
}

/// What becomes of a frame.
#[derive(Debug)]
enum Verdict {
    Pass,
    Drop,
    /// These bytes, a whole frame, stand in its place.
    Replace(Bytes),
    /// The frame is kept apart: these bytes in its place, or as it is.
    Apart(Option<Bytes>),
}

impl Relay {
    /// A relay for a stream that begins.
    #[must_use]
    pub fn new(options: RelayOptions) -> Self {
        Self {
            options,
            observed: Observed::default(),
            frames: Frames::default(),
            usage_frame: None,
            ended: false,
            failure: None,
            closing: false,
        }
    }

    /// Takes what arrived, gives what may go on: whole frames, in the chunk's own memory where
    /// nothing had to be taken out of its middle. May be empty.
    ///
    /// The concatenated output does not depend on how the input is cut. A stream that breaks within
    /// a chunk therefore gives what came before first, and its failure at the next call; see
    /// [`Relay::ended`].
    ///
    /// # Errors
    /// A [`Kind::Provider`]: data that is not JSON, or a frame over 1 MiB.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, Failure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.ended {
            return Ok(Bytes::new());
        }
        let whole = self.frames.push(chunk);
        let passed = self.pass(whole);
        match &self.failure {
            Some(failure) if passed.is_empty() => Err(failure.clone()),
            _ => Ok(passed),
        }
    }

    /// Nothing that may still arrive can pass: the reader may stop and call [`Relay::finish`].
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended || self.failure.is_some()
    }

    /// The body has ended, or the reader has stopped at [`Relay::ended`]. Gives the bytes still to
    /// be sent: a last frame without its blank line, or the `[DONE]` that the provider's dialect
    /// does not have. Called again, it gives nothing.
    ///
    /// # Errors
    /// The stream broke, or was cut before its end: a [`Kind::Provider`].
    pub fn finish(&mut self) -> Result<Bytes, Failure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.ended {
            return Ok(Bytes::new());
        }
        let mut tail = self.rest();
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if !self.ended {
            if self.options.done_marker || !self.observed.finish_reason {
                return Err(self.failure.insert(cut_off()).clone());
            }
            self.ended = true;
            if self.options.usage_chunk != UsageChunk::Apart {
                tail.extend_from_slice(DONE);
            }
        }
        Ok(tail.freeze())
    }

    /// What was seen so far.
    #[must_use]
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// The usage chunk that was kept apart, as a whole frame and as [`UsageChunk::Pass`] would have
    /// sent it: once, and then no more. The last one, where a provider sent several.
    #[must_use]
    pub fn take_usage_frame(&mut self) -> Option<Bytes> {
        self.usage_frame.take()
    }

    /// What was still held when the body ended: a frame that waited behind a CR, or one whose
    /// blank line never came but which is whole all the same. (Some servers send no line end after
    /// `[DONE]`.)
    fn rest(&mut self) -> BytesMut {
        let waited = self.frames.finish();
        let mut tail = BytesMut::from(self.pass(waited));
        let held = self.frames.held();
        if self.ended() || held.is_empty() {
            return tail;
        }
        let end: &[u8] = if held.ends_with(b"\n") { b"\n" } else { b"\n\n" };
        let frame = [held, end].concat();
        self.closing = true;
        let whole = Frames::default().push(frame.into());
        let passed = self.pass(whole);
        // What is broken here is half a frame: the stream was cut, and that is said in its place.
        self.failure = None;
        tail.extend_from_slice(&passed);
        tail
    }

    fn pass(&mut self, whole: Whole) -> Bytes {
        let Whole { block, cuts } = whole;
        let mut passed = Passed::default();
        let mut start = 0;
        for cut in &cuts {
            match self.frame(block.get(start..).unwrap_or_default(), start, cut) {
                Ok(Verdict::Pass) => passed.keep(&block, start..cut.end),
                Ok(Verdict::Drop) => {}
                Ok(Verdict::Replace(frame)) => passed.replace(&block, &frame),
                Ok(Verdict::Apart(mended)) => {
                    let frame = block.get(start..cut.end).unwrap_or_default();
                    // A copy, so that whoever stores it does not keep the block alive.
                    self.usage_frame = Some(mended.unwrap_or_else(|| Bytes::copy_from_slice(frame)));
                }
                Err(failure) => self.failure = Some(failure),
            }
            if self.ended() {
                return passed.finish(block);
            }
            start = cut.end;
        }
        if let Err(too_long) = self.frames.check() {
            self.failure = Some(broken().with_detail(too_long.to_string()));
        }
        passed.finish(block)
    }

    /// Judges the frame that `rest`, which begins at `start`, begins with.
    #[inline]
    fn frame(&mut self, rest: &[u8], start: usize, cut: &Cut) -> Result<Verdict, Failure> {
        if cut.one_line
            && let Some(line) = rest.get(..cut.first_line - start)
            && let Some(data) = line.strip_prefix(b"data:")
        {
            return self.data(data);
        }
        self.lines(rest.get(..cut.end - start).unwrap_or_default())
    }

    /// Judges a frame that is more, or other, than one line of data.
    #[cold]
    fn lines(&mut self, frame: &[u8]) -> Result<Verdict, Failure> {
        let lines = Lines::read(frame);
        let verdict = match &lines.data {
            Some(data) => self.data(data)?,
            None => Verdict::Pass,
        };
        Ok(match verdict {
            Verdict::Pass if !lines.clean => lines.cleaned.map_or(Verdict::Drop, Verdict::Replace),
            Verdict::Apart(None) if !lines.clean => Verdict::Apart(lines.cleaned),
            verdict => verdict,
        })
    }

    /// Judges a frame by its data.
    #[inline]
    fn data(&mut self, data: &[u8]) -> Result<Verdict, Failure> {
        let data = data.trim_ascii();
        if let [b'{', .., b'}'] = data {
            self.observed.frames += 1;
            return if self.closing || look::is_of_interest(data, &mut self.observed) {
                self.read(data)
            } else {
                Ok(Verdict::Pass)
            };
        }
        match data {
            b"[DONE]" => {
                self.observed.done = true;
                self.ended = true;
                Ok(if self.options.usage_chunk == UsageChunk::Apart { Verdict::Drop } else { Verdict::Pass })
            }
            b"" => Ok(Verdict::Drop),
            _ => Err(broken().with_detail("an event's data is not a JSON object")),
        }
    }

    /// Parses a chunk that may matter.
    fn read(&mut self, data: &[u8]) -> Result<Verdict, Failure> {
        let meaning = Meaning::read(data).map_err(|fault| broken().with_detail(fault.to_string()))?;
        self.observed.content |= meaning.content;
        self.observed.finish_reason |= meaning.finish_reason;
        self.observed.usage = meaning.usage.or(self.observed.usage);
        if meaning.error {
            self.observed.error = true;
            self.ended = true;
            return Ok(Verdict::Pass);
        }
        let Some(choices) = meaning.usage_only else {
            return Ok(Verdict::Pass);
        };
        Ok(match self.options.usage_chunk {
            UsageChunk::Pass => choices.mend(data).map_or(Verdict::Pass, Verdict::Replace),
            UsageChunk::Drop => Verdict::Drop,
            UsageChunk::Apart => Verdict::Apart(choices.mend(data)),
        })
    }
}

/// What has passed of a block: a run of it for as long as that is enough, then a copy.
#[derive(Default)]
struct Passed {
    run: Range<usize>,
    copy: Option<BytesMut>,
}

impl Passed {
    fn keep(&mut self, block: &Bytes, frame: Range<usize>) {
        match &mut self.copy {
            None if self.run.is_empty() => self.run = frame,
            None if self.run.end == frame.start => self.run.end = frame.end,
            _ => self.replace(block, block.get(frame).unwrap_or_default()),
        }
    }

    fn replace(&mut self, block: &Bytes, frame: &[u8]) {
        let run = block.get(self.run.clone()).unwrap_or_default();
        self.copy.get_or_insert_with(|| BytesMut::from(run)).extend_from_slice(frame);
    }

    fn finish(self, block: Bytes) -> Bytes {
        match self.copy {
            Some(copy) => copy.freeze(),
            None if self.run.len() == block.len() => block,
            None => block.slice(self.run),
        }
    }
}

#[cold]
fn broken() -> Failure {
    Failure::new(Kind::Provider, "The provider sent a stream that makes no sense.")
        .with_code("provider_stream_broken")
}

#[cold]
fn cut_off() -> Failure {
    Failure::new(Kind::Provider, "The provider's stream was cut off before its end.")
        .with_code("provider_stream_cut")
}
