//! Edits to a body that keep every other byte.
//!
//! A body is not re-serialised: the gateway changes the bytes of a model's name or adds a member,
//! and everything round about, white space and unknown fields included, stays as the caller wrote
//! it. Where an edit goes is found by [`crate::json`].

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

/// Bodies up to this size are copied into one segment: one small write is cheaper than three.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// A range of the body and what stands there instead. An empty range inserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Byte offsets in the body.
    pub range: Range<usize>,
    /// What stands there instead.
    pub with: Bytes,
}

/// A body after its edits: segments to be sent one after another.
#[derive(Clone, Debug, Default)]
pub struct Spliced {
    /// The segments, none of them empty.
    pub segments: SmallVec<[Bytes; 5]>,
    len: usize,
}

impl Spliced {
    /// Bytes in all segments: the `content-length`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole body in one piece; copies only where there are several segments.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if self.segments.len() == 1 {
            return self.segments.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.len);
        for segment in &self.segments {
            whole.put_slice(segment);
        }
        whole.freeze()
    }

    fn push(&mut self, segment: Bytes) {
        if !segment.is_empty() {
            self.len += segment.len();
            self.segments.push(segment);
        }
    }
}

/// Applies `edits`, which are sorted, do not overlap and lie within `body`.
///
/// Without edits the body comes back as it is, uncopied. A small body (up to 16 KiB) comes as one
/// copied segment; a larger one shares the original's memory. An edit that is out of order or out
/// of bounds is a fault of the code that made it: debug builds stop at it, release builds leave
/// that edit out and keep the body's own bytes.
#[must_use]
pub fn splice(body: &Bytes, edits: &[Edit]) -> Spliced {
    let mut spliced = Spliced::default();
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    if edits.is_empty() || body.len() + added > COPIED_BYTES_MAX {
        walk(body.len(), edits, |piece| {
            spliced.push(match piece {
                Piece::Kept(range) => body.slice(range),
                Piece::New(with) => with.clone(),
            });
        });
    } else {
        let mut copy = Vec::with_capacity(body.len() + added);
        walk(body.len(), edits, |piece| {
            copy.extend_from_slice(match piece {
                Piece::Kept(range) => body.get(range).unwrap_or_default(),
                Piece::New(with) => with,
            });
        });
        spliced.push(copy.into());
    }
    spliced
}

/// What an edited body is made of, piece by piece.
enum Piece<'e> {
    Kept(Range<usize>),
    New(&'e Bytes),
}

fn walk<'e>(length: usize, edits: &'e [Edit], mut each: impl FnMut(Piece<'e>)) {
    let mut kept = 0;
    for edit in edits {
        let Range { start, end } = edit.range;
        let fits = kept <= start && start <= end && end <= length;
        debug_assert!(fits, "edits are sorted, apart and in bounds");
        if fits {
            each(Piece::Kept(kept..start));
            each(Piece::New(&edit.with));
            kept = end;
        }
    }
    each(Piece::Kept(kept..length));
}

/// `s` as a JSON string, quoted and escaped.
#[must_use]
pub fn json_string(s: &str) -> Bytes {
    let mut out = Vec::with_capacity(s.len() + 2);
    push_json_string(&mut out, s);
    out.into()
}

/// Appends `s` as a JSON string, quoted and escaped.
pub fn push_json_string(out: &mut Vec<u8>, s: &str) {
    out.push(b'"');
    let bytes = s.as_bytes();
    let mut kept = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[kept..at]);
        kept = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[kept..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn edit(range: Range<usize>, with: &'static str) -> Edit {
        Edit { range, with: Bytes::from_static(with.as_bytes()) }
    }

    #[test]
    fn edits_change_their_range_and_nothing_else() {
        let body = Bytes::from_static(b"0123456789");
        let cases: &[(&[Edit], &str)] = &[
            (&[], "0123456789"),
            (&[edit(0..0, "<")], "<0123456789"),
            (&[edit(10..10, ">")], "0123456789>"),
            (&[edit(0..10, "")], ""),
            (&[edit(2..5, "x")], "01x56789"),
            (&[edit(2..5, "x"), edit(5..5, "y"), edit(5..6, "z")], "01xyz6789"),
            (&[edit(0..1, "a"), edit(9..10, "b")], "a12345678b"),
        ];
        for (edits, want) in cases {
            let spliced = splice(&body, edits);
            assert_eq!(spliced.len(), want.len());
            assert_eq!(spliced.is_empty(), want.is_empty());
            assert!(spliced.segments.len() <= 1, "a small body is one segment");
            assert_eq!(spliced.into_bytes(), want);
        }
    }

    #[test]
    fn a_body_without_edits_is_not_copied() {
        for length in [1, 10, COPIED_BYTES_MAX + 1] {
            let body = Bytes::from(vec![b'x'; length]);
            let spliced = splice(&body, &[]);
            assert_eq!(spliced.segments[0].as_ptr(), body.as_ptr());
        }
    }

    #[test]
    fn a_large_body_is_shared() {
        let body = Bytes::from(vec![b'x'; COPIED_BYTES_MAX + 1]);
        let spliced = splice(&body, &[edit(3..4, "new"), edit(100..100, "more")]);
        assert_eq!(spliced.segments.len(), 5);
        assert_eq!(spliced.segments[0].as_ptr(), body.as_ptr());
        assert_eq!(spliced.segments[2].as_ptr(), body[4..].as_ptr());
        assert_eq!(spliced.segments[4].as_ptr(), body[100..].as_ptr());
        assert_eq!(spliced.len(), body.len() + 6);
        assert_eq!(spliced.into_bytes().len(), body.len() + 6);
    }

    #[test]
    fn a_string_is_escaped_as_a_reader_expects() {
        let all: String = (0..0x250).filter_map(char::from_u32).collect();
        for text in ["", "gpt-4o", "a\"b\\c/d", "\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}", "潮\u{2028}😀", &all]
        {
            let json = json_string(text);
            assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
            assert!(crate::json::validate(&json).is_ok());
        }
        assert_eq!(json_string("a\u{1}\""), r#""a\u0001\"""#);
    }
}
