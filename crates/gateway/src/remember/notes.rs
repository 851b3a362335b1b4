//! What is kept beside an answer: enough to send it again and to say what it saved.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderValue;
use wire::openai::Usage;

/// The form of these notes; another one is not read.
const VERSION: u8 = 1;
const FIXED_BYTES: usize = 1 + 4 + 4 + 8 + 8;

/// The notes of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notes {
    /// Of a stream: bytes before the usage chunk. Of a whole answer: all of them.
    pub frames_bytes: u32,
    /// Of a stream: bytes of the usage chunk, which may be none.
    pub usage_bytes: u32,
    /// Tokens read and written for it.
    pub input_tokens: u64,
    /// Tokens written for it.
    pub output_tokens: u64,
    /// `provider/model` that gave it.
    pub target: HeaderValue,
}

impl Notes {
    /// Notes of an answer of one piece.
    #[must_use]
    pub fn of_whole(bytes: usize, usage: Option<&Usage>, target: HeaderValue) -> Self {
        Self::of_stream(bytes, 0, usage, target)
    }

    /// Notes of a stream: the lengths of its frames and of its usage chunk.
    #[must_use]
    pub fn of_stream(frames: usize, usage_chunk: usize, usage: Option<&Usage>, target: HeaderValue) -> Self {
        let usage = usage.copied().unwrap_or_default();
        Self {
            frames_bytes: u32::try_from(frames).unwrap_or(u32::MAX),
            usage_bytes: u32::try_from(usage_chunk).unwrap_or(u32::MAX),
            input_tokens: usage.input,
            output_tokens: usage.output,
            target,
        }
    }

    /// As they are stored.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let target = self.target.as_bytes();
        let mut out = BytesMut::with_capacity(FIXED_BYTES + target.len());
        out.put_u8(VERSION);
        out.put_u32_le(self.frames_bytes);
        out.put_u32_le(self.usage_bytes);
        out.put_u64_le(self.input_tokens);
        out.put_u64_le(self.output_tokens);
        out.put_slice(target);
        out.freeze()
    }

    /// The notes that [`Notes::encode`] wrote; `None` for any other bytes. Shares their memory.
    #[must_use]
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < FIXED_BYTES || bytes.get_u8() != VERSION {
            return None;
        }
        Some(Self {
            frames_bytes: bytes.get_u32_le(),
            usage_bytes: bytes.get_u32_le(),
            input_tokens: bytes.get_u64_le(),
            output_tokens: bytes.get_u64_le(),
            target: HeaderValue::from_maybe_shared(bytes).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Notes;
    use bytes::Bytes;
    use http::HeaderValue;
    use wire::openai::Usage;

    #[test]
    fn what_is_written_is_read() {
        let usage = Usage { input: 7, output: u64::MAX, ..Usage::default() };
        let target = HeaderValue::from_static("openai/gpt-4o");
        let notes = Notes::of_stream(1234, 56, Some(&usage), target);
        assert_eq!(Notes::decode(notes.encode()), Some(notes));
    }

    #[test]
    fn other_bytes_are_no_notes() {
        let notes = Notes::of_whole(1, None, HeaderValue::from_static("a/b")).encode();
        for length in 0..25 {
            assert_eq!(Notes::decode(notes.slice(..length)), None);
        }
        let mut other = notes.to_vec();
        other[0] = 9;
        assert_eq!(Notes::decode(Bytes::from(other)), None);
    }
}
