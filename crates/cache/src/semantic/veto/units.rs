//! Units and currencies: those of one must be those of the other.

use crate::semantic::lexicon;
use crate::semantic::question::Question;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    units(a) != units(b)
}

fn units(question: &Question) -> Vec<String> {
    // Letters that are mostly something else, and words of the calendar, count only after a number.
    let is_ambiguous =
        |word: &str| word.len() <= 2 || matches!(word, "second" | "won" | "stone" | "bar" | "bit");
    let mut after_number = false;
    let mut units: Vec<String> = Vec::new();
    for word in &question.words {
        let is_unit =
            word.is_plain() && lexicon::is_unit(&word.text) && (after_number || !is_ambiguous(&word.text));
        if is_unit {
            units.push(lexicon::canonical(&word.text));
        }
        after_number = word.text.starts_with(|c: char| c.is_ascii_digit());
    }
    units.sort_unstable();
    units.dedup();
    units
}
