//! An entry's form at rest, for tiers that outlive the process.
//!
//! ```text
//! 0   magic "TGc" and the version of the form, 1
//! 4   flags: 1 = the body is a zstd frame
//! 5   tags, a count
//! 6   two zero bytes
//! 8   stored at, fresh until, stale until, stamp: four u64
//! 40  length of the info, of the plain body, of the body as held: three u32
//! 52  tags: u64 each; the info; the body
//! end 16 bytes of BLAKE3 over the key and everything before
//! ```
//!
//! Numbers are little-endian. The key is in the checksum, so that a whole entry in the wrong place is
//! refused as a torn one is.

use super::{BODY_BYTES_MAX, Body, Entry, INFO_BYTES_MAX, TAGS_MAX};
use crate::clock::Millis;
use crate::epochs::{Stamp, Tag};
use crate::key::Key;
use bytes::{Buf, BufMut, Bytes, BytesMut};

const MAGIC: &[u8; 4] = b"TGc\x01";
const HEAD_BYTES: usize = 52;
const CHECKSUM_BYTES: usize = 16;
const COMPRESSED: u8 = 1;

/// Bytes that are not a whole entry of this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// Another version of the form, or something else altogether.
    #[error("not an entry of this version")]
    Form,
    /// Cut short, or longer than it says.
    #[error("an entry of another length than it says")]
    Length,
    /// Changed, or stored under another key.
    #[error("an entry whose checksum does not hold")]
    Checksum,
}

/// `entry` at rest. One beyond the bounds of [`super`] is written as what [`decode`] refuses: cut to size it
/// would be another entry.
#[must_use]
pub fn encode(key: &Key, entry: &Entry) -> Bytes {
    let (held, info, tags) = (entry.body.held(), &entry.info, &entry.tags);
    let length = HEAD_BYTES + tags.len() * 8 + info.len() + held.len() + CHECKSUM_BYTES;
    let mut out = BytesMut::with_capacity(length);
    out.put_slice(MAGIC);
    out.put_u8(if entry.body.is_compressed() { COMPRESSED } else { 0 });
    out.put_u8(u8::try_from(tags.len()).unwrap_or(u8::MAX));
    out.put_u16_le(0);
    for number in [entry.stored_at.0, entry.fresh_until.0, entry.stale_until.0, entry.stamp.0] {
        out.put_u64_le(number);
    }
    for length in [info.len(), entry.body.plain_len(), held.len()] {
        out.put_u32_le(length as u32);
    }
    for tag in tags {
        out.put_u64_le(tag.0);
    }
    out.put_slice(info);
    out.put_slice(held);
    let checksum = checksum(key, &out);
    out.put_slice(&checksum);
    out.freeze()
}

/// The entry that [`encode`] wrote for this key. Shares the memory of `bytes`.
///
/// # Errors
/// Where a byte is missing, added or changed, or the key is another.
pub fn decode(key: &Key, mut bytes: Bytes) -> Result<Entry, Corrupt> {
    if bytes.get(..MAGIC.len()) != Some(MAGIC) {
        return Err(Corrupt::Form);
    }
    if bytes.len() < HEAD_BYTES + CHECKSUM_BYTES {
        return Err(Corrupt::Length);
    }
    let found = bytes.split_off(bytes.len() - CHECKSUM_BYTES);
    if found != checksum(key, &bytes).as_slice() {
        return Err(Corrupt::Checksum);
    }
    bytes.advance(MAGIC.len());
    let compressed = bytes.get_u8() & COMPRESSED != 0;
    let tag_count = usize::from(bytes.get_u8());
    bytes.advance(2);
    let [stored_at, fresh_until, stale_until, stamp] = std::array::from_fn(|_| bytes.get_u64_le());
    let [info_len, plain_len, held_len] = std::array::from_fn(|_| bytes.get_u32_le() as usize);
    let fits = info_len <= INFO_BYTES_MAX && plain_len <= BODY_BYTES_MAX && tag_count <= TAGS_MAX;
    if !fits || bytes.len() != tag_count * 8 + info_len + held_len || (!compressed && held_len != plain_len) {
        return Err(Corrupt::Length);
    }
    let tags = (0..tag_count).map(|_| Tag(bytes.get_u64_le())).collect();
    let info = bytes.split_to(info_len);
    Ok(Entry {
        body: Body { bytes, plain_len: plain_len as u32, compressed },
        info,
        stored_at: Millis(stored_at),
        fresh_until: Millis(fresh_until),
        stale_until: Millis(stale_until),
        stamp: Stamp(stamp),
        tags,
    })
}

fn checksum(key: &Key, bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.as_bytes()).update(bytes);
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM_BYTES]);
    checksum
}
