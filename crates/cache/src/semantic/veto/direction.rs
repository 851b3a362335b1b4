//! From where to where, before or after what, into or out of, over or under. What stands under one of these
//! in one question must stand under the same in the other.

use crate::semantic::question::Question;
use std::collections::BTreeSet;

const ROLES: [&str; 10] =
    ["from", "to", "before it", "after", "since", "until", "over", "under", "above", "below"];

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    let (from_a, from_b) = (directed(a), directed(b));
    from_a.iter().any(|(role, term)| turned(role, term, &from_b))
        || from_b.iter().any(|(role, term)| turned(role, term, &from_a))
        || particles(a) != particles(b)
}

/// What stands first under each directed role.
fn directed(question: &Question) -> BTreeSet<(&str, &str)> {
    let chunks = question.reading.chunks.iter();
    chunks
        .filter(|chunk| ROLES.contains(&chunk.role.as_str()))
        .filter_map(|chunk| Some((chunk.role.as_str(), chunk.terms.first()?.text.as_str())))
        .collect()
}

/// Whether `term` stands under another role in `others`, or another term under its role.
fn turned(role: &str, term: &str, others: &BTreeSet<(&str, &str)>) -> bool {
    let same = others.contains(&(role, term));
    !same && others.iter().any(|(other_role, other_term)| *other_term == term || *other_role == role)
}

/// Directions without an object: in and out, up and down.
fn particles(question: &Question) -> Vec<&str> {
    let mut found: Vec<&str> = question
        .reading
        .terms()
        .filter(|term| matches!(*term, "out" | "up" | "down" | "off" | "away" | "back"))
        .collect();
    found.sort_unstable();
    found
}
