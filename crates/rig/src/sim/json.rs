//! JSON written straight into a buffer, for the replies on the hot path: no
//! tree is built and nothing is written twice.

use std::io::Write;

/// A quoted string.
pub(crate) fn string(into: &mut Vec<u8>, text: &str) {
    into.push(b'"');
    fragment(into, text);
    into.push(b'"');
}

/// A string without its quotes. Most texts need no escape at all: that is
/// asked of the whole text first, which the compiler turns into vector
/// instructions.
pub(crate) fn fragment(into: &mut Vec<u8>, text: &str) {
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    if !text.bytes().fold(false, |any, byte| any | special(byte)) {
        return into.extend_from_slice(text.as_bytes());
    }
    for byte in text.bytes() {
        match byte {
            b'"' => into.extend_from_slice(b"\\\""),
            b'\\' => into.extend_from_slice(b"\\\\"),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            0..0x20 => put(into, format_args!("\\u{byte:04x}")),
            _ => into.push(byte),
        }
    }
}

/// A string, or `null`.
pub(crate) fn optional(into: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(into, text),
        None => into.extend_from_slice(b"null"),
    }
}

/// A whole number.
pub(crate) fn number(into: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    into.extend_from_slice(&digits[at..]);
}

/// Formatted text, for what is rare.
pub(crate) fn put(into: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A vector takes every write.
    let _ = into.write_fmt(text);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn strings_come_back_as_they_were() {
        for text in ["", "plain", "a \"quoted\" \\ \n\r\t\u{1}\u{1f}", "naïve 日本 🌊"] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn numbers_have_all_their_digits() {
        for value in [0, 9, 10, 1_735_689_600, u64::MAX] {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
