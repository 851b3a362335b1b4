//! Strings: finding their end a block at a time, and decoding their escapes.

#[cfg(target_arch = "x86_64")]
mod wide;

/// How far a string's text was passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// Where somebody must look.
    pub(super) end: usize,
    /// Whether an escape was passed. Says nothing where another begins at the end.
    pub(super) escaped: bool,
    /// Whether a byte of 0x80 or more may have been passed: so where there was one, and also where one only
    /// stands near.
    pub(super) high: bool,
}

/// Which escapes are passed, of those that can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    /// All of two characters.
    Two,
    /// Those without which a character cannot be written shorter: all of two characters but `\/`.
    Shortest,
}

/// Goes on from `at`, which stands in a string and behind no backslash that is not escaped itself, to a byte
/// that is `"`, `\` or a control character, or to the end of `bytes`; over `escapes` if it can.
#[inline]
pub(super) fn skip(bytes: &[u8], at: usize, escapes: Escapes) -> Passed {
    #[cfg(target_arch = "x86_64")]
    return wide::skip(bytes, at, escapes);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = escapes;
        skip_plain(bytes, at)
    }
}

/// Where the closing quote stands of the string that begins at `at`, and whether the string has the shortest of
/// escapes alone. Judges nothing: whatever stands behind a backslash is an escape.
pub(super) fn end(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let mut at = skip_block(bytes, at).end;
    let mut shortest = true;
    loop {
        match bytes.get(at)? {
            b'"' => return Some((at, shortest)),
            b'\\' => {
                shortest &= is_shortest(*bytes.get(at + 1)?);
                at += 2;
            }
            0..0x20 => at += 1,
            _ => {}
        }
        at = skip(bytes, at, Escapes::Shortest).end;
    }
}

fn is_shortest(escaped: u8) -> bool {
    matches!(escaped, b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't')
}

/// Goes on from `at` to the first byte that is `"`, `\` or a control character, or by a block. Most strings
/// end within it.
#[inline(always)]
pub(super) fn skip_block(bytes: &[u8], at: usize) -> Passed {
    let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) else {
        return skip_words(bytes, at);
    };
    let (specials, high) = look(block);
    let length = if specials == 0 { BLOCK } else { specials.trailing_zeros() as usize };
    Passed { end: at + length, escaped: false, high: high != 0 }
}

/// Goes on from `at` to the first byte that is `"`, `\` or a control character, or to the end of `bytes`.
#[inline]
pub(super) fn skip_plain(bytes: &[u8], mut at: usize) -> Passed {
    let mut seen = 0;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        let (specials, high) = look(block);
        seen |= high;
        if specials != 0 {
            let end = at + specials.trailing_zeros() as usize;
            return Passed { end, escaped: false, high: seen != 0 };
        }
        at += BLOCK;
    }
    let rest = skip_words(bytes, at);
    Passed { high: rest.high | (seen != 0), ..rest }
}

/// Goes on word by word: the last bytes of a text.
#[inline]
fn skip_words(bytes: &[u8], mut at: usize) -> Passed {
    let mut seen = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        let special = special(word);
        seen |= word & HIGHS;
        if special != 0 {
            let end = at + (special.trailing_zeros() / 8) as usize;
            return Passed { end, escaped: false, high: seen != 0 };
        }
        at += 8;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    let length =
        tail.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\').unwrap_or(tail.len());
    Passed { end: at + length, escaped: false, high: seen != 0 || !tail.is_ascii() }
}

/// Bytes looked at in one go: two vectors of SSE2, which every x86-64 processor has.
#[cfg(target_arch = "x86_64")]
const BLOCK: usize = 32;

/// A bit for each byte of the block that is `"`, `\` or below 0x20; and not 0 where one is 0x80 or more.
#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "the one call that the compiler cannot know to be safe: see below")]
fn look(block: &[u8; BLOCK]) -> (u32, u64) {
    let [low, high] = block.as_chunks::<16>().0 else { return (0, u64::MAX) };
    // SAFETY: SSE2 is part of x86-64 itself.
    unsafe { look_at(low, high) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "loads of sixteen bytes from references to as many")]
fn look_at(low: &[u8; 16], high: &[u8; 16]) -> (u32, u64) {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8,
    };
    // SAFETY: the references are to sixteen bytes each, and the loads need no alignment.
    let (low, high) =
        unsafe { (_mm_loadu_si128(low.as_ptr().cast()), _mm_loadu_si128(high.as_ptr().cast())) };
    let mask = |lanes: __m128i| _mm_movemask_epi8(lanes).cast_unsigned();
    let specials = |bytes: __m128i| {
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
        let control = _mm_cmpeq_epi8(bytes, _mm_min_epu8(bytes, _mm_set1_epi8(0x1f)));
        mask(_mm_or_si128(control, _mm_or_si128(quote, backslash)))
    };
    (specials(low) | specials(high) << 16, mask(_mm_or_si128(low, high)).into())
}

/// Elsewhere a word is the block.
#[cfg(not(target_arch = "x86_64"))]
const BLOCK: usize = 8;

/// A bit for each byte of the block that is `"`, `\` or below 0x20; and not 0 where one is 0x80 or more.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn look(block: &[u8; BLOCK]) -> (u32, u64) {
    let word = u64::from_le_bytes(*block);
    // Each byte's high bit to its place in the topmost byte: the products' other bits do not meet there.
    let specials = (special(word) >> 7).wrapping_mul(0x0102_0408_1020_4080).wrapping_shr(56) as u32;
    (specials, word & HIGHS)
}

/// The high bit of each byte.
const HIGHS: u64 = u64::MAX / 255 * 0x80;

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
