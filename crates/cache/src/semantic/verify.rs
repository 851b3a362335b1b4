//! The local verifier: whether two questions ask the same, told from their words alone.
//!
//! It aligns the two readings: their forms must agree, and every content word of either must be explained by
//! one of the other, under the same preposition and in the same order. What is left unexplained on either
//! side refuses. It can say *the same* only of what it understands whole, and errs by refusing.
//!
//! Known to be given up for that: paraphrases that say the same by other notions (`lose weight`, `drop some
//! pounds`), and words whose equality no list here knows.

#[cfg(test)]
mod tests;

use super::reading::{Chunk, Form, Reading, Tense};

/// Why two questions are not taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// They ask for other things: who, when, how.
    Form,
    /// One is over, the other is not.
    Tense,
    /// One speaks of what is mine, the other of what is yours.
    Owner,
    /// A word or its place is left unexplained.
    Content,
}

/// Whether `a` and `b` ask the same; symmetric, and true of equal readings.
pub(super) fn verify(a: &Reading, b: &Reading) -> Result<(), Refusal> {
    if !forms_agree(a, b) {
        return Err(Refusal::Form);
    }
    if a.tense != b.tense && a.tense.max(b.tense) > Tense::Present && a.tense.min(b.tense) > Tense::Unknown {
        return Err(Refusal::Tense);
    }
    if (a.mine && !a.yours && b.yours && !b.mine) || (b.mine && !b.yours && a.yours && !a.mine) {
        return Err(Refusal::Owner);
    }
    if a.terms().next().is_none() {
        return Err(Refusal::Content);
    }
    let meets = FOLDS.iter().any(|fold| normal(a, *fold) == normal(b, *fold));
    if meets { Ok(()) } else { Err(Refusal::Content) }
}

/// A few words without a question word ask what they name.
fn forms_agree(a: &Reading, b: &Reading) -> bool {
    let forms = if a.form <= b.form { (a.form, b.form) } else { (b.form, a.form) };
    forms.0 == forms.1 || forms == (Form::Task, Form::What)
}

/// How prepositional phrases are read as the first part of a compound.
#[derive(Clone, Copy)]
struct Fold {
    /// Not only `capital of Kenya` → `Kenya capital`, but `list in Python` → `Python list`, where a verb
    /// stands before the noun.
    weak: bool,
    /// To the beginning of the compound (`gold melting point`) rather than before its last word
    /// (`replace the car battery`).
    front: bool,
}

const FOLDS: [Fold; 4] = [
    Fold { weak: false, front: false },
    Fold { weak: false, front: true },
    Fold { weak: true, front: false },
    Fold { weak: true, front: true },
];

/// The chunks in a form that does not depend on which of two usual ways they were said. Chunks other than
/// the main one may stand in any order.
fn normal(reading: &Reading, fold: Fold) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::with_capacity(reading.chunks.len());
    // From the right: `president of the bank of France` is the France bank president.
    for chunk in reading.chunks.iter().rev() {
        let mut chunk = chunk.clone();
        while let Some(right) = chunks.pop_if(|right| fold.applies(reading.form, &chunk, right)) {
            let is_name = names_first(reading.form) || !chunk.role.is_empty();
            let head = if fold.front && is_name { 0 } else { chunk.terms.len() - 1 };
            chunk.terms.splice(head..head, right.terms);
        }
        chunks.push(chunk);
    }
    chunks.sort_unstable();
    chunks
}

impl Fold {
    /// Whether `right` is a part of what `left` ends with.
    fn applies(self, form: Form, left: &Chunk, right: &Chunk) -> bool {
        let weak = matches!(right.role.as_str(), "in" | "on" | "for" | "at");
        let has_verb = names_first(form) || left.terms.len() > 1 || !left.role.is_empty();
        let folds = right.role == "of" || (self.weak && weak && has_verb);
        let stands_alone = matches!(left.role.as_str(), "before" | "among");
        folds && !stands_alone && !left.terms.is_empty() && !right.terms.is_empty() && right.negations == 0
    }
}

/// Whether the main chunk begins with a name, not with a verb.
fn names_first(form: Form) -> bool {
    matches!(form, Form::What | Form::Where | Form::Who | Form::When)
}
