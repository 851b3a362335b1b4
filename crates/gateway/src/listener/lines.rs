//! Refuses a request's head whose lines end otherwise than in CR LF.
//!
//! The parser behind takes a bare LF for a line's end, as RFC 9112 (section 2.2) allows. Another
//! server on the way may not, and would then see another request in the same bytes; a head that can
//! be read in two ways is not read at all. Only what arrives while no request is under way is looked
//! at: bytes pipelined behind a request are answered on their own, after it.

/// Follows one head as it arrives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    /// The head's last bytes so far, newest last: enough to know the blank line.
    last: [u8; 3],
    /// The blank line has passed; what follows is the body.
    ended: bool,
}

impl Lines {
    /// Takes the next bytes; `false` where a line of the head ends in a bare LF.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        if self.ended {
            return true;
        }
        for at in memchr::memchr_iter(b'\n', bytes) {
            let before = |back: usize| match at.checked_sub(back) {
                Some(index) => bytes[index],
                // From what came before: `back` is 3 at most, and so reaches into `last` only.
                None => self.last[3 + at - back],
            };
            if before(1) != b'\r' {
                return false;
            }
            if before(2) == b'\n' && before(3) == b'\r' {
                self.ended = true;
                return true;
            }
        }
        let mut last = [self.last.as_slice(), &bytes[bytes.len().saturating_sub(3)..]].concat();
        last.drain(..last.len() - 3);
        self.last.copy_from_slice(&last);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    /// Whether the bytes are taken, cut in two at every place.
    fn check(bytes: &str, taken: bool) {
        let bytes = bytes.as_bytes();
        for cut in 0..=bytes.len() {
            let mut lines = Lines::default();
            let (first, second) = bytes.split_at(cut);
            assert_eq!(
                lines.take(first) && lines.take(second),
                taken,
                "{:?} cut at {cut}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn a_head_of_whole_lines_is_taken_and_its_body_not_looked_at() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true);
        check("POST / HTTP/1.1\r\nHost: a\r\n\r\n{\n\n\"a\":\n1}\n", true);
        check("POST / HTTP/1.1\r\nHo", true);
    }

    #[test]
    fn a_bare_line_feed_is_refused_wherever_it_stands() {
        check("GET / HTTP/1.1\nHost: a\r\n\r\n", false);
        check("GET / HTTP/1.1\r\nHost: a\n\r\n", false);
        check("GET / HTTP/1.1\r\nHost: a\r\n\n", false);
        check("\nGET / HTTP/1.1\r\n\r\n", false);
    }
}
