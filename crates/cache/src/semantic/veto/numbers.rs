//! Numbers: every number of one must be in the other, whether in digits or in words, ordinals included.

use crate::semantic::question::Question;
use crate::semantic::words::Kind;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    numbers(a) != numbers(b)
}

/// Without `1`, which is also a pronoun and an article.
fn numbers(question: &Question) -> Vec<&str> {
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text != "1";
    let numbers = question.words.iter().filter(|word| word.kind == Kind::Number || word.quoted);
    let mut numbers: Vec<&str> =
        numbers.map(|word| word.text.as_str()).filter(|text| is_number(text)).collect();
    numbers.sort_unstable();
    numbers
}
