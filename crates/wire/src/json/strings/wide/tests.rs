//! Each kind of vector that the processor has, against the plain way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const BOTH: [Escapes; 2] = [Escapes::Two, Escapes::Shortest];

/// Where the plain way stops, and whether it met an escape.
fn plainly(bytes: &[u8], from: usize, escapes: Escapes) -> (usize, bool) {
    let (mut at, mut escaped) = (from, false);
    loop {
        match bytes.get(at) {
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b'/') if escapes == Escapes::Two => (at, escaped) = (at + 2, true),
                Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => {
                    (at, escaped) = (at + 2, true);
                }
                _ => return (at, escaped),
            },
            Some(b'"' | 0..0x20) | None => return (at, escaped),
            Some(_) => at += 1,
        }
    }
}

/// What must hold of the way from `from` to where `found` says.
fn judge(name: &str, text: &[u8], from: usize, escapes: Escapes, found: Passed, to_the_end: bool) {
    let told =
        || format!("{name}, {escapes:?}, from {from} in {:?}: {found:?}", String::from_utf8_lossy(text));
    let (must, escaped) = plainly(text, from, escapes);
    let way = text.get(from..found.end).unwrap_or_else(|| panic!("{}", told()));
    assert!(found.high || way.is_ascii(), "{}", told());
    assert!(!found.high || !text.is_ascii(), "{}", told());
    if text.get(found.end) != Some(&b'\\') {
        assert_eq!(found.escaped, escaped, "{}", told());
    }
    // It may stop short of where it must, at an escape among the last bytes, but never within one.
    if found.end != must {
        assert!(!to_the_end && found.end < must && text.len() - found.end <= 64, "{}", told());
        assert_eq!(text.get(found.end), Some(&b'\\'), "{}", told());
        assert_eq!(plainly(text, found.end, escapes).0, must, "{}", told());
    }
}

#[expect(unsafe_code, reason = "functions for processors with certain vectors, called on those alone")]
fn check(text: &[u8], from: usize) {
    for escapes in BOTH {
        if avx2::is_here() {
            // SAFETY: the processor has what the function is compiled for.
            judge("AVX2", text, from, escapes, unsafe { avx2::skip(text, from, escapes) }, false);
        }
        if avx512::is_here() {
            // SAFETY: the processor has what the function is compiled for.
            judge("AVX-512", text, from, escapes, unsafe { avx512::skip(text, from, escapes) }, true);
        }
    }
}

#[test]
fn it_stops_where_the_plain_way_does() {
    let mut random = fastrand::Rng::with_seed(7);
    const PIECES: [&str; 14] = [
        "\\\\", "\\\"", "\\n", "\\/", "\\b", "\\f", "\\r", "\\t", "a", "tide ", "\\u0041", "\"", "\u{1}", "ü",
    ];
    for round in 0..20_000 {
        // What stops comes seldom, so that runs cross blocks.
        let common = if round % 3 == 0 { 2 } else { 10 };
        let mut text = String::new();
        while text.len() < 300 {
            let seldom = random.u8(..) < 4;
            text.push_str(PIECES[if seldom { random.usize(10..14) } else { random.usize(..common) }]);
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
            check(&text.as_bytes()[..before + length], 0);
        }
    }
}

#[test]
fn every_byte_is_judged_alone_and_escaped_at_every_place() {
    for byte in 0..=u8::MAX {
        for at in 0..130 {
            for before in [b'x', b'\\'] {
                let mut text = [b'y'; 200];
                (text[at], text[at + 1]) = (before, byte);
                check(&text, 0);
                check(&text[..at + 2], 0);
            }
        }
    }
}

#[test]
fn it_begins_anywhere_and_ends_with_the_text() {
    for length in 0..200 {
        let text = vec![b'x'; length];
        for from in 0..=length {
            check(&text, from);
        }
    }
}

/// Both have to be told of: a high byte that is passed, and that there is none.
#[test]
fn a_high_byte_is_told_of_at_every_place() {
    for length in 1..200 {
        for at in 0..length {
            let mut text = vec![b'x'; length];
            check(&text, 0);
            text[at] = 0x80;
            check(&text, 0);
            check(&text, at / 2);
            assert!(
                skip(&text, 0, Escapes::Two).high && super::super::skip_plain(&text, 0).high,
                "{at} of {length}"
            );
        }
    }
}
