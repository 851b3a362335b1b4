//! Reasons for which two questions are certainly not taken for the same, whatever a vector or a model says.
//!
//! A veto never accepts. Each looks at one idea that sentence vectors are known to be blind to, takes a mark
//! of it from either question, and vetoes where the marks differ. All are symmetric, and none vetoes a
//! question against itself.

mod antonyms;
mod arguments;
mod code;
mod comparison;
mod dates;
mod direction;
mod entities;
mod format;
mod kind;
mod language;
mod modality;
mod negation;
mod numbers;
mod owner;
mod quotes;
mod scope;
#[cfg(test)]
mod tests;
mod units;
mod versions;

use super::question::Question;

/// What two questions differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is a file of this folder, which says it")]
pub enum Veto {
    Numbers,
    Units,
    Dates,
    Versions,
    Code,
    Quotes,
    Negation,
    Kind,
    Modality,
    Scope,
    Comparison,
    Antonyms,
    Language,
    Format,
    Owner,
    Entities,
    Direction,
    Arguments,
}

type Differ = fn(&Question, &Question) -> bool;

/// All of them, the cheapest first.
pub(super) const ALL: [(Veto, Differ); 18] = [
    (Veto::Numbers, numbers::differ),
    (Veto::Units, units::differ),
    (Veto::Dates, dates::differ),
    (Veto::Versions, versions::differ),
    (Veto::Code, code::differ),
    (Veto::Quotes, quotes::differ),
    (Veto::Negation, negation::differ),
    (Veto::Kind, kind::differ),
    (Veto::Modality, modality::differ),
    (Veto::Scope, scope::differ),
    (Veto::Comparison, comparison::differ),
    (Veto::Antonyms, antonyms::differ),
    (Veto::Language, language::differ),
    (Veto::Format, format::differ),
    (Veto::Owner, owner::differ),
    (Veto::Entities, entities::differ),
    (Veto::Direction, direction::differ),
    (Veto::Arguments, arguments::differ),
];

/// The first veto between two questions.
pub(super) fn first(a: &Question, b: &Question) -> Option<Veto> {
    ALL.iter().find(|(_, differ)| differ(a, b)).map(|(veto, _)| *veto)
}

/// The marks that `of` finds among a question's plain words, in no order.
fn marks<'q, T: Ord>(question: &'q Question, of: impl FnMut(&'q str) -> Option<T>) -> Vec<T> {
    let mut marks: Vec<T> = question.plain().filter_map(of).collect();
    marks.sort_unstable();
    marks
}
