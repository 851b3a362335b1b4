//! The frames of a stream that is in memory as a whole.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::openai::stream::frame::Lines;
use crate::sse::{Cut, Frames};

/// A frame that has data.
pub(super) struct Frame<'a> {
    /// Where it stands, its blank line included.
    pub(super) at: Range<usize>,
    /// Its data, trimmed; never empty.
    pub(super) data: Cow<'a, [u8]>,
}

/// The frames with data, in their order. `None` where `bytes` are more, or other, than whole
/// frames. (A last frame that ends with a lone CR is not known to be whole: see [`Frames`].)
pub(super) fn with_data(bytes: &Bytes) -> Option<impl Iterator<Item = Frame<'_>>> {
    let whole = Frames::default().push(bytes.clone());
    if whole.block.len() != bytes.len() {
        return None;
    }
    let mut start = 0;
    Some(whole.cuts.into_iter().filter_map(move |cut| {
        let at = std::mem::replace(&mut start, cut.end)..cut.end;
        let data = data(bytes.get(at.clone())?, at.start, &cut)?;
        (!data.is_empty()).then_some(Frame { at, data })
    }))
}

/// The data of a frame which begins at `start`.
fn data<'a>(frame: &'a [u8], start: usize, cut: &Cut) -> Option<Cow<'a, [u8]>> {
    if cut.one_line
        && let Some(line) = frame.get(..cut.first_line - start)
        && let Some(data) = line.strip_prefix(b"data:")
    {
        return Some(Cow::Borrowed(data.trim_ascii()));
    }
    let data = Lines::read(frame).data?;
    Some(Cow::Owned(data.trim_ascii().to_vec()))
}
