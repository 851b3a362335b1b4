//! Single tokens: white space, strings, numbers, literals.
//!
//! Each function takes the text and an offset and gives the offset behind what it read. Offsets are
//! passed and returned, never stored, so that they stay in registers through the scanner's loops.

use super::fault::{Cause, Stop};
use super::scan::Rules;
use super::strings::{self, Escapes};

/// Where the next token begins, at `at` or behind the white space there, and its first byte; 0 at the
/// end of the text, which begins no token either.
#[inline(always)]
pub(super) fn next(bytes: &[u8], at: usize) -> (usize, u8) {
    match bytes.get(at) {
        Some(&byte) if byte > b' ' => (at, byte),
        _ => behind_space(bytes, at),
    }
}

#[inline]
fn behind_space(bytes: &[u8], mut at: usize) -> (usize, u8) {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    (at, bytes.get(at).copied().unwrap_or(0))
}

/// Behind the string whose opening quote stands before `at`; and whether it has escapes. Sets `high` where it
/// may have a byte of 0x80 or more.
#[inline(always)]
pub(super) fn string(bytes: &[u8], at: usize, rules: Rules, high: &mut bool) -> Result<(usize, bool), Stop> {
    let block = strings::skip_block(bytes, at);
    *high |= block.high;
    match bytes.get(block.end) {
        Some(b'"') => Ok((block.end + 1, false)),
        _ => long_string(bytes, block.end, rules, high),
    }
}

/// The same, from the first byte at `at` that a look at one block did not pass.
fn long_string(bytes: &[u8], mut at: usize, rules: Rules, high: &mut bool) -> Result<(usize, bool), Stop> {
    let mut escaped = false;
    loop {
        let passed = strings::skip(bytes, at, Escapes::Two);
        escaped |= passed.escaped;
        *high |= passed.high;
        at = passed.end;
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => (at, escaped) = (escape(bytes, at, rules)?, true),
            Some(_) => return Err(Stop::new(at, Cause::Control)),
            None => return Err(Stop::new(at, Cause::Quote)),
        }
    }
}

#[inline(always)]
fn escape(bytes: &[u8], at: usize, rules: Rules) -> Result<usize, Stop> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => unicode_escape(bytes, at, rules),
        _ => Err(Stop::new(at, Cause::Escape)),
    }
}

fn unicode_escape(bytes: &[u8], at: usize, rules: Rules) -> Result<usize, Stop> {
    let unit = |at: usize| {
        let digits = bytes.get(at..).unwrap_or_default();
        strings::hex4(digits).ok_or(Stop::new(at, Cause::Hex))
    };
    let first = unit(at + 2)?;
    let is_pair = (0xD800..0xDC00).contains(&first)
        && bytes.get(at + 6..at + 8) == Some(b"\\u")
        && (0xDC00..0xE000).contains(&unit(at + 8)?);
    if rules == Rules::Strict && !is_pair && (0xD800..0xE000).contains(&first) {
        return Err(Stop::new(at, Cause::Surrogate));
    }
    Ok(at + if is_pair { 12 } else { 6 })
}

/// Behind the number that begins at `start` with a minus sign or a digit.
#[inline]
pub(super) fn number(bytes: &[u8], start: usize) -> Result<usize, Stop> {
    let mut at = start;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    let exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
    if exponent {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    // Only an exponent or more than 308 digits can leave the range of an f64.
    if (exponent || at - start > 308) && !is_finite(bytes.get(start..at).unwrap_or_default()) {
        return Err(Stop::new(start, Cause::NumberRange));
    }
    Ok(at)
}

/// Behind one digit or more.
#[inline(always)]
fn digits(bytes: &[u8], start: usize) -> Result<usize, Stop> {
    let mut at = start;
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    if at == start { Err(Stop::new(at, Cause::Digit)) } else { Ok(at) }
}

#[cold]
fn is_finite(number: &[u8]) -> bool {
    let number = std::str::from_utf8(number).unwrap_or_default();
    number.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Behind `word`, which has to stand at `at`.
#[inline(always)]
pub(super) fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Stop> {
    if bytes.get(at..at + word.len()) == Some(word) {
        Ok(at + word.len())
    } else {
        Err(Stop::new(at, Cause::Value))
    }
}
