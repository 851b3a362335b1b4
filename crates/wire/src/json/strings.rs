//! Strings: finding their end a block at a time, and decoding their escapes.

mod wide;

pub(super) use wide::skip_simple;

/// Offset of the first byte from `at` on that is `"`, `\` or a control character; the length of
/// `bytes` where there is none.
#[inline]
pub(super) fn skip_plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        let specials = specials(block);
        if specials != 0 {
            return at + specials.trailing_zeros() as usize;
        }
        at += BLOCK;
    }
    skip_words(bytes, at)
}

/// Goes on word by word: the whole way where there are no vectors, and the last of it where there are.
#[inline]
fn skip_words(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    at + tail.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\').unwrap_or(tail.len())
}

/// Bytes looked at in one go: two vectors of SSE2, which every x86-64 processor has.
#[cfg(target_arch = "x86_64")]
const BLOCK: usize = 32;

/// A bit for each byte of the block that is `"`, `\` or below 0x20.
#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "the one call that the compiler cannot know to be safe: see below")]
fn specials(block: &[u8; BLOCK]) -> u32 {
    let [low, high] = block.as_chunks::<16>().0 else { return 0 };
    // SAFETY: SSE2 is part of x86-64 itself, and each function reads the sixteen bytes it is given.
    unsafe { specials_of(low) | specials_of(high) << 16 }
}

/// The same for sixteen bytes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "a load of sixteen bytes from a reference to as many")]
fn specials_of(bytes: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: the reference is to sixteen bytes, and the load needs no alignment.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
    let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
    let control = _mm_cmpeq_epi8(bytes, _mm_min_epu8(bytes, _mm_set1_epi8(0x1f)));
    _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash))).cast_unsigned()
}

/// Elsewhere a word is the block.
#[cfg(not(target_arch = "x86_64"))]
const BLOCK: usize = 8;

/// A bit for each byte of the block that is `"`, `\` or below 0x20.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn specials(block: &[u8; BLOCK]) -> u32 {
    // Each byte's high bit to its place in the topmost byte: the products' other bits do not meet there.
    (special(u64::from_le_bytes(*block)) >> 7).wrapping_mul(0x0102_0408_1020_4080).wrapping_shr(56) as u32
}

/// The high bit of each byte that is `"`, `\` or below 0x20, and no other bit.
///
/// Source: "Determine if a word has a zero byte", Anderson, Bit Twiddling Hacks, in its exact form.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const LOWS: u64 = ONES * 0x7f;
    let zero = |word: u64| !(((word & LOWS) + LOWS) | word | LOWS);
    zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64)) | zero(word & (ONES * 0xe0))
}

/// Four hexadecimal digits.
#[inline]
pub(super) fn hex4(digits: &[u8]) -> Option<u16> {
    let digits = digits.first_chunk::<4>()?;
    let mut unit = 0;
    for &digit in digits {
        unit = unit << 4 | char::from(digit).to_digit(16)?;
    }
    u16::try_from(unit).ok()
}

/// Decodes what stands between a string's quotes. The text has been checked; half a surrogate
/// pair, which only a provider's reply may hold, becomes U+FFFD.
pub(super) fn decode(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    decode_each(raw, |decoded, _| out.push_str(decoded));
    out
}

/// The same, piece by piece, each decoded and as it is written: runs without escapes, and every escape's
/// character by itself.
#[inline]
pub(super) fn decode_each(raw: &str, mut take: impl FnMut(&str, &str)) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let run = rest.get(..at).unwrap_or_default();
        take(run, run);
        let escape = rest.get(at..).unwrap_or_default();
        let (character, length) = decode_escape(escape.as_bytes());
        take(character.encode_utf8(&mut [0; 4]), escape.get(..length).unwrap_or_default());
        rest = escape.get(length..).unwrap_or_default();
    }
    take(rest, rest);
}

/// The character of the escape that `bytes` begin with, and the escape's length.
fn decode_escape(bytes: &[u8]) -> (char, usize) {
    let plain = match bytes.get(1) {
        Some(b'u') => return decode_unicode(bytes),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(&other) => char::from(other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (plain, 2)
}

fn decode_unicode(bytes: &[u8]) -> (char, usize) {
    let unit = |from: usize| bytes.get(from..).and_then(hex4);
    let first = unit(2).unwrap_or_default();
    let second = if bytes.get(6..8) == Some(b"\\u") { unit(8) } else { None };
    match (char::decode_utf16([first]).next(), second) {
        (Some(Ok(character)), _) => (character, 6),
        (_, Some(second)) => match char::decode_utf16([first, second]).next() {
            Some(Ok(character)) => (character, 12),
            _ => (char::REPLACEMENT_CHARACTER, 6),
        },
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}
