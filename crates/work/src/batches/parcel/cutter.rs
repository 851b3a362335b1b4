//! Lines of a file that comes piece by piece: what of a line has no end yet is held, up to a bound.

/// Bytes that a line may have; whatever is longer is left out.
const LINE_BYTES_MAX: usize = 64 << 20;

/// What is left of a line that has not ended.
#[derive(Default)]
pub(super) struct Cutter {
    held: Vec<u8>,
    is_too_long: bool,
}

impl Cutter {
    /// Hands each line that ends in this piece to `take`.
    pub(super) fn cut(&mut self, piece: &[u8], mut take: impl FnMut(&[u8])) {
        let mut rest = piece;
        while let Some(len) = memchr::memchr(b'\n', rest) {
            let line = &rest[..len];
            if self.held.is_empty() && !self.is_too_long {
                take(line);
            } else {
                self.hold(line);
                self.end(&mut take);
            }
            rest = &rest[len + 1..];
        }
        self.hold(rest);
    }

    /// Hands over what was held, which is a line if all of the file has come.
    pub(super) fn end(&mut self, mut take: impl FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        if !std::mem::take(&mut self.is_too_long) && !held.is_empty() {
            take(&held);
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.held.len() + bytes.len() > LINE_BYTES_MAX;
        if self.is_too_long {
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Cutter;

    #[test]
    fn lines_are_cut_alike_wherever_pieces_end() {
        let text = b"one\n\ntwo\r\nthree";
        for size in 1..=text.len() {
            let (mut cutter, mut lines) = (Cutter::default(), Vec::new());
            let mut take = |line: &[u8]| lines.push(String::from_utf8(line.to_vec()).unwrap());
            text.chunks(size).for_each(|piece| cutter.cut(piece, &mut take));
            cutter.end(&mut take);
            lines.retain(|line| !line.is_empty());
            assert_eq!(lines, ["one", "two\r", "three"], "pieces of {size}");
        }
    }
}
