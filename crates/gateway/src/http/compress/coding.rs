//! The codings themselves: a whole body in, its encoded form out.

use http::header::HeaderValue;
use std::io::{Result, Write};

/// A coding of the registry of RFC 9110, section 8.4.1, that Tidegate can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `zstd`, RFC 8878.
    Zstd,
    /// `br`, RFC 7932.
    Brotli,
    /// `gzip`, RFC 1952.
    Gzip,
    /// `deflate`: in HTTP that is the zlib format, RFC 1950, and not the bare one of its name.
    Deflate,
}

/// Up to here a body is encoded on the thread that serves it: at most two milliseconds.
pub(super) const SMALL_BYTES_MAX: usize = 64 << 10;
/// Beyond here only speed counts.
pub(super) const LARGE_BYTES_MAX: usize = 8 << 20;

impl Coding {
    /// All of them, best first: quickest for its result.
    pub const ALL: [Self; 4] = [Self::Zstd, Self::Brotli, Self::Gzip, Self::Deflate];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The coding of this name, in any case; `x-gzip` is an old name of `gzip`.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
    }

    /// What `content-encoding` says.
    pub(super) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// The coding's own level for a body of so many bytes: the densest that is still quick. One step more
    /// saves a hundredth of a text and costs a third of the time.
    fn level(self, bytes: usize) -> u8 {
        match (self, bytes) {
            (_, ..=SMALL_BYTES_MAX) => 3,
            (Self::Zstd, _) => 1,
            // No slower than the two levels below, and far denser.
            (Self::Brotli, _) => 2,
            (Self::Gzip | Self::Deflate, ..=LARGE_BYTES_MAX) => 2,
            (Self::Gzip | Self::Deflate, _) => 1,
        }
    }

    /// Encodes a whole body.
    ///
    /// # Errors
    /// Those of the library; writing to memory has none of its own.
    pub(super) fn encode(self, bytes: &[u8]) -> Result<Vec<u8>> {
        let level = self.level(bytes.len());
        // Text leaves less than half; whatever leaves more makes room for itself.
        let room = || Vec::with_capacity(bytes.len() / 2);
        match self {
            // Its window is 2 MiB at level 3 and less below; RFC 9659 allows 8.
            Self::Zstd => zstd::bulk::compress(bytes, level.into()),
            Self::Brotli => brotli(bytes, level, room()),
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(room(), flate2::Compression::new(level.into()));
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Deflate => {
                let mut encoder =
                    flate2::write::ZlibEncoder::new(room(), flate2::Compression::new(level.into()));
                encoder.write_all(bytes)?;
                encoder.finish()
            }
        }
    }
}

/// A window just larger than the body, as the encoder clears memory in proportion to it.
fn brotli(mut bytes: &[u8], quality: u8, mut out: Vec<u8>) -> Result<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: quality.into(),
        lgwin: match bytes.len() {
            ..=SMALL_BYTES_MAX => 17,
            _ => 22,
        },
        mode: brotli::enc::backward_references::BrotliEncoderMode::BROTLI_MODE_TEXT,
        size_hint: bytes.len(),
        ..Default::default()
    };
    brotli::BrotliCompress(&mut bytes, &mut out, &params)?;
    Ok(out)
}
