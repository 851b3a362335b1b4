//! Server-sent events out of bytes, the same however they are cut (WHATWG HTML, "Server-sent
//! events"). Only the data of an event is given; names, ids and comments are read over.

/// An event, or a line of one, that grew beyond what is held.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// The most bytes of one line or one event.
const HELD_MAX: usize = 1 << 20;

/// The reader's state between two pieces.
#[derive(Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
}

impl Events {
    /// Takes the next bytes and calls `each` with the data of every event that they complete.
    ///
    /// # Errors
    /// [`TooLong`] as `E`, or what `each` returned; the reader is then of no further use.
    pub(super) fn push<E: From<TooLong>>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let second_half_of_crlf = self.after_cr && end == 0 && bytes[0] == b'\n';
            self.after_cr = bytes[end] == b'\r';
            if !second_half_of_crlf {
                self.line_ends(&bytes[..end], &mut each)?;
            }
            bytes = &bytes[end + 1..];
        }
        if !bytes.is_empty() {
            self.after_cr = false;
            hold(&mut self.line, bytes)?;
        }
        Ok(())
    }

    fn line_ends<E: From<TooLong>>(
        &mut self,
        rest: &[u8],
        each: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.line.is_empty() {
            return self.line(rest, each);
        }
        hold(&mut self.line, rest)?;
        let line = std::mem::take(&mut self.line);
        let done = self.line(&line, each);
        self.line = line;
        self.line.clear();
        done
    }

    fn line<E: From<TooLong>>(
        &mut self,
        line: &[u8],
        each: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                each(&self.data)?;
                self.data.clear();
            }
            return Ok(());
        }
        let value = match line.strip_prefix(b"data") {
            Some([]) => &[],
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            _ => return Ok(()),
        };
        if self.has_data {
            hold(&mut self.data, b"\n")?;
        }
        self.has_data = true;
        hold(&mut self.data, value)?;
        Ok(())
    }
}

fn hold(held: &mut Vec<u8>, more: &[u8]) -> Result<(), TooLong> {
    if held.len() + more.len() > HELD_MAX {
        return Err(TooLong);
    }
    held.extend_from_slice(more);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        let mut seen = Vec::new();
        for piece in pieces {
            events
                .push::<TooLong>(piece, |data| {
                    seen.push(String::from_utf8_lossy(data).into_owned());
                    Ok(())
                })
                .unwrap();
        }
        seen
    }

    #[test]
    fn data_is_given_and_the_rest_read_over() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(read(&[text.as_bytes()]), expected, "{text:?}");
        };
        check("data: a\n\ndata:b\n\n", &["a", "b"]);
        check(": ping\n\ndata: a\n\n", &["a"]);
        check("event: x\nid: 1\nretry: 5\ndata: a\n\n", &["a"]);
        check("event: ping\n\n", &[]);
        check("data: a\ndata: b\n\n", &["a\nb"]);
        check("data\n\n", &[""]);
        check("data:  two spaces\n\n", &[" two spaces"]);
        check("data: a\r\n\r\ndata: b\r\rdata: c\n\n", &["a", "b", "c"]);
        check("dataset: a\n\n", &[]);
        // An event that the end of the stream cuts off is no event.
        check("data: a\n\ndata: [DONE]\n", &["a"]);
    }

    #[test]
    fn the_events_are_the_same_at_every_cut() {
        let text = b": hi\r\ndata: {\"a\":1}\r\n\r\nevent: e\ndata: x\ndata: y\n\ndata: [DONE]\r\r";
        let whole = read(&[text]);
        assert_eq!(whole, ["{\"a\":1}", "x\ny", "[DONE]"]);
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(read(&pieces), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_line_or_an_event_without_end_is_refused() {
        let chunk = vec![b'x'; 1 << 16];
        let mut events = Events::default();
        let refused = (0..100).any(|_| events.push::<TooLong>(&chunk, |_| Ok(())).is_err());
        assert!(refused, "a line of 6 MiB was held");

        let line = [b"data: ".as_slice(), &chunk, b"\n"].concat();
        let mut events = Events::default();
        let refused = (0..100).any(|_| events.push::<TooLong>(&line, |_| Ok(())).is_err());
        assert!(refused, "an event of 6 MiB was held");
    }
}
