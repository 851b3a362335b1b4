//! Strings: finding their end a block at a time, and decoding their escapes.

/// A block is looked at with a handful of vector instructions.
const BLOCK: usize = 32;

/// Offset of the first byte from `at` on that is `"`, `\` or a control character; the length of
/// `bytes` where there is none.
#[inline]
pub(super) fn skip_plain(bytes: &[u8], at: usize) -> usize {
    // Keys and most values end within a word or two, where setting out by blocks would not pay.
    match skip_words(bytes, at, at + 2 * size_of::<u64>()) {
        Ok(found) => found,
        Err(at) => skip_blocks(bytes, at),
    }
}

/// The rest of a longer string.
fn skip_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        // No early exit, so that the compiler can make vector instructions of it.
        if block.iter().fold(false, |any, &byte| any | is_special(byte)) {
            break;
        }
        at += BLOCK;
    }
    skip_words(bytes, at, usize::MAX).unwrap_or_else(|end| end)
}

/// Goes on word by word up to `until`: `Ok` with the offset found, or the length at the end of
/// `bytes`; `Err` with where it stopped.
#[inline]
fn skip_words(bytes: &[u8], mut at: usize, until: usize) -> Result<usize, usize> {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        if at >= until {
            return Err(at);
        }
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return Ok(at + (special.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    Ok(at + tail.iter().position(|&byte| is_special(byte)).unwrap_or(tail.len()))
}

#[inline]
fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The high bit of each byte that is `"`, `\` or below 0x20. Exact up to the first such byte, which
/// is all that is used: a borrow can only spoil bytes above it.
///
/// Source: "Determine if a word has a byte less than n", Anderson, Bit Twiddling Hacks.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let below = word.wrapping_sub(ONES * 0x20) & !word;
    let is_quote = quote.wrapping_sub(ONES) & !quote;
    let is_backslash = backslash.wrapping_sub(ONES) & !backslash;
    (below | is_quote | is_backslash) & HIGHS
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
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(rest.get(..at).unwrap_or_default());
        let escape = rest.get(at..).unwrap_or_default();
        let (character, length) = decode_escape(escape.as_bytes());
        out.push(character);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
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
