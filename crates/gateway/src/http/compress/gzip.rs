//! Gzip for whoever sends one body after another and is in a hurry: the encoder is kept between them.

use flate2::{Compress, Compression, FlushCompress, Status};

/// Of an encoder's windows, 32 KiB, the largest.
const WINDOW_BITS: u8 = 15;

/// An encoder: quick, not dense. Its tables are 300 KB, which it has for as long as it lives, as to make them anew
/// for a body of as many bytes takes a third as long as encoding it.
#[derive(Debug)]
pub struct Gzip(Compress);

impl Default for Gzip {
    fn default() -> Self {
        Self(Compress::new_gzip(Compression::fast(), WINDOW_BITS))
    }
}

impl Gzip {
    /// Encodes a whole body; `None` where that fails or it got no smaller.
    pub fn encode(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        self.0.reset();
        let mut encoded = Vec::with_capacity(body.len() / 4);
        loop {
            let rest = body.get(usize::try_from(self.0.total_in()).ok()?..)?;
            if self.0.compress_vec(rest, &mut encoded, FlushCompress::Finish).ok()? == Status::StreamEnd {
                return (encoded.len() < body.len()).then_some(encoded);
            }
            if encoded.len() >= body.len() {
                return None;
            }
            encoded.reserve(body.len() / 4 + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Gzip;
    use std::io::Read as _;

    #[test]
    fn one_body_after_another_is_read_as_it_was() {
        let mut gzip = Gzip::default();
        // More than the quarter of it that there is room for at first.
        let dense =
            |number: u32| [&number.wrapping_mul(2_654_435_761).to_le_bytes()[..], b"and words"].concat();
        let dense: Vec<u8> = (0..20_000).flat_map(dense).collect();
        let text = "a trace, and ".repeat(10);
        for body in [text.as_bytes(), &[7; 100_000], &dense] {
            let encoded = gzip.encode(body).unwrap();
            assert!(encoded.len() < body.len());
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(&*encoded).read_to_end(&mut read).unwrap();
            assert!(read == body);
        }
    }

    #[test]
    fn what_gets_no_smaller_is_left_as_it_is() {
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(10_000).collect();
        let mut gzip = Gzip::default();
        assert_eq!(gzip.encode(&noise), None);
        assert_eq!(gzip.encode(b""), None);
        assert!(gzip.encode(&[0; 100]).is_some(), "and the next one is encoded as ever");
    }
}
