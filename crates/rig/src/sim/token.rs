//! The simulator's tokenizer. It stands for a real vocabulary: about four and
//! a half bytes of English a token. It is not any model's own.
//!
//! The rule looks at two bytes at a time. A token begins at
//! - every character that is not an ASCII letter (a digit, a space, a sign, a
//!   character beyond ASCII);
//! - a letter that follows neither a letter nor a space: one space before a
//!   word belongs to the word, as in ` word`;
//! - inside a word, a letter equal to the one before it, and `b`, `p`, `v`.
//!
//! A rule so local has three uses: tokens of a text stay what they are
//! whatever is put before or after, a text cut between tokens has exactly the
//! tokens before the cut, and counting needs no state, so that the compiler
//! turns it into vector instructions.

/// Whether a token begins at `here`, which follows `before`. Branch-free.
#[inline(always)]
fn begins(before: u8, here: u8) -> bool {
    let cut = (here == before) | (here == b'b') | (here == b'p') | (here == b'v');
    let goes_on = (before == b' ') | (is_letter(before) & !cut);
    !is_continuation(here) & !(is_letter(here) & goes_on)
}

#[inline(always)]
fn is_letter(byte: u8) -> bool {
    (byte | 0x20).wrapping_sub(b'a') < 26
}

/// The second and later bytes of a character in UTF-8.
#[inline(always)]
fn is_continuation(byte: u8) -> bool {
    byte.cast_signed() < -64
}

/// The tokens of a text.
pub(crate) fn count(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let Some((_, after)) = bytes.split_first() else {
        return 0;
    };
    let mut total = 1u64;
    // A block short enough that its count fits a byte, for narrow lanes are
    // what makes the loop fast, and of whole vectors, to have no rests.
    const BLOCK: usize = 224;
    for (before, here) in bytes.chunks(BLOCK).zip(after.chunks(BLOCK)) {
        let starts =
            before.iter().zip(here).fold(0u8, |sum, (&before, &here)| sum + u8::from(begins(before, here)));
        total += u64::from(starts);
    }
    u32::try_from(total).unwrap_or(u32::MAX)
}

/// The text's first token; empty only for an empty text.
pub(crate) fn first(text: &str) -> &str {
    let bytes = text.as_bytes();
    let end = bytes
        .windows(2)
        .position(|pair| matches!(pair, &[before, here] if begins(before, here)))
        .map_or(bytes.len(), |at| at + 1);
    // `begins` is false for continuation bytes, so `end` is a boundary.
    text.get(..end).unwrap_or(text)
}

/// The tokens of a text, one after another. Joined, they are the text.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let token = first(rest);
        rest = rest.get(token.len()..).unwrap_or_default();
        (!token.is_empty()).then_some(token)
    })
}

/// The start of a text, `limit` tokens long at the most.
pub(crate) fn prefix(text: &str, limit: u32) -> &str {
    let end: usize = split(text).take(limit as usize).map(str::len).sum();
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, tokens: &[&str]) {
        assert_eq!(split(text).collect::<Vec<_>>(), tokens, "{text:?}");
        assert_eq!(count(text) as usize, tokens.len(), "{text:?}");
        assert_eq!(tokens.concat(), text);
    }

    #[test]
    fn text_falls_into_word_pieces() {
        check("", &[]);
        check("a", &["a"]);
        check("The tide turns.", &["The", " tide", " turns", "."]);
        check("a number of letters", &["a", " num", "ber", " of", " let", "ters"]);
        check("  in 2025", &[" ", " in", " ", "2", "0", "2", "5"]);
        check("don't", &["don", "'", "t"]);
        check("naïve café", &["na", "ï", "ve", " caf", "é"]);
        check("日本", &["日", "本"]);
        check("{\"a\":1}\n", &["{", "\"", "a", "\"", ":", "1", "}", "\n"]);
    }

    #[test]
    fn a_long_text_is_counted_as_it_is_split() {
        let text = "Ebb and flow, 17 hours: the pilot's boat — überfällig — waits. ".repeat(40);
        assert_eq!(count(&text) as usize, split(&text).count());
        assert_eq!(count(&"a".repeat(10_000)), 10_000);
    }

    #[test]
    fn a_prefix_has_exactly_the_tokens_asked_for() {
        let text = "the keeper opens the upper gate before supper";
        for limit in 0..20 {
            let cut = prefix(text, limit);
            assert_eq!(count(cut), limit.min(count(text)));
            assert!(text.starts_with(cut));
        }
    }
}
