//! Whose it is: mine, yours, his, hers, theirs.

use super::marks;
use crate::semantic::question::Question;
use crate::semantic::reading::Persons;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    let (one, two) = (a.reading.persons, b.reading.persons);
    let first = |persons: Persons| persons.mine && !persons.yours;
    let second = |persons: Persons| persons.yours && !persons.mine;
    let crossed = (first(one) && second(two)) || (second(one) && first(two));
    crossed || others(a) != others(b)
}

fn others(question: &Question) -> Vec<&'static str> {
    let mut others = marks(question, |word| {
        Some(match word {
            "he" | "him" | "his" => "he",
            "she" | "her" | "hers" => "she",
            "their" | "them" | "theirs" => "they",
            _ => return None,
        })
    });
    others.dedup();
    others
}
