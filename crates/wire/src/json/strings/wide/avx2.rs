//! Blocks by AVX2: two vectors of 32 bytes.

use std::arch::x86_64::{
    __m256i, _mm_setr_epi8, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256,
    _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_shuffle_epi8,
};

use super::{Escapes, Masks, Passed, Run};
use crate::json::strings::skip_plain;

/// Whether the processor has what [`skip`] needs.
#[inline]
pub(super) fn is_here() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("lzcnt")
}

/// See [`super::skip`]. Of the text's last bytes, less than a block, it may stop at any escape.
#[target_feature(enable = "avx2,bmi1,lzcnt")]
pub(super) fn skip(bytes: &[u8], at: usize, escapes: Escapes) -> Passed {
    let table = table(escapes);
    let mut run = Run::new(at);
    let mut seen = _mm256_set1_epi8(0);
    let (blocks, _) = bytes.get(at..).unwrap_or_default().as_chunks::<32>().0.as_chunks();
    for [low, high] in blocks {
        let (low, high) = (load(low), load(high));
        seen = _mm256_or_si256(seen, _mm256_or_si256(low, high));
        if let Some(stop) = run.step(&masks(low, high, table)) {
            return run.passed(stop, _mm256_movemask_epi8(seen) != 0);
        }
    }
    let passed = run.passed(run.at - run.carry as usize, _mm256_movemask_epi8(seen) != 0);
    let rest = skip_plain(bytes, passed.end);
    Passed { end: rest.end, high: passed.high | rest.high, ..passed }
}

#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "a load of 32 bytes from a reference to as many")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference is to 32 bytes, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn masks(low: __m256i, high: __m256i, table: __m256i) -> Masks {
    let (low, high) = (half(low, table), half(high, table));
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let [quotes, backslashes, controls, simple] = [0, 1, 2, 3].map(|of| join(low[of], high[of]));
    Masks { quotes, backslashes, controls, simple }
}

/// Quotes, backslashes, controls and what is simple.
#[inline]
#[target_feature(enable = "avx2")]
fn half(bytes: __m256i, table: __m256i) -> [u32; 4] {
    let all = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    let is = |byte: u8| _mm256_cmpeq_epi8(bytes, all(byte));
    let mask = |lanes: __m256i| _mm256_movemask_epi8(lanes).cast_unsigned();
    let controls = _mm256_cmpeq_epi8(bytes, _mm256_min_epu8(bytes, all(0x1f)));
    let one = _mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(table, bytes));
    let simple = _mm256_or_si256(is(b'r'), one);
    [mask(is(b'"')), mask(is(b'\\')), mask(controls), mask(simple)]
}

/// By the lower half of a byte: the one simple byte that has it, and one with other bits where there is none.
/// Quotes and `r` are not for this table: they share theirs with `b`.
#[inline]
#[target_feature(enable = "avx2")]
fn table(escapes: Escapes) -> __m256i {
    let slash = if escapes == Escapes::Two { b'/'.cast_signed() } else { -2 };
    let table = _mm_setr_epi8(-1, -1, 0x62, -1, 0x74, -1, 0x66, -1, -1, -1, -1, -1, 0x5c, -1, 0x6e, slash);
    _mm256_broadcastsi128_si256(table)
}
