//! Reads events: bytes in, [`Event`]s out.
//!
//! As the standard has it, but for one thing: text is decoded line by line, and a line of bad
//! UTF-8 has its bad bytes replaced. A frame that the stream's end cuts off is thrown away.

use std::borrow::Cow;

use super::{BOM, FRAME_BYTES_MAX, TooLong, field};

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's type; empty where the frame gives none (the standard then says `message`).
    pub event: &'a str,
    /// The lines of data, joined with line feeds.
    pub data: &'a str,
    /// The last id given in this frame or any before it.
    pub id: Option<&'a str>,
    /// The reconnection time in milliseconds, where this frame gives one.
    pub retry: Option<u64>,
}

/// The decoder. Gives the same events however the bytes are cut.
#[derive(Debug)]
pub struct Decoder {
    /// The part of a line whose end has not arrived.
    line: Vec<u8>,
    /// The line before ended with CR: a LF that follows belongs to it.
    after_cr: bool,
    /// Whether the stream's first line has been read.
    started: bool,
    event: String,
    data: String,
    has_data: bool,
    retry: Option<u64>,
    id: Option<String>,
    comments: u64,
    bytes_max: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(FRAME_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder that holds up to `bytes_max` bytes of one event.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            after_cr: false,
            started: false,
            event: String::new(),
            data: String::new(),
            has_data: false,
            retry: None,
            id: None,
            comments: 0,
            bytes_max,
        }
    }

    /// Takes what arrived and hands each event that is whole to `on`.
    ///
    /// # Errors
    /// An event is longer than the limit. Events before it have been handed over.
    pub fn push(&mut self, bytes: &[u8], mut on: impl FnMut(Event<'_>)) -> Result<(), TooLong> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let Some(at) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.line.extend_from_slice(rest);
                return self.check();
            };
            let (line, end) = rest.split_at(at);
            self.after_cr = end.first() == Some(&b'\r');
            rest = end.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.line(line, &mut on);
            } else {
                self.line.extend_from_slice(line);
                let mut whole = std::mem::take(&mut self.line);
                self.line(&whole, &mut on);
                whole.clear();
                self.line = whole;
            }
            self.check()?;
        }
        Ok(())
    }

    /// The stream has ended. False where it ended within an event, which is lost.
    pub fn finish(&mut self) -> bool {
        let between_events = self.line.is_empty() && !self.has_data && self.event.is_empty();
        self.line.clear();
        self.clear_event();
        between_events
    }

    /// Comments read so far; providers send them to keep a connection alive.
    #[must_use]
    pub fn comments(&self) -> u64 {
        self.comments
    }

    fn check(&self) -> Result<(), TooLong> {
        let held = self.line.len() + self.data.len() + self.event.len();
        if held > self.bytes_max { Err(TooLong { bytes_max: self.bytes_max }) } else { Ok(()) }
    }

    fn line(&mut self, line: &[u8], on: &mut impl FnMut(Event<'_>)) {
        let line = if self.started { line } else { line.strip_prefix(BOM).unwrap_or(line) };
        self.started = true;
        if line.is_empty() {
            self.dispatch(on);
            return;
        }
        let Some((name, value)) = field(line) else {
            self.comments += 1;
            return;
        };
        match name {
            b"data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(&text(value));
            }
            b"event" => {
                self.event.clear();
                self.event.push_str(&text(value));
            }
            b"id" if !value.contains(&0) => self.id = Some(text(value).into_owned()),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry = text(value).parse().ok();
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, on: &mut impl FnMut(Event<'_>)) {
        if self.has_data {
            on(Event { event: &self.event, data: &self.data, id: self.id.as_deref(), retry: self.retry });
        }
        self.clear_event();
    }

    fn clear_event(&mut self) {
        self.event.clear();
        self.data.clear();
        self.has_data = false;
        self.retry = None;
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
