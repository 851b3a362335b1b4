//! Which texts may be answered from another's answer at all: short questions, mostly asked in their own
//! words. A text that carries its material with it (a document, code, a form that is filled in) is told apart
//! by a few words in the middle, which neither vectors nor alignment are to be trusted with.

use super::words::Word;
use std::collections::HashSet;

/// Most words of a question.
pub const WORDS_MAX: usize = 128;
/// Fewest.
pub const WORDS_MIN: usize = 2;
/// Most bytes of a question's text.
pub const TEXT_BYTES_MAX: usize = 2_000;
/// Words after which a text with material in it is a form that is filled in.
const FORM_WORDS: usize = 5;

/// Why a text is not compared with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Ineligible {
    /// Fewer than two words say too little.
    #[error("fewer than {WORDS_MIN} words")]
    Short,
    /// More words, or bytes, than are compared.
    #[error("more than {WORDS_MAX} words or {TEXT_BYTES_MAX} bytes")]
    Long,
    /// It has a block of code, or several lines.
    #[error("has a block of code or several lines")]
    Block,
    /// It is an instruction and then the material it works on, which is the part that counts.
    #[error("a form filled in: an instruction and what it works on")]
    Template,
}

/// What can be told before a text is taken apart.
pub(super) fn check_text(text: &str) -> Result<(), Ineligible> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Ineligible::Long);
    }
    if text.contains("```") || text.contains("~~~") || text.trim().lines().count() > 2 {
        return Err(Ineligible::Block);
    }
    Ok(())
}

/// What can be told from the words.
pub(super) fn check_words(text: &str, words: &[Word]) -> Result<(), Ineligible> {
    match words.len() {
        ..WORDS_MIN => Err(Ineligible::Short),
        count if count > WORDS_MAX => Err(Ineligible::Long),
        _ if is_template(text) => Err(Ineligible::Template),
        _ => Ok(()),
    }
}

/// An instruction, a colon, and its material; or a label before a value; or a text that repeats itself.
fn is_template(text: &str) -> bool {
    let mut rest = text;
    let mut words_before = 0;
    while let Some((head, tail)) = rest.split_once(':') {
        words_before += head.split_whitespace().count();
        let is_time =
            head.ends_with(|c: char| c.is_ascii_digit()) && tail.starts_with(|c: char| c.is_ascii_digit());
        let spaced = tail.starts_with(char::is_whitespace);
        if spaced && !is_time && words_before >= FORM_WORDS && tail.split_whitespace().count() > 0 {
            return true;
        }
        rest = tail;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let distinct: HashSet<&str> = words.iter().copied().collect();
    words.len() >= 16 && distinct.len() * 2 < words.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::semantic::Question;

    #[track_caller]
    fn check(text: &str, expected: Option<Ineligible>) {
        assert_eq!(Question::read(text).err(), expected, "{text}");
    }

    #[test]
    fn short_questions_are_compared() {
        check("How do I reset my password?", None);
        check("capital of Peru", None);
        check("Meet at 10:30 or at 11:00 on the day of the launch?", None);
        check("Quick question: what is a monad?", None);
    }

    #[test]
    fn other_texts_are_not() {
        check("Hello", Some(Ineligible::Short));
        check("", Some(Ineligible::Short));
        check(&"word ".repeat(129), Some(Ineligible::Long));
        check(&"x".repeat(2_001), Some(Ineligible::Long));
        check("Why does ```let x = 1``` fail?", Some(Ineligible::Block));
        check("one\ntwo\nthree", Some(Ineligible::Block));
        check("Classify this review as good or bad: cold food", Some(Ineligible::Template));
        check("Given the name, guess the gender. Name: Andrea", Some(Ineligible::Template));
        check(&"tick tock ".repeat(10), Some(Ineligible::Template));
    }
}
