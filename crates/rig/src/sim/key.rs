//! The key of a reply: a hash of everything the reply may depend on, and the
//! numbers drawn from it.
//!
//! Both are written here because they must never change: the same prompt has
//! to give the same words in every release, which no hasher or generator of
//! a library promises. Neither is fit for security.

/// An odd constant with well-spread bits, from wyhash.
const SECRET: u64 = 0xa076_1d64_78bd_642f;

/// What a reply is derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    /// A key that has absorbed nothing but a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(fold(seed ^ 0xe703_7ed1_a0b4_28db, SECRET))
    }

    /// Absorbs bytes by the folded multiplication of wyhash, in two lanes
    /// that do not wait for one another. The length goes in too, so that
    /// fields cannot run into one another.
    pub(crate) fn with(self, bytes: &[u8]) -> Self {
        let mut state = self.0 ^ bytes.len() as u64;
        let mut lane = state;
        let (blocks, mut rest) = bytes.as_chunks::<32>();
        for block in blocks {
            state = fold(word(&block[..8]) ^ state, word(&block[8..16]) ^ SECRET);
            lane = fold(word(&block[16..24]) ^ lane, word(&block[24..]) ^ SECRET);
        }
        state ^= lane.rotate_left(32);
        while !rest.is_empty() {
            let (low, after) = rest.split_at(rest.len().min(8));
            let (high, after) = after.split_at(after.len().min(8));
            state = fold(word(low) ^ state, word(high) ^ SECRET);
            rest = after;
        }
        Self(fold(state, SECRET))
    }

    /// Absorbs a number.
    pub(crate) fn with_number(self, number: u64) -> Self {
        Self(fold(self.0 ^ number, SECRET))
    }

    /// A generator of its own for one purpose.
    pub(crate) fn draws(self, purpose: u64) -> Draws {
        Draws(self.with_number(purpose).0)
    }
}

/// Up to eight bytes as a little-endian number.
fn word(bytes: &[u8]) -> u64 {
    if let Ok(eight) = bytes.try_into() {
        return u64::from_le_bytes(eight);
    }
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    // Both halves are wanted: the cut to 64 bits is the point.
    (product as u64) ^ ((product >> 64) as u64)
}

/// Numbers drawn one after another: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Draws(u64);

impl Draws {
    /// 64 evenly spread bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where the bound is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// One of a list; `None` only for an empty one.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len() as u64) as usize)
    }

    /// A number from 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `length` letters and digits, as in the ids that providers give.
    pub(crate) fn id(&mut self, into: &mut Vec<u8>, length: usize) {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut bits = 0;
        for place in 0..length {
            if place % 10 == 0 {
                bits = self.next();
            }
            into.push(ALPHABET[(bits % 62) as usize]);
            bits /= 62;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_changes_between_releases() {
        let key = Key::new(7).with(b"the same prompt, longer than one block");
        assert_eq!(key.draws(0).next(), 5_337_393_081_234_038_757);
    }

    #[test]
    fn fields_do_not_run_into_one_another() {
        let one = Key::new(0).with(b"ab").with(b"c");
        let other = Key::new(0).with(b"a").with(b"bc");
        assert_ne!(one, other);
    }

    #[test]
    fn draws_stay_below_their_bound_and_reach_all_of_it() {
        let mut draws = Key::new(1).draws(0);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[draws.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&draws.unit())));
    }
}
