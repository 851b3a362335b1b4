//! No key twice in one object: the keys of all objects now open, innermost last.
//!
//! A small object compares each new key with its siblings; a large one is sorted when it closes.
//! Sorting costs n log n whatever the keys are, where a hash table would need a secret to stay
//! linear under keys made to collide.

use smallvec::SmallVec;

/// Objects up to this many keys are compared key by key.
const LINEAR_MAX: usize = 24;

#[derive(Clone, Copy, Debug)]
struct Key {
    /// The first eight decoded bytes, zero-filled, in an order that sorts as the bytes do.
    head: u64,
    /// Decoded bytes: offsets in the text, or beyond its end in `decoded`.
    start: u32,
    end: u32,
    /// The key's opening quote, for the fault.
    at: u32,
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    open: SmallVec<[Key; 24]>,
    /// Keys written with escapes, decoded; never more bytes than the text has.
    decoded: Vec<u8>,
}

impl Keys {
    /// A mark for an object that opens now; handed back to [`Keys::add`] and [`Keys::close`].
    pub(super) fn mark(&self) -> usize {
        self.open.len()
    }

    /// Adds a key written without escapes. False where a sibling has the same name.
    #[inline]
    pub(super) fn add(&mut self, text: &[u8], mark: usize, start: usize, end: usize) -> bool {
        let head = head_at(text, start, end);
        self.insert(text, mark, Key { head, start: start as u32, end: end as u32, at: start as u32 - 1 })
    }

    /// Adds a key written with escapes. False where a sibling has the same name.
    #[cold]
    pub(super) fn add_decoded(&mut self, text: &[u8], mark: usize, start: usize, key: &str) -> bool {
        let from = self.decoded.len();
        self.decoded.extend_from_slice(key.as_bytes());
        let to = self.decoded.len();
        let head = head_at(&self.decoded, from, to);
        let (from, to) = (text.len() + from, text.len() + to);
        self.insert(text, mark, Key { head, start: from as u32, end: to as u32, at: start as u32 - 1 })
    }

    #[inline]
    fn insert(&mut self, text: &[u8], mark: usize, key: Key) -> bool {
        let siblings = self.open.get(mark..).unwrap_or_default();
        if siblings.len() < LINEAR_MAX {
            let length = key.end - key.start;
            for sibling in siblings {
                if sibling.head == key.head
                    && sibling.end - sibling.start == length
                    && (length <= 8 || self.bytes(text, sibling) == self.bytes(text, &key))
                {
                    return false;
                }
            }
        }
        self.open.push(key);
        true
    }

    /// Closes the object: where it had a key twice, the offset of the first repetition.
    #[inline]
    pub(super) fn close(&mut self, text: &[u8], mark: usize) -> Option<u32> {
        let repeated = if self.open.len() - mark > LINEAR_MAX { self.repeated(text, mark) } else { None };
        self.open.truncate(mark);
        repeated
    }

    #[cold]
    fn repeated(&mut self, text: &[u8], mark: usize) -> Option<u32> {
        let mut keys = std::mem::take(&mut self.open);
        let large = keys.get_mut(mark..).unwrap_or_default();
        let rest = |key: &Key| self.bytes(text, key);
        large.sort_unstable_by(|a, b| {
            a.head.cmp(&b.head).then_with(|| rest(a).cmp(rest(b))).then_with(|| a.at.cmp(&b.at))
        });
        let repeated = large
            .windows(2)
            .filter_map(|pair| match pair {
                [a, b] if a.head == b.head && rest(a) == rest(b) => Some(b.at),
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

/// The first eight bytes of `text[start..end]`, zero-filled, big end first.
#[inline]
fn head_at(text: &[u8], start: usize, end: usize) -> u64 {
    let length = end - start;
    if let Some(word) = text.get(start..).and_then(<[u8]>::first_chunk::<8>) {
        // Almost always: a key is followed by at least its quote, a colon and a value.
        let word = u64::from_be_bytes(*word);
        return match length {
            0 => 0,
            1..8 => word & (u64::MAX << (64 - 8 * length)),
            _ => word,
        };
    }
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(text.get(start..end).unwrap_or_default()) {
        *to = *from;
    }
    u64::from_be_bytes(word)
}
