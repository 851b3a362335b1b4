//! No key twice in one object: the keys of all objects now open, innermost last.
//!
//! A small object compares each new key with its siblings, those of them that a 64-bit filter does
//! not rule out; a large one is sorted when it closes. Sorting costs n log n whatever the keys are,
//! where a hash table would need a secret to stay linear under keys made to collide.

use std::ops::Range;

use smallvec::SmallVec;

/// Objects up to this many keys are compared key by key.
const LINEAR_MAX: usize = 24;

#[derive(Clone, Copy, Debug)]
struct Key {
    /// Equal for equal keys: see [`tag_at`].
    tag: u64,
    /// Decoded bytes: offsets in the text, or beyond its end in `decoded`.
    start: u32,
    end: u32,
    /// The key's opening quote, for the fault.
    at: u32,
}

/// One open object's keys: where they begin, and a filter of their tags.
#[derive(Debug)]
pub(super) struct Siblings {
    from: usize,
    filter: u64,
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    open: SmallVec<[Key; 24]>,
    /// Keys written with escapes, decoded; never more bytes than the text has.
    decoded: Vec<u8>,
}

impl Keys {
    /// For an object that opens now.
    #[inline(always)]
    pub(super) fn siblings(&self) -> Siblings {
        Siblings { from: self.open.len(), filter: 0 }
    }

    /// Adds a key written without escapes. False where a sibling has the same name.
    #[inline(always)]
    pub(super) fn add(&mut self, text: &[u8], siblings: &mut Siblings, key: &Range<usize>) -> bool {
        let (start, end) = (key.start as u32, key.end as u32);
        let tag = tag_at(text, key.clone());
        self.insert(text, siblings, Key { tag, start, end, at: start.wrapping_sub(1) })
    }

    /// Adds a key written with escapes, which begins at `start`. False where a sibling has the same
    /// name.
    #[cold]
    pub(super) fn add_decoded(
        &mut self,
        text: &[u8],
        siblings: &mut Siblings,
        start: usize,
        key: &str,
    ) -> bool {
        let from = self.decoded.len();
        self.decoded.extend_from_slice(key.as_bytes());
        let to = self.decoded.len();
        let tag = tag_at(&self.decoded, from..to);
        let (from, to) = ((text.len() + from) as u32, (text.len() + to) as u32);
        self.insert(text, siblings, Key { tag, start: from, end: to, at: (start as u32).wrapping_sub(1) })
    }

    #[inline(always)]
    fn insert(&mut self, text: &[u8], siblings: &mut Siblings, key: Key) -> bool {
        // Fibonacci hashing: the product's top bits depend on all of the tag's.
        let bit = 1 << (key.tag.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58);
        if siblings.filter & bit != 0 && self.has(text, siblings, &key) {
            return false;
        }
        siblings.filter |= bit;
        self.open.push(key);
        true
    }

    /// Whether a sibling in a small object has the key. A large object is looked through at its end.
    #[inline(never)]
    fn has(&self, text: &[u8], siblings: &Siblings, key: &Key) -> bool {
        let siblings = self.open.get(siblings.from..).unwrap_or_default();
        siblings.len() < LINEAR_MAX
            && siblings
                .iter()
                .any(|sibling| sibling.tag == key.tag && self.bytes(text, sibling) == self.bytes(text, key))
    }

    /// Closes the object: where it had a key twice, the offset of the first repetition.
    #[inline(always)]
    pub(super) fn close(&mut self, text: &[u8], siblings: &Siblings) -> Option<u32> {
        let large = self.open.len() - siblings.from > LINEAR_MAX;
        let repeated = if large { self.repeated(text, siblings.from) } else { None };
        self.open.truncate(siblings.from);
        repeated
    }

    #[cold]
    fn repeated(&mut self, text: &[u8], from: usize) -> Option<u32> {
        let mut keys = std::mem::take(&mut self.open);
        let large = keys.get_mut(from..).unwrap_or_default();
        let bytes = |key: &Key| self.bytes(text, key);
        large.sort_unstable_by(|a, b| {
            a.tag.cmp(&b.tag).then_with(|| bytes(a).cmp(bytes(b))).then_with(|| a.at.cmp(&b.at))
        });
        let repeated = large
            .windows(2)
            .filter_map(|pair| match pair {
                [a, b] if a.tag == b.tag && bytes(a) == bytes(b) => Some(b.at),
                _ => None,
            })
            .min();
        self.open = keys;
        repeated
    }

    fn bytes<'k>(&'k self, text: &'k [u8], key: &Key) -> &'k [u8] {
        let (start, end) = (key.start as usize, key.end as usize);
        match start.checked_sub(text.len()) {
            Some(from) => self.decoded.get(from..end - text.len()),
            None => text.get(start..end),
        }
        .unwrap_or_default()
    }
}

/// The first eight bytes of a key, zero-filled, and its length: different for nearly all different
/// keys, and the same for the same ones.
#[inline(always)]
fn tag_at(text: &[u8], key: Range<usize>) -> u64 {
    let length = key.len();
    let head = match text.get(key.start..).and_then(<[u8]>::first_chunk::<8>) {
        // Almost always: a key is followed by its quote, a colon and a value.
        Some(word) if length >= 8 => u64::from_le_bytes(*word),
        Some(word) => u64::from_le_bytes(*word) & !(u64::MAX << (8 * length)),
        None => slow_head(text.get(key).unwrap_or_default()),
    };
    head ^ (length as u64) << 56
}

#[cold]
fn slow_head(key: &[u8]) -> u64 {
    key.iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}
