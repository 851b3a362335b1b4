//! Comparatives and superlatives: `fast`, `faster` and `fastest` are three things.

use super::marks;
use crate::semantic::question::Question;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Degree {
    More,
    Less,
    Most,
    Least,
}

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    degrees(a) != degrees(b)
}

fn degrees(question: &Question) -> Vec<Degree> {
    let mut degrees = marks(question, |word| match word {
        "more" | "better" => Some(Degree::More),
        "less" | "fewer" | "worse" => Some(Degree::Less),
        "most" | "best" | "top" => Some(Degree::Most),
        "least" | "worst" => Some(Degree::Least),
        _ if word.len() > 5 && word.ends_with("est") && !is_no_degree(word) => Some(Degree::Most),
        _ if is_comparative(word) => Some(Degree::More),
        _ => None,
    });
    degrees.dedup();
    degrees
}

fn is_no_degree(word: &str) -> bool {
    matches!(
        word,
        "forest"
            | "interest"
            | "request"
            | "harvest"
            | "suggest"
            | "contest"
            | "protest"
            | "honest"
            | "modest"
            | "invest"
            | "digest"
            | "conquest"
            | "latest"
            | "budapest"
            | "arrest"
            | "manifest"
    )
}

/// Adjectives only: most words in `-er` are doers.
fn is_comparative(word: &str) -> bool {
    const WORDS: &str = "faster slower bigger smaller larger higher taller shorter longer older newer younger \
        cheaper easier harder stronger weaker richer poorer safer quicker heavier lighter wider deeper warmer hotter \
        colder cooler brighter darker earlier later nearer closer farther further greater healthier happier simpler \
        cleaner smarter thicker thinner";
    WORDS.split_whitespace().any(|known| known == word)
}
