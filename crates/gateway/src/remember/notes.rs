//! What is kept beside an answer: enough to send it again and to say what it saved.

use crate::plan::Target;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderValue;
use wire::openai::Usage;

/// The form of these notes; another one is not read.
const VERSION: u8 = 2;
const FIXED_BYTES: usize = 1 + 4 + 4 + 8 + 8 + 8;

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
    /// What it cost, in millionths of a US dollar; 0 where the price is not known.
    pub cost_micro_usd: u64,
    /// `provider/model` that gave it.
    pub target: HeaderValue,
}

impl Notes {
    /// Notes of an answer of one piece.
    #[must_use]
    pub fn of_whole(bytes: usize, usage: Option<&Usage>, target: &Target) -> Self {
        Self::of_stream(bytes, 0, usage, target)
    }

    /// Notes of a stream: the lengths of its frames and of its usage chunk.
    #[must_use]
    pub fn of_stream(frames: usize, usage_chunk: usize, usage: Option<&Usage>, target: &Target) -> Self {
        let cost_micro_usd = target.cost(usage).unwrap_or_default();
        let usage = usage.copied().unwrap_or_default();
        Self {
            frames_bytes: u32::try_from(frames).unwrap_or(u32::MAX),
            usage_bytes: u32::try_from(usage_chunk).unwrap_or(u32::MAX),
            input_tokens: usage.input,
            output_tokens: usage.output,
            cost_micro_usd,
            target: target.header.clone(),
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
        out.put_u64_le(self.cost_micro_usd);
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
            cost_micro_usd: bytes.get_u64_le(),
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

    #[test]
    fn what_is_written_is_read() {
        let notes = Notes {
            frames_bytes: 1234,
            usage_bytes: 56,
            input_tokens: 7,
            output_tokens: u64::MAX,
            cost_micro_usd: 8,
            target: HeaderValue::from_static("openai/gpt-4o"),
        };
        assert_eq!(Notes::decode(notes.encode()), Some(notes));
    }

    #[test]
    fn other_bytes_are_no_notes() {
        let notes = Notes {
            frames_bytes: 1,
            usage_bytes: 0,
            input_tokens: 0,
            output_tokens: 0,
            cost_micro_usd: 0,
            target: HeaderValue::from_static("a/b"),
        };
        let notes = notes.encode();
        for length in 0..33 {
            assert_eq!(Notes::decode(notes.slice(..length)), None);
        }
        let mut other = notes.to_vec();
        other[0] = 9;
        assert_eq!(Notes::decode(Bytes::from(other)), None);
    }
}
