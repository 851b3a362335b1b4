//! Strings cut into pieces, as they are written: between characters, never within an escape.

/// Bytes of one piece of text, about: few enough for a caller who reads as it comes, and many
/// enough that a replay is a handful of frames.
pub(super) const PIECE_BYTES: usize = 1024;

/// Cuts what stands between a string's quotes into pieces of up to [`PIECE_BYTES`], or one
/// character more. No piece is empty.
pub(super) fn of_bytes(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = 0;
        while end < PIECE_BYTES && end < rest.len() {
            end += unit(rest.get(end..)?);
        }
        cut_off(&mut rest, end)
    })
}

/// Cuts what stands between a string's quotes into pieces of so many characters each, counted as
/// decoded; what is left over goes with none.
pub(super) fn of_chars(text: &str, chars: impl IntoIterator<Item = usize>) -> impl Iterator<Item = &str> {
    let mut rest = text;
    chars.into_iter().map(move |count| {
        let mut end = 0;
        for _ in 0..count {
            end += rest.get(end..).map_or(0, unit);
        }
        cut_off(&mut rest, end).unwrap_or_default()
    })
}

fn cut_off<'a>(rest: &mut &'a str, end: usize) -> Option<&'a str> {
    let (piece, after) = rest.split_at_checked(end)?;
    *rest = after;
    (!piece.is_empty()).then_some(piece)
}

/// Bytes of the character that `text` begins with: itself, its escape, or the two escapes of its
/// surrogate pair.
fn unit(text: &str) -> usize {
    match text.as_bytes() {
        [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..] => 12.min(text.len()),
        [b'\\', b'u', ..] => 6.min(text.len()),
        [b'\\', ..] => 2.min(text.len()),
        _ => text.chars().next().map_or(0, char::len_utf8),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_only() {
        for unit in ["a", "é", "潮", "😀", r"\n", r"\\", r#"\""#, r"\u00e9", r"\uD83D\ude00", r"a\u0000潮"]
        {
            for count in [0, 1, 2, 100, 511, 512, 1023, 1024, 1025, 3000] {
                let text = unit.repeat(count);
                let mut joined = String::new();
                for piece in of_bytes(&text) {
                    assert!(!piece.is_empty() && piece.len() < PIECE_BYTES + 12);
                    serde_json::from_str::<String>(&format!("\"{piece}\"")).unwrap();
                    joined.push_str(piece);
                }
                assert_eq!(joined, text);
            }
        }
    }

    #[test]
    fn characters_are_counted_as_decoded() {
        let text = r#"ab\u00e9\ud83d\ude00\n\"潮!"#;
        let cut = |chars: &[usize]| of_chars(text, chars.to_vec()).collect::<Vec<_>>();
        assert_eq!(cut(&[2, 1, 1, 2, 2]), ["ab", r"\u00e9", r"\ud83d\ude00", r#"\n\""#, "潮!"]);
        assert_eq!(cut(&[0, 8, 9]), ["", text, ""]);
    }
}
