//! A frame of several lines, or of other lines than data: what it says, and what may pass of it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::sse::field;

/// The lines of one raw frame.
pub(in crate::openai) struct Lines {
    /// The lines of data, joined as a reader joins them; `None` where there is none.
    pub(in crate::openai) data: Option<Vec<u8>>,
    /// Whether there are only comments and data, so that the frame may pass as it is.
    pub(in crate::openai) clean: bool,
    /// The comments and data alone, as a frame; `None` where nothing is left.
    pub(in crate::openai) cleaned: Option<Bytes>,
}

impl Lines {
    pub(in crate::openai) fn read(frame: &[u8]) -> Self {
        let mut data: Option<Vec<u8>> = None;
        let mut clean = true;
        let mut kept = BytesMut::new();
        for line in frame.split(|&byte| byte == b'\n' || byte == b'\r') {
            // A blank line: the frame's own end, or the middle of a CRLF.
            if line.is_empty() {
                continue;
            }
            match field(line) {
                None => {}
                Some((b"data", value)) => match &mut data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                    None => data = Some(value.to_vec()),
                },
                Some(_) => {
                    clean = false;
                    continue;
                }
            }
            kept.put_slice(line);
            kept.put_u8(b'\n');
        }
        let cleaned = (!kept.is_empty()).then(|| {
            kept.put_u8(b'\n');
            kept.freeze()
        });
        Self { data, clean, cleaned }
    }
}
