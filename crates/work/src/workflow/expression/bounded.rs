//! What an evaluation gives, up to a bound.

use std::io;

use serde_json::Value;

use super::VALUE_BYTES_MAX;

pub(super) const TOO_LONG: &str = "gives more than 8 MiB";

/// Bytes that stop where there are too many.
#[derive(Default)]
pub(super) struct Written {
    bytes: Vec<u8>,
    full: bool,
}

impl Written {
    /// Whether more was written than there is room for.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn into_text(self) -> Result<String, String> {
        String::from_utf8(self.bytes).map_err(|_| "gives no text".to_owned())
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > VALUE_BYTES_MAX {
            self.full = true;
            return Err(io::Error::other(TOO_LONG));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The value as JSON. A list can be lazy and longer than memory, so it is written before it is built.
pub(super) fn to_json(value: &minijinja::Value) -> Result<Value, String> {
    let mut written = Written::default();
    let done = serde_json::to_writer(&mut written, value);
    if written.is_full() {
        return Err(TOO_LONG.to_owned());
    }
    done.and_then(|()| serde_json::from_slice(&written.bytes))
        .map_err(|error| format!("gives what JSON cannot hold: {error}"))
}
