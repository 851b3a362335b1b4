//! Splits a stream into raw frames: everything up to a blank line, and that line.
//!
//! A frame's bytes are kept as they came, line ends included. Lines may end with LF, CRLF or CR. A
//! CR at the end of what has arrived is not yet known to be a whole line end, so the frame waits
//! for the next byte: otherwise one stream would fall into other frames when cut elsewhere. (A
//! stream of bare CRs therefore runs one frame late. No provider is known to send one.)

use bytes::{Buf, Bytes, BytesMut};
use smallvec::SmallVec;

use super::{BOM, FRAME_BYTES_MAX, TooLong};

/// The splitter: holds the part of a frame whose end has not arrived.
#[derive(Debug)]
pub struct Frames {
    held: BytesMut,
    search: Search,
    /// Whether it is known if the stream begins with a byte order mark.
    started: bool,
    bytes_max: usize,
    too_long: bool,
}

/// Whole frames, one after another in one piece.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// The frames' bytes, without a gap.
    pub block: Bytes,
    /// Where each frame ends.
    pub cuts: SmallVec<[Cut; 4]>,
}

/// One frame's place in [`Whole::block`]. It begins where the one before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Behind the frame's blank line.
    pub end: usize,
    /// Where the first line's text ends, without its line end.
    pub first_line: usize,
    /// Whether that line is the only one before the blank line.
    pub one_line: bool,
}

impl Whole {
    /// The raw frames.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.cuts.iter().map(move |cut| {
            let frame = self.block.get(start..cut.end).unwrap_or_default();
            start = cut.end;
            frame
        })
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new(FRAME_BYTES_MAX)
    }
}

impl Frames {
    /// A splitter for frames of up to `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { held: BytesMut::new(), search: Search::default(), started: false, bytes_max, too_long: false }
    }

    /// Takes what arrived and gives the frames that are whole by now. A chunk of whole frames comes
    /// back as it is, without a copy.
    ///
    /// A frame over the limit ends the stream: the frames before it are still given, nothing after
    /// them, and [`Frames::check`] tells.
    pub fn push(&mut self, chunk: Bytes) -> Whole {
        if self.too_long {
            return Whole::default();
        }
        let mut chunk = if self.held.is_empty() {
            chunk
        } else {
            self.held.extend_from_slice(&chunk);
            Bytes::new()
        };
        if !self.started {
            self.skip_bom(&mut chunk);
        }
        let bytes: &[u8] = if self.held.is_empty() { &chunk } else { &self.held };
        let mut cuts = SmallVec::new();
        self.too_long = !self.search.run(bytes, self.bytes_max, false, &mut cuts);
        let block = self.split(chunk, &cuts);
        if self.held.len() > self.bytes_max {
            self.too_long = true;
        }
        if self.too_long {
            self.held.clear();
        }
        Whole { block, cuts }
    }

    /// The stream has ended: gives the frame that waited behind its last CR, if there is one. What
    /// [`Frames::held`] has afterwards is half a frame.
    pub fn finish(&mut self) -> Whole {
        let mut cuts = SmallVec::new();
        self.too_long |= !self.search.run(&self.held, self.bytes_max, true, &mut cuts);
        let block = self.split(Bytes::new(), &cuts);
        Whole { block, cuts }
    }

    /// Whether the stream is still of use.
    ///
    /// # Errors
    /// A frame was longer than the limit, or is already, before its end has come.
    pub fn check(&self) -> Result<(), TooLong> {
        if self.too_long { Err(TooLong { bytes_max: self.bytes_max }) } else { Ok(()) }
    }

    /// What is held of a frame whose end has not arrived.
    #[must_use]
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    fn skip_bom(&mut self, chunk: &mut Bytes) {
        let first: &[u8] = if self.held.is_empty() { chunk } else { &self.held };
        if first.len() < BOM.len() && BOM.starts_with(first) {
            // Not decided yet. Nothing is lost: these bytes hold no line end.
            return;
        }
        self.started = true;
        if !first.starts_with(BOM) {
            return;
        }
        self.search = Search::default();
        if self.held.is_empty() {
            chunk.advance(BOM.len());
        } else {
            self.held.advance(BOM.len());
        }
    }

    /// Gives everything up to the last cut and holds the rest. `chunk` is empty where its bytes are
    /// held already.
    fn split(&mut self, mut chunk: Bytes, cuts: &[Cut]) -> Bytes {
        let end = cuts.last().map_or(0, |cut| cut.end);
        let block = if self.held.is_empty() {
            let block = chunk.split_to(end);
            self.held.extend_from_slice(&chunk);
            block
        } else {
            self.held.split_to(end).freeze()
        };
        self.search.rebase(end);
        block
    }
}

/// How far the search for a frame's end has come. Offsets count from the frame's beginning.
#[derive(Debug, Default)]
struct Search {
    /// Where the line being read begins.
    line: usize,
    /// Up to here there is no line end after `line`.
    done: usize,
    /// Where the frame's first line ends, once it has.
    first_line: Option<usize>,
    /// Whether other lines have followed it.
    more_lines: bool,
}

impl Search {
    /// Finds the ends of frames in `bytes`, going on where the last search stopped. `ended`: nothing
    /// follows `bytes`. False where a frame is longer than `bytes_max`.
    fn run(&mut self, bytes: &[u8], bytes_max: usize, ended: bool, cuts: &mut SmallVec<[Cut; 4]>) -> bool {
        let mut frame = 0;
        loop {
            let rest = bytes.get(self.done..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.done = bytes.len();
                return true;
            };
            let at = self.done + found;
            let next = match (rest.get(found), rest.get(found + 1)) {
                (Some(b'\n'), _) => at + 1,
                (_, Some(b'\n')) => at + 2,
                (_, Some(_)) => at + 1,
                (_, None) if ended => at + 1,
                (_, None) => {
                    self.done = at;
                    return true;
                }
            };
            if at == self.line {
                if next - frame > bytes_max {
                    return false;
                }
                let first_line = self.first_line.take();
                cuts.push(Cut {
                    end: next,
                    first_line: first_line.unwrap_or(at),
                    one_line: first_line.is_some() && !self.more_lines,
                });
                self.more_lines = false;
                frame = next;
            } else if self.first_line.is_none() {
                self.first_line = Some(at);
            } else {
                self.more_lines = true;
            }
            (self.line, self.done) = (next, next);
        }
    }

    /// `end` bytes were given away.
    fn rebase(&mut self, end: usize) {
        self.line = self.line.saturating_sub(end);
        self.done = self.done.saturating_sub(end);
        self.first_line = self.first_line.map(|at| at.saturating_sub(end));
    }
}
