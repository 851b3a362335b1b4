//! Text with escapes, 64 bytes a step and without a branch an escape: prose has one every line or so, and a
//! processor cannot guess where the next one stands.
//!
//! Source: "Parsing Gigabytes of JSON per Second", Langdale and Lemire, 2019, section 3.1: a character is
//! escaped by a run of backslashes of odd length, and adding a run's first bit to all of them carries into the
//! bit behind the run. Here the vectors are AVX2's; a processor without them, or of another kind, goes escape by
//! escape.

/// Goes on from `at`, which stands in a string and behind no backslash that is not escaped itself: over all
/// text, and over all escapes of two characters. Gives an offset at which somebody must look: a quote that ends
/// the string, a control character, the backslash of another escape, or less than a block from the end.
#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "a function for processors with AVX2, called on those alone")]
pub(in super::super) fn skip_simple(bytes: &[u8], at: usize) -> usize {
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        unsafe { skip(bytes, at) }
    } else {
        at
    }
}

/// Elsewhere it goes nowhere: whoever looks finds the next escape and goes on from there.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(in super::super) fn skip_simple(_: &[u8], at: usize) -> usize {
    at
}

/// What stands where in a block: a bit a byte.
#[cfg(target_arch = "x86_64")]
struct Masks {
    quotes: u64,
    backslashes: u64,
    controls: u64,
    /// What makes an escape of two behind a backslash: `"`, `/`, `b`, `f`, `n`, `r`, `t`.
    simple: u64,
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn skip(bytes: &[u8], mut at: usize) -> usize {
    // Whether the block's first character is escaped.
    let mut carry = 0;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<64>) {
        let masks = masks(block);
        let (escaped, next) = escaped(masks.backslashes, carry);
        let odd = escaped & !masks.simple;
        let stops = odd | masks.controls | (masks.quotes & !escaped);
        if stops != 0 {
            let stop = stops.trailing_zeros();
            // Of an escape that is none of two characters its backslash is looked at.
            let back = (odd >> stop) & 1;
            return at + stop as usize - back as usize;
        }
        carry = next;
        at += 64;
    }
    at - carry as usize
}

/// The characters that a backslash escapes, but for backslashes; and whether the next block's first one is.
#[cfg(target_arch = "x86_64")]
#[inline]
fn escaped(backslashes: u64, carry: u64) -> (u64, u64) {
    const EVEN: u64 = u64::MAX / 3;
    let escaping = backslashes & !carry;
    let starts = escaping & !(escaping << 1);
    let from_even = escaping.wrapping_add(starts & EVEN);
    let (from_odd, next) = escaping.overflowing_add(starts & !EVEN);
    let behind_odd_runs = (from_even & !EVEN) | (from_odd & EVEN);
    ((behind_odd_runs & !escaping) | (carry & !backslashes), u64::from(next))
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn masks(block: &[u8; 64]) -> Masks {
    let [low, high] = block.as_chunks::<32>().0 else {
        return Masks { quotes: 0, backslashes: 0, controls: u64::MAX, simple: 0 };
    };
    let (low, high) = (half(low), half(high));
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Masks {
        quotes: join(low[0], high[0]),
        backslashes: join(low[1], high[1]),
        controls: join(low[2], high[2]),
        simple: join(low[3], high[3]),
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "a load of 32 bytes from a reference to as many")]
fn half(bytes: &[u8; 32]) -> [u32; 4] {
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8,
        _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    };
    // SAFETY: the reference is to 32 bytes, and the load needs no alignment.
    let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    let all = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    let is = |byte: u8| _mm256_cmpeq_epi8(bytes, all(byte));
    let either = |a: __m256i, b: __m256i| _mm256_or_si256(a, b);
    let mask = |lanes: __m256i| _mm256_movemask_epi8(lanes).cast_unsigned();
    let quotes = is(b'"');
    let controls = _mm256_cmpeq_epi8(bytes, _mm256_min_epu8(bytes, all(0x1f)));
    // `b` and `f` differ in one bit.
    let b_or_f = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, all(!4)), all(b'b'));
    let simple =
        either(either(either(quotes, is(b'/')), either(b_or_f, is(b'n'))), either(is(b'r'), is(b't')));
    [mask(quotes), mask(is(b'\\')), mask(controls), mask(simple)]
}

#[cfg(test)]
mod tests {
    use super::skip_simple;

    /// Where the plain way would stop, if it has at least a block left.
    fn plainly(bytes: &[u8], mut at: usize) -> usize {
        loop {
            match bytes.get(at) {
                Some(b'\\') => match bytes.get(at + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                    _ => return at,
                },
                Some(b'"' | 0..0x20) | None => return at,
                Some(_) => at += 1,
            }
        }
    }

    /// It may stop short of where it must, but never within an escape, and never beyond.
    fn check(text: &[u8], from: usize) {
        let (found, must) = (skip_simple(text, from), plainly(text, from));
        assert!(found <= must, "{found} is beyond {must} in {:?}", String::from_utf8_lossy(text));
        assert_eq!(plainly(text, found), must, "{:?}", String::from_utf8_lossy(text));
        if cfg!(target_arch = "x86_64") && std::is_x86_feature_detected!("avx2") {
            assert!(found == must || text.len() - found <= 64, "{found} of {must}");
        }
    }

    #[test]
    fn it_stops_where_the_plain_way_does() {
        let mut random = fastrand::Rng::with_seed(7);
        const PIECES: [&str; 13] = [
            "\\\\", "\\\"", "\\n", "\\/", "\\b", "\\f", "\\r", "\\t", "a", "tide ", "\\u0041", "\"", "\u{1}",
        ];
        for round in 0..20_000 {
            // What stops comes seldom, so that runs cross blocks.
            let common = if round % 3 == 0 { 2 } else { 10 };
            let mut text = String::new();
            while text.len() < 300 {
                let seldom = random.u8(..) < 4;
                text.push_str(PIECES[if seldom { random.usize(10..13) } else { random.usize(..common) }]);
            }
            check(text.as_bytes(), 0);
            check(&text.as_bytes()[..random.usize(..300)], 0);
        }
    }

    #[test]
    fn runs_of_backslashes_of_every_length_end_at_every_place() {
        for length in 1..140 {
            for before in 0..70 {
                let text = ["x".repeat(before), "\\".repeat(length), "\"".into(), "y".repeat(140)].concat();
                check(text.as_bytes(), 0);
            }
        }
    }
}
