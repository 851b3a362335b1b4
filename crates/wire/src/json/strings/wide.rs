//! Text with escapes, 64 bytes a step and without a branch an escape: prose has one every line or so, and a
//! processor cannot guess where the next one stands.
//!
//! Source: "Parsing Gigabytes of JSON per Second", Langdale and Lemire, 2019, section 3.1, and the shorter form
//! that simdjson's authors gave it since: a character is escaped by a run of backslashes of odd length, and a
//! subtraction's borrow finds the runs' ends. What is said here of a block are bits, one a byte; the vectors
//! that make them are AVX-512's or AVX2's. A processor without either goes escape by escape.

mod avx2;
mod avx512;

use super::{Escapes, Passed};

/// Goes on from `at`, which stands in a string and behind no backslash that is not escaped itself: over all
/// text, and over `escapes`. Gives an offset at which somebody must look: a quote that ends
/// the string, a control character, the backslash of another escape, or the text's end. May stop at
/// any escape; does so at every one where the processor has none of these vectors.
#[inline]
#[expect(unsafe_code, reason = "functions for processors with certain vectors, called on those alone")]
pub(super) fn skip(bytes: &[u8], at: usize, escapes: Escapes) -> Passed {
    if avx512::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        unsafe { avx512::skip(bytes, at, escapes) }
    } else if avx2::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        unsafe { avx2::skip(bytes, at, escapes) }
    } else {
        super::skip_plain(bytes, at)
    }
}

/// What stands where in a block: a bit a byte, the first byte's lowest.
struct Masks {
    quotes: u64,
    backslashes: u64,
    controls: u64,
    /// What makes an escape to be passed behind a backslash, but for the quotes: `\`, `b`, `f`, `n`, `r`, `t` and
    /// perhaps `/`.
    simple: u64,
}

/// What is known between two blocks.
struct Run {
    at: usize,
    /// 1 where a backslash escapes the next block's first character, else 0.
    carry: u64,
    backslashes: u64,
}

impl Run {
    #[inline(always)]
    fn new(at: usize) -> Self {
        Self { at, carry: 0, backslashes: 0 }
    }

    /// Goes over the block at hand, or tells what in it must be looked at.
    #[inline(always)]
    fn step(&mut self, masks: &Masks) -> Option<usize> {
        let escaped = escaped(masks.backslashes, self.carry);
        // A quote that is escaped is on both sides, and so on none.
        let stops = masks.controls | ((escaped & !masks.simple) ^ masks.quotes);
        if stops != 0 {
            let stop = stops.trailing_zeros();
            self.backslashes |= masks.backslashes & !(u64::MAX << stop);
            // Of an escape that is none of two characters its backslash is looked at.
            let back = (escaped >> stop) & 1;
            return Some(self.at + stop as usize - back as usize);
        }
        self.backslashes |= masks.backslashes;
        self.carry = carry(masks.backslashes, self.carry);
        self.at += 64;
        None
    }

    #[inline(always)]
    fn passed(&self, end: usize, high: bool) -> Passed {
        Passed { end, escaped: self.backslashes != 0, high }
    }
}

/// The characters that a backslash escapes.
#[inline(always)]
fn escaped(backslashes: u64, carry: u64) -> u64 {
    const ODD: u64 = u64::MAX / 3 * 2;
    let maybe = backslashes & !carry;
    let ends = ((maybe << 1) | ODD).wrapping_sub(maybe) ^ ODD;
    ends ^ (backslashes | carry)
}

/// Whether the next block's first character is escaped: by a run of odd length at this one's end. Says so of
/// the block alone, unless it is all backslashes, so that no block waits for the one before it.
#[inline(always)]
fn carry(backslashes: u64, carry: u64) -> u64 {
    if backslashes == u64::MAX { carry } else { u64::from(backslashes.leading_ones() & 1) }
}

#[cfg(test)]
mod tests;
