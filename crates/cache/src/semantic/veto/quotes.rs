//! Quotations: word for word, and not one where the other has none.

use crate::semantic::question::Question;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    let quoted = |question: &Question| -> Vec<String> {
        question.words.iter().filter(|word| word.quoted).map(|word| word.text.clone()).collect()
    };
    quoted(a) != quoted(b)
}
