//! A remembered answer, sent again.

use super::notes::Notes;
use super::question::Form;
use bytes::Bytes;
use cache::entry::Entry;
use smallvec::{SmallVec, smallvec};

/// The end of a stream, in OpenAI's words.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// An answer ready to send: its notes, and the bytes one after another.
#[derive(Debug)]
pub struct Replay {
    /// What is known of it.
    pub notes: Notes,
    /// The form it has.
    pub form: Form,
    /// Its bytes.
    pub segments: SmallVec<[Bytes; 2]>,
    /// Whether the bytes are a zstd frame.
    pub compressed: bool,
}

impl Replay {
    /// The answer as a caller wants it. A stream is stored whole, with its usage chunk and its end; whoever
    /// did not ask for usage gets what stands before it, and the end. A whole answer that is held compressed
    /// goes out so where the caller reads zstd. `None` where the entry is none of ours.
    pub fn of(
        entry: &Entry,
        form: Form,
        usage_to_caller: bool,
        reads_zstd: impl FnOnce() -> bool,
    ) -> Option<Self> {
        let notes = Notes::decode(entry.info.clone())?;
        if form == Form::Whole && entry.body.is_compressed() && reads_zstd() {
            let segments = smallvec![entry.body.held().clone()];
            return Some(Self { notes, form, segments, compressed: true });
        }
        let plain = entry.body.to_plain().ok()?;
        let frames = notes.frames_bytes as usize;
        let segments = match form {
            Form::Whole => smallvec![plain],
            Form::Stream if frames + notes.usage_bytes as usize > plain.len() => return None,
            Form::Stream if usage_to_caller || notes.usage_bytes == 0 => smallvec![plain],
            Form::Stream => smallvec![plain.slice(..frames), Bytes::from_static(DONE)],
        };
        Some(Self { notes, form, segments, compressed: false })
    }
}
