//! Blocks by AVX-512: one vector, compared into masks at once, and the text's last bytes as well.
//!
//! It asks for VBMI's look-up of a byte among 64. The processors without it are also those that lower their
//! clock for vectors of this width; they are better off with AVX2.

use std::arch::x86_64::{
    __m512i, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512, _mm512_maskz_loadu_epi8,
    _mm512_movepi8_mask, _mm512_or_si512, _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_setzero_si512,
};

use super::{Escapes, Masks, Passed, Run};

/// Whether the processor has what [`skip`] needs.
#[inline]
pub(super) fn is_here() -> bool {
    std::arch::is_x86_feature_detected!("avx512vbmi")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("lzcnt")
}

/// See [`super::skip`].
#[target_feature(enable = "avx512bw,avx512vbmi,bmi1,lzcnt")]
pub(super) fn skip(bytes: &[u8], at: usize, escapes: Escapes) -> Passed {
    let table = load(match escapes {
        Escapes::Two => &TWO,
        Escapes::Shortest => &SHORTEST,
    });
    let mut run = Run::new(at);
    let mut seen = _mm512_setzero_si512();
    let (blocks, last) = bytes.get(at..).unwrap_or_default().as_chunks();
    for block in blocks {
        let block = load(block);
        seen = _mm512_or_si512(seen, block);
        if let Some(stop) = run.step(&masks(block, table)) {
            return run.passed(stop, _mm512_movepi8_mask(seen) != 0);
        }
    }
    let block = load_last(last);
    seen = _mm512_or_si512(seen, block);
    // The zeros behind the end are controls, so that there is a stop.
    let stop = run.step(&masks(block, table)).unwrap_or(bytes.len());
    run.passed(stop, _mm512_movepi8_mask(seen) != 0)
}

const TWO: [u8; 64] = table(b"\\/bfnrt");
const SHORTEST: [u8; 64] = table(b"\\bfnrt");

/// By the lower six bits of a byte: the one byte of `simple` that has them, and one with other bits where there
/// is none. The quote is not for this table: it shares them with `b`.
const fn table(simple: &[u8]) -> [u8; 64] {
    let mut table = [0; 64];
    table[0] = 1;
    let mut of = 0;
    while of < simple.len() {
        table[(simple[of] & 63) as usize] = simple[of];
        of += 1;
    }
    table
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vbmi")]
fn masks(bytes: __m512i, table: __m512i) -> Masks {
    let all = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
    Masks {
        quotes: _mm512_cmpeq_epi8_mask(bytes, all(b'"')),
        backslashes: _mm512_cmpeq_epi8_mask(bytes, all(b'\\')),
        controls: _mm512_cmplt_epu8_mask(bytes, all(0x20)),
        simple: _mm512_cmpeq_epi8_mask(bytes, _mm512_permutexvar_epi8(bytes, table)),
    }
}

#[inline]
#[target_feature(enable = "avx512bw")]
#[expect(unsafe_code, reason = "a load of 64 bytes from a reference to as many")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the reference is to 64 bytes, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Less than a block, and zeros behind it.
#[inline]
#[target_feature(enable = "avx512bw")]
#[expect(unsafe_code, reason = "a load of no more bytes than a slice has")]
fn load_last(bytes: &[u8]) -> __m512i {
    let theirs = !u64::MAX.checked_shl(bytes.len() as u32).unwrap_or(0);
    // SAFETY: the mask has a bit for a byte of the slice, and the load touches no other byte.
    unsafe { _mm512_maskz_loadu_epi8(theirs, bytes.as_ptr().cast()) }
}
