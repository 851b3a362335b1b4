//! The lines of a text of any length, one after another, within constant memory. What they are read from, and on
//! which thread, is the command's own business.

use std::io::{BufRead, Read};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, from 1, blank lines counted.
    pub(super) number: u64,
    /// Its text, without its end; `None`: it is too long and was skipped.
    pub(super) text: Option<Vec<u8>>,
    /// Bytes of the file to its end.
    pub(super) end: u64,
}

/// Takes a text apart into lines.
pub(super) struct Reader<R> {
    source: R,
    bytes_max: usize,
    number: u64,
    end: u64,
}

impl<R: BufRead> Reader<R> {
    /// Of a text from its start. A line of more than `bytes_max` bytes is skipped.
    pub(super) fn new(source: R, bytes_max: usize) -> Self {
        Self::behind(0, 0, source, bytes_max)
    }

    /// Of the rest of a text, behind its line `number`, which ends at byte `end`.
    pub(super) fn behind(number: u64, end: u64, source: R, bytes_max: usize) -> Self {
        Self { source, bytes_max, number, end }
    }

    /// The next line that is not blank; `None` at the end.
    ///
    /// # Errors
    /// The source's own.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            let mut text = Vec::new();
            let within = self.bytes_max as u64 + 1;
            let read = (&mut self.source).take(within).read_until(b'\n', &mut text)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.end += read as u64;
            let whole = text.pop_if(|last| *last == b'\n').is_some() || text.len() <= self.bytes_max;
            if !whole {
                self.end += self.source.skip_until(b'\n')? as u64;
                return Ok(Some(Line { number: self.number, text: None, end: self.end }));
            }
            if self.number == 1 && text.starts_with(BOM) {
                text.drain(..BOM.len());
            }
            if !text.trim_ascii().is_empty() {
                return Ok(Some(Line { number: self.number, text: Some(text), end: self.end }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    /// Number, text and end of each line, of lines of at most 5 bytes.
    fn lines(text: &[u8]) -> Vec<(u64, Option<String>, u64)> {
        let mut reader = Reader::new(text, 5);
        std::iter::from_fn(|| reader.next().unwrap())
            .map(|line| (line.number, line.text.map(|text| String::from_utf8(text).unwrap()), line.end))
            .collect()
    }

    #[test]
    fn lines_are_counted_and_blank_ones_left_out() {
        let line = |number, text: &str, end| (number, Some(text.to_owned()), end);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n \n\r\n"), []);
        assert_eq!(lines(b"a\nb"), [line(1, "a", 2), line(2, "b", 3)]);
        assert_eq!(lines(b"a\r\n\n b\n"), [line(1, "a\r", 3), line(3, " b", 7)]);
        assert_eq!(lines(b"\xef\xbb\xbfab\ncd"), [line(1, "ab", 6), line(2, "cd", 8)]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_whole() {
        let kept = |number, text: &str, end| (number, Some(text.to_owned()), end);
        assert_eq!(lines(b"12345\n123456\nabc"), [kept(1, "12345", 6), (2, None, 13), kept(3, "abc", 16)]);
        assert_eq!(lines(b"12345678901234567"), [(1, None, 17)]);
        assert_eq!(lines(b"12345"), [kept(1, "12345", 5)]);
    }
}
