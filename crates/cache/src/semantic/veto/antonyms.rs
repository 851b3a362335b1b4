//! Opposites, and pairs of one field: a word of one question whose opposite stands in the other, and which
//! the other has not itself.

use crate::semantic::lexicon::are_opposites;
use crate::semantic::question::Question;
use crate::semantic::stem::stem;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    let stems = |question: &Question| -> Vec<String> { question.plain().map(stem).collect() };
    let (a, b) = (stems(a), stems(b));
    let only_a = a.iter().filter(|stem| !b.contains(stem));
    only_a.into_iter().any(|one| b.iter().any(|other| !a.contains(other) && are_opposites(one, other)))
}
