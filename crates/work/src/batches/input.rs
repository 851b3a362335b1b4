//! The lines of a file that lies in pieces: one piece is held at a time, and what of a line has no room in it.

use std::sync::Arc;
use store::files::Files;

/// A file, line by line.
pub(super) struct Input {
    files: Arc<dyn Files>,
    id: String,
    /// Longest line that is held.
    line_max: usize,
    piece: Vec<u8>,
    /// The number of the next piece.
    next: u32,
    /// What of the piece is read.
    at: usize,
    /// Bytes before the piece.
    before: u64,
    /// What came of the present line before the piece.
    held: Vec<u8>,
    is_too_long: bool,
    is_held: bool,
    /// Lines so far.
    lines: u64,
}

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut<'a> {
    /// What stands in it, without its line feed; `None`: too much.
    pub text: Option<&'a [u8]>,
    /// Which it is, from 1.
    pub number: u64,
    /// The byte that comes after it.
    pub end: u64,
}

impl Cut<'_> {
    /// Whether nothing stands in it.
    pub fn is_blank(&self) -> bool {
        self.text.is_some_and(|text| text.trim_ascii().is_empty())
    }
}

impl Input {
    pub fn new(files: Arc<dyn Files>, id: &str, line_max: usize) -> Self {
        Self {
            files,
            id: id.to_owned(),
            line_max,
            piece: Vec::new(),
            next: 0,
            at: 0,
            before: 0,
            held: Vec::new(),
            is_too_long: false,
            is_held: false,
            lines: 0,
        }
    }

    /// The next line; `None` after the last. A line feed at the very end begins no other line.
    pub async fn line(&mut self) -> store::Result<Option<Cut<'_>>> {
        if self.is_held {
            self.held = Vec::new();
            (self.is_held, self.is_too_long) = (false, false);
        }
        loop {
            if let Some(len) = memchr::memchr(b'\n', &self.piece[self.at..]) {
                return Ok(Some(self.cut(len, 1)));
            }
            let rest = self.piece.len() - self.at;
            match self.files.read(&self.id, self.next).await? {
                Some(piece) => {
                    self.hold(rest);
                    self.before += self.piece.len() as u64;
                    (self.piece, self.at, self.next) = (piece, 0, self.next + 1);
                }
                None if rest == 0 && !self.is_held => return Ok(None),
                None => return Ok(Some(self.cut(rest, 0))),
            }
        }
    }

    /// Bytes read so far.
    pub fn byte(&self) -> u64 {
        self.before + self.at as u64
    }

    /// The line that ends after so many more bytes, and with so many that are not of it.
    fn cut(&mut self, len: usize, feed: usize) -> Cut<'_> {
        let begin = self.at;
        if self.is_held {
            self.hold(len);
        }
        self.at = begin + len + feed;
        self.lines += 1;
        let text = if self.is_held { &self.held } else { &self.piece[begin..begin + len] };
        let is_too_long = self.is_too_long || text.len() > self.line_max;
        Cut { text: (!is_too_long).then_some(text), number: self.lines, end: self.before + self.at as u64 }
    }

    /// Keeps so many more bytes of the present line, unless it is too long.
    fn hold(&mut self, len: usize) {
        if len == 0 {
            return;
        }
        self.is_held = true;
        self.is_too_long |= self.held.len() + len > self.line_max;
        if self.is_too_long {
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(&self.piece[self.at..self.at + len]);
        }
    }
}

#[cfg(test)]
mod tests;
