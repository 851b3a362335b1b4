//! Server-sent events: the codec of WHATWG HTML, 9.2 ("Server-sent events").
//!
//! Three parts, each incremental and bounded, each giving the same however the bytes are cut:
//! [`Decoder`] reads events, [`Encoder`] writes them, and [`Frames`] splits a stream into raw
//! frames for one who passes them on. What events mean is a protocol's own matter; nothing here
//! reconnects.

mod decode;
mod encode;
mod frames;
#[cfg(test)]
mod tests;

pub use decode::{Decoder, Event};
pub use encode::Encoder;
pub use frames::{Cut, Frames, Whole};

/// Bytes of one frame that are held, unless a limit is given: 1 MiB.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// A frame is longer than the limit. The stream is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {bytes_max} bytes")]
pub struct TooLong {
    /// The limit.
    pub bytes_max: usize,
}

/// The byte order mark that may stand once, before everything else.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Field and value of a line that is not blank; `None` for a comment.
pub(crate) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    match memchr::memchr(b':', line) {
        Some(0) => None,
        Some(at) => {
            let (name, value) = line.split_at(at);
            let value = value.strip_prefix(b":").unwrap_or(value);
            Some((name, value.strip_prefix(b" ").unwrap_or(value)))
        }
        None => Some((line, b"")),
    }
}
