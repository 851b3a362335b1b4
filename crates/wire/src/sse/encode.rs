//! Writes events such that no text can forge one.
//!
//! A line end within a value would begin a new field, so data is split into lines of its own and
//! every other value has its line ends replaced by spaces.

use bytes::Bytes;

/// Collects frames. Made for events of our own; what a provider sent is passed on as it came.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// An encoder with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event: an `event:` line where it has a name, then its data. Each LF, CRLF or CR in
    /// `data` begins a new `data:` line, and a reader joins the lines with LF.
    #[must_use]
    pub fn event(mut self, name: Option<&str>, data: &str) -> Self {
        if let Some(name) = name {
            self.field(b"event: ", name.as_bytes());
        }
        let mut rest = data.as_bytes();
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            let (line, end) = rest.split_at(at);
            self.field(b"data: ", line);
            let length = if end.starts_with(b"\r\n") { 2 } else { 1 };
            rest = end.get(length..).unwrap_or_default();
        }
        self.field(b"data: ", rest);
        self.out.push(b'\n');
        self
    }

    /// Adds a comment, which readers skip: `: ping`.
    #[must_use]
    pub fn comment(mut self, text: &str) -> Self {
        self.field(b": ", text.as_bytes());
        self.out.push(b'\n');
        self
    }

    /// All frames added.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.out.into()
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.out.extend_from_slice(name);
        self.out.extend(value.iter().map(|&b| if b == b'\n' || b == b'\r' { b' ' } else { b }));
        self.out.push(b'\n');
    }
}
