//! What one slot of time holds, in as few bytes as will do: pairs of a key and a count, in the order of the
//! keys. For a figure the keys are [`buckets`](super::buckets), for a [`tally`](super::rates) its counters.
//! Both are added up by adding the counts of equal keys, so that everything here serves both, in memory and
//! on disk.
//!
//! ```text
//! pair    number: distance from the key before, doubled, plus one if a count follows; otherwise it is 1
//!         number: the count
//! number  seven bits a byte, the lowest first; the highest bit says that another byte follows (LEB128)
//! ```
//!
//! A lone sample in a quiet slot is one or two bytes, a busy bucket beside another busy one two or three.

use super::buckets;

/// Most bytes of a number.
const NUMBER_BYTES_MAX: usize = 10;

/// Writes a number.
pub(super) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number from the front; `None` where there is no whole one.
pub(super) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(NUMBER_BYTES_MAX) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Some(number);
        }
    }
    None
}

/// Takes so many bytes from the front; `None` where there are fewer.
pub(super) fn read_bytes<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}

/// Writes pairs, whose keys must not descend. A count of zero is left out.
pub(super) fn write_pairs(out: &mut Vec<u8>, pairs: impl Iterator<Item = (u16, u64)>) {
    let mut before = 0;
    for (key, count) in pairs.filter(|(_, count)| *count > 0) {
        let distance = u64::from(key.saturating_sub(before));
        write_number(out, distance << 1 | u64::from(count != 1));
        if count != 1 {
            write_number(out, count);
        }
        before = key;
    }
}

/// Reads what [`write_pairs`] wrote. Ends early where the bytes make no sense.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairs<'a> {
    bytes: &'a [u8],
    key: u16,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, key: 0 }
    }
}

impl Iterator for Pairs<'_> {
    type Item = (u16, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let head = read_number(&mut self.bytes)?;
        self.key = self.key.checked_add(u16::try_from(head >> 1).ok()?)?;
        let count = if head & 1 == 1 { read_number(&mut self.bytes)? } else { 1 };
        Some((self.key, count))
    }
}

/// Slots added up: a count for every key there can be.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    counts: Box<[u64; buckets::COUNT]>,
    empty: bool,
}

impl Sums {
    pub(super) fn new() -> Self {
        Self { counts: Box::new([0; buckets::COUNT]), empty: true }
    }

    /// Adds a slot. Keys that there cannot be are passed over.
    pub(super) fn add(&mut self, pairs: impl Iterator<Item = (u16, u64)>) {
        for (key, count) in pairs {
            if let Some(sum) = self.counts.get_mut(usize::from(key)) {
                *sum = sum.saturating_add(count);
                self.empty = false;
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) {
        if !std::mem::replace(&mut self.empty, true) {
            self.counts.fill(0);
        }
    }

    /// The count of every key, by key.
    pub(super) fn counts(&self) -> &[u64; buckets::COUNT] {
        &self.counts
    }

    /// As they are written.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u16, u64)> {
        (0..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Pairs, Sums, read_number, write_number, write_pairs};
    use proptest::prelude::*;

    #[test]
    fn a_number_is_as_short_as_it_can_be() {
        for (number, length) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number);
            assert_eq!(bytes.len(), length, "{number}");
            assert_eq!(read_number(&mut bytes.as_slice()), Some(number));
            assert_eq!(read_number(&mut &bytes[..length - 1]), None, "{number}, torn");
        }
    }

    #[test]
    fn a_key_twice_counts_for_both() {
        let mut bytes = Vec::new();
        write_pairs(&mut bytes, [(3, 1), (3, 5), (4, 0), (600, 2)].into_iter());
        let mut sums = Sums::new();
        sums.add(Pairs::new(&bytes));
        assert_eq!(sums.pairs().collect::<Vec<_>>(), [(3, 6), (600, 2)]);
        sums.clear();
        assert!(sums.is_empty() && sums.pairs().next().is_none());
    }

    proptest! {
        #[test]
        fn pairs_read_as_they_were_written(map in prop::collection::btree_map(any::<u16>(), 1_u64.., 0..50)) {
            let mut bytes = Vec::new();
            write_pairs(&mut bytes, map.clone().into_iter());
            prop_assert_eq!(Pairs::new(&bytes).collect::<Vec<_>>(), map.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_are_read_for_ever(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Pairs::new(&bytes).count() <= bytes.len());
        }
    }
}
