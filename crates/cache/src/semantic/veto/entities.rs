//! Names: a capitalised word of one must stand in the other, capitalised or not, under its own or another
//! known name. Words that begin a sentence are names only where the other question treats them so.

use crate::semantic::lexicon::canonical;
use crate::semantic::question::Question;
use crate::semantic::words::Word;
use std::collections::HashSet;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    lacks(a, b) || lacks(b, a)
}

/// Whether a name of `a` is nowhere in `b`.
fn lacks(a: &Question, b: &Question) -> bool {
    let here: HashSet<&str> = b.reading.terms().collect();
    let words: HashSet<String> = b.words.iter().map(|word| canonical(&word.text.to_lowercase())).collect();
    a.words.iter().filter(|word| is_name(word)).any(|word| {
        let name = canonical(&word.text.to_lowercase());
        // What a phrase took in is known under the phrase's own name.
        let folded = !a.reading.terms().any(|term| term == name);
        !folded && !here.contains(name.as_str()) && !words.contains(&name)
    })
}

fn is_name(word: &Word) -> bool {
    word.capital && !word.initial && word.is_plain() && word.text != "i"
}
