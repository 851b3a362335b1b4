//! The lines of a file of any length, one after another, within constant memory.
//!
//! They are read on a thread of their own and handed over through a short channel: a file on a slow disk, or a
//! pipe that nobody writes to, must not hold up the requests under way.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::thread;

use tokio::sync::mpsc::{self, Receiver, Sender};

/// Longest line: well above the largest body that a gateway takes by default.
pub(super) const LINE_BYTES_MAX: usize = 16 << 20;
/// Lines read ahead.
const AHEAD: usize = 4;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, from 1, blank lines counted.
    pub(super) number: u64,
    /// Its text, without its end; `None`: it is longer than [`LINE_BYTES_MAX`] and was skipped.
    pub(super) text: Option<Vec<u8>>,
    /// Bytes of the file to its end.
    pub(super) end: u64,
}

/// The lines to come, and how many bytes there are in all, where that is known.
pub(super) struct Lines {
    /// Each line, or what keeps the rest from being read.
    pub(super) ahead: Receiver<std::io::Result<Line>>,
    /// Length of the file.
    pub(super) bytes: Option<u64>,
}

/// Opens a file, or standard input where it is named `-`.
pub(super) fn open(path: &Path) -> std::io::Result<Lines> {
    if path.as_os_str() == "-" {
        return Ok(Lines { ahead: read_ahead(std::io::stdin())?, bytes: None });
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    Ok(Lines { ahead: read_ahead(file)?, bytes: about.is_file().then_some(about.len()) })
}

fn read_ahead(source: impl Read + Send + 'static) -> std::io::Result<Receiver<std::io::Result<Line>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    // Left to itself at an early end: it may wait for a pipe for ever.
    thread::Builder::new().name("prompts".to_owned()).spawn(move || hand_over(source, &sender))?;
    Ok(receiver)
}

fn hand_over(source: impl Read, receiver: &Sender<std::io::Result<Line>>) {
    let mut reader = Reader::new(BufReader::new(source), LINE_BYTES_MAX);
    while let Some(line) = reader.next().transpose() {
        let failed = line.is_err();
        if receiver.blocking_send(line).is_err() || failed {
            return;
        }
    }
}

/// Takes a text apart into lines.
struct Reader<R> {
    source: R,
    bytes_max: usize,
    number: u64,
    end: u64,
}

impl<R: BufRead> Reader<R> {
    fn new(source: R, bytes_max: usize) -> Self {
        Self { source, bytes_max, number: 0, end: 0 }
    }

    /// The next line that is not blank; `None` at the end.
    fn next(&mut self) -> std::io::Result<Option<Line>> {
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
