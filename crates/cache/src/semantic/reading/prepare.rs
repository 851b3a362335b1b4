//! What is done to words before they are read: what is said around the question goes, and what may be said
//! in two orders is brought into one.

use super::role_of;
use crate::semantic::lexicon::{self, Phrase};
use crate::semantic::words::{Kind, Word};

/// Drops what is said around the question. Gives whether what is left is an embedded yes-or-no question.
pub(super) fn drop_fillers(words: &mut Vec<Word>) -> bool {
    let mut dropped = false;
    loop {
        let is_here = |filler: &[&str]| {
            filler.len() < words.len() && says(words, 0, filler) && is_interjection(words, filler)
        };
        let known = longest(words, 0).map_or(0, |phrase| phrase.said.len());
        let filler = lexicon::head_fillers().iter().find(|filler| is_here(filler.as_slice()));
        let Some(filler) = filler.filter(|filler| filler.len() > known) else { break };
        words.drain(..filler.len());
        dropped = true;
    }
    loop {
        let is_here =
            |filler: &[&str]| filler.len() < words.len() && says(words, words.len() - filler.len(), filler);
        let Some(filler) = lexicon::tail_fillers().iter().find(|filler| is_here(filler.as_slice())) else {
            break;
        };
        words.truncate(words.len() - filler.len());
    }
    let embedded =
        dropped && words.first().is_some_and(|word| matches!(word.text.as_str(), "if" | "whether"));
    if embedded {
        words.remove(0);
    }
    embedded
}

/// Whether what stands at the beginning is no part of a name: `well, how do I`, but not `well drilling`.
fn is_interjection(words: &[Word], filler: &[&str]) -> bool {
    const ASKS: &str =
        " how what why when where who which can could do does is are was were should please whose ";
    let stands_alone = filler.len() > 1 || filler == ["please"];
    stands_alone
        || words
            .get(filler.len())
            .is_some_and(|next| next.broken || ASKS.split_whitespace().any(|word| word == next.text))
}

/// Brings `turn … off` and its like together.
pub(super) fn join_particles(words: &mut Vec<Word>) {
    let Some(verb) = words.iter().position(|word| matches!(word.text.as_str(), "turn" | "switch")) else {
        return;
    };
    let particle =
        words.iter().skip(verb + 1).take(4).position(|word| matches!(word.text.as_str(), "on" | "off"));
    let Some(at) = particle.map(|after| verb + 1 + after) else { return };
    let ends = words.get(at + 1).is_none_or(|next| next.broken || role_of(&next.text).is_some());
    if ends {
        let particle = words.remove(at);
        words.insert(verb + 1, particle);
    }
}

/// Writes `4 July, 1776` as `July 4 1776`.
pub(super) fn order_dates(words: &mut [Word]) {
    let mut after_month = false;
    for at in 1..words.len() {
        let (head, tail) = words.split_at_mut(at);
        let (Some(first), Some(second)) = (head.last_mut(), tail.first_mut()) else { break };
        let day = first.kind == Kind::Number && first.text.len() <= 2;
        if day && is_month(&second.text) {
            std::mem::swap(&mut first.text, &mut second.text);
            std::mem::swap(&mut first.kind, &mut second.kind);
        } else if after_month && first.kind == Kind::Number && second.text.len() == 4 {
            second.broken = false;
        }
        after_month = is_month(&first.text);
    }
}

/// Whether a word names a month.
pub(in crate::semantic) fn is_month(word: &str) -> bool {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const NAMES: &str = " january february march april may june july august september october november december \
        sept ";
    word.len() >= 3
        && word.is_ascii()
        && (MONTHS.contains(&word) || NAMES.split_whitespace().any(|name| name == word))
}

/// Whether these words stand at `at`, as language and without a break between.
fn says(words: &[Word], at: usize, phrase: &[&str]) -> bool {
    let Some(here) = words.get(at..at + phrase.len()) else { return false };
    let last = phrase.len() - 1;
    here.iter().zip(phrase).enumerate().all(|(index, (word, said))| {
        word.text == *said
            && !word.quoted
            && word.kind != Kind::Code
            && (index == 0 || !word.broken)
            && (index == last || !word.possessive)
    })
}

/// The longest phrase known that stands at `at`.
pub(super) fn longest(words: &[Word], at: usize) -> Option<&'static Phrase> {
    let first = words.get(at)?;
    lexicon::phrases(&first.text).iter().find(|phrase| says(words, at, &phrase.said))
}
