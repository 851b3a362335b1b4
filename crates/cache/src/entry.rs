//! What is stored: an answer's bytes and what must be known of it. Its form at rest is in [`codec`].

pub mod codec;
#[cfg(test)]
mod tests;

use crate::clock::Millis;
use crate::epochs::{Stamp, Tag};
use bytes::Bytes;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::RefCell;
use std::io;
use std::time::Duration;
use zstd::bulk::{Compressor, Decompressor};

/// Most bytes of an answer that is stored, before compression.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// Most bytes of [`Entry::info`].
pub const INFO_BYTES_MAX: usize = 64 << 10;
/// Most tags of an entry. One with more is expired from the start: a tag that is not kept could not
/// invalidate it.
pub const TAGS_MAX: usize = 64;

/// The level that stored answers are compressed with: fast, and within a few per cent of the default.
const LEVEL: i32 = 1;
/// How far an expiry strays, as a share of the time to live, so that what was filled together does not
/// expire together.
const JITTER: f64 = 0.1;

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The answer, ready to send.
    pub body: Body,
    /// What the one who stored it must know when it is read; opaque here. At most [`INFO_BYTES_MAX`].
    pub info: Bytes,
    /// When it was made.
    pub stored_at: Millis,
    /// Until when it may be served as it is.
    pub fresh_until: Millis,
    /// Until when it may be served while somebody fetches a new one; not before `fresh_until`.
    pub stale_until: Millis,
    /// What had been invalidated when its making began.
    pub stamp: Stamp,
    /// What it is invalidated by. At most [`TAGS_MAX`].
    pub tags: SmallVec<[Tag; 4]>,
}

/// Bytes, plain or compressed with zstd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    bytes: Bytes,
    plain_len: u32,
    compressed: bool,
}

/// How long an answer may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// As it is.
    pub fresh: Duration,
    /// Beyond that, while somebody fetches a new one.
    pub stale: Duration,
}

impl Entry {
    /// An answer made now. Its life is shortened or lengthened by up to a tenth.
    #[must_use]
    pub fn new(body: Bytes, info: Bytes, lifetime: Lifetime, stamp: Stamp, tags: &[Tag]) -> Self {
        let now = Millis::now();
        let (fresh_until, stale_until) = if tags.len() > TAGS_MAX {
            (now, now)
        } else {
            let fresh_until = now.after(jittered(lifetime.fresh));
            (fresh_until, fresh_until.after(lifetime.stale))
        };
        Self {
            body: Body::plain(body),
            info,
            stored_at: now,
            fresh_until,
            stale_until,
            stamp,
            tags: tags.into(),
        }
    }

    /// Whether it may be served as it is.
    #[must_use]
    pub fn is_fresh(&self, now: Millis) -> bool {
        now < self.fresh_until
    }

    /// Whether it may not be served any more.
    #[must_use]
    pub fn is_expired(&self, now: Millis) -> bool {
        now >= self.stale_until
    }

    /// How old it is.
    #[must_use]
    pub fn age(&self, now: Millis) -> Duration {
        now.since(self.stored_at)
    }

    /// Memory it holds, about, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.body.bytes.len() + self.info.len() + size_of_val(&*self.tags)
    }
}

/// Shortened or lengthened by up to [`JITTER`]; what is too long for that is forever.
fn jittered(life: Duration) -> Duration {
    let seconds = life.as_secs_f64() * (1.0 + JITTER * (2.0 * fastrand::f64() - 1.0));
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

impl Body {
    /// Bytes as they are.
    ///
    /// Longer ones than [`BODY_BYTES_MAX`] are for the caller to refuse.
    #[must_use]
    pub fn plain(bytes: Bytes) -> Self {
        let plain_len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { bytes, plain_len, compressed: false }
    }

    /// The bytes as they are held.
    #[must_use]
    pub fn held(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether [`Self::held`] is a zstd frame.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Length of the plain bytes.
    #[must_use]
    pub fn plain_len(&self) -> usize {
        self.plain_len as usize
    }

    /// The plain bytes.
    ///
    /// # Errors
    /// Where what is held is not a frame of the length it says; never for a body that [`Body::compress`]
    /// made.
    pub fn to_plain(&self) -> io::Result<Bytes> {
        if !self.compressed {
            return Ok(self.bytes.clone());
        }
        let plain = decompress(&self.bytes, self.plain_len())?;
        if plain.len() != self.plain_len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame of another length"));
        }
        Ok(plain.into())
    }

    /// The same, compressed where it is longer than `above` bytes and becomes smaller by it.
    #[must_use]
    pub fn compress(&self, above: usize) -> Cow<'_, Self> {
        if self.compressed || self.bytes.len() <= above {
            return Cow::Borrowed(self);
        }
        match compress(&self.bytes) {
            Ok(frame) if frame.len() < self.bytes.len() => {
                Cow::Owned(Self { bytes: frame.into(), plain_len: self.plain_len, compressed: true })
            }
            _ => Cow::Borrowed(self),
        }
    }
}

thread_local! {
    /// What zstd works with, one a thread: to make one costs more than to compress a short answer.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let mut compressor = kept.take().map_or_else(|| Compressor::new(LEVEL), Ok)?;
        let frame = compressor.compress(plain)?;
        *kept = Some(compressor);
        Ok(frame)
    })
}

fn decompress(frame: &[u8], length: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let mut decompressor = kept.take().map_or_else(Decompressor::new, Ok)?;
        let plain = decompressor.decompress(frame, length)?;
        *kept = Some(decompressor);
        Ok(plain)
    })
}
