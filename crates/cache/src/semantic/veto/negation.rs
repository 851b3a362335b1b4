//! Negation: as often in one as in the other. `without`, `no`, `never` and `none` count, and so do the
//! prefixed opposites (`unsafe`) beside their plain word.

use crate::semantic::question::Question;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    negations(a) != negations(b) || has_negated(a, b) || has_negated(b, a)
}

fn negations(question: &Question) -> usize {
    let is_negation = |word: &&str| {
        matches!(
            *word,
            "not"
                | "no"
                | "never"
                | "none"
                | "nothing"
                | "nobody"
                | "nowhere"
                | "neither"
                | "nor"
                | "without"
                | "lack"
                | "lacks"
                | "lacking"
                | "except"
                | "excluding"
                | "hardly"
                | "barely"
                | "cannot"
        )
    };
    question.plain().filter(is_negation).count()
}

/// Whether a word of `a` is one of `b` with a negating prefix.
fn has_negated(a: &Question, b: &Question) -> bool {
    a.plain().any(|word| {
        ["un", "in", "im", "il", "ir", "non", "dis", "mis", "de", "anti"].iter().any(|prefix| {
            word.strip_prefix(prefix).is_some_and(|rest| {
                rest.len() > 3 && b.plain().any(|other| other == rest) && !a.plain().any(|w| w == rest)
            })
        })
    })
}
