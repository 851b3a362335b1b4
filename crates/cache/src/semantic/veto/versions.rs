//! Versions and model names: what has digits and letters or several dots (`v17`, `RTX`, `3.11`), and the
//! words that tell editions apart (`Pro`, `Ti`, `LTS`).

use crate::semantic::question::Question;
use crate::semantic::words::Kind;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    versions(a) != versions(b)
}

fn versions(question: &Question) -> Vec<String> {
    const EDITIONS: [&str; 16] = [
        "pro",
        "ti",
        "plus",
        "mini",
        "ultra",
        "lite",
        "lts",
        "beta",
        "alpha",
        "rc",
        "home",
        "enterprise",
        "community",
        "premium",
        "basic",
        "max",
    ];
    let mut versions = Vec::new();
    for (at, word) in question.words.iter().enumerate() {
        let named = word.kind == Kind::Number && word.text.contains(|c: char| c.is_ascii_alphabetic());
        let after_number =
            at > 0 && question.words.get(at - 1).is_some_and(|before| before.kind == Kind::Number);
        if named || (after_number && EDITIONS.contains(&word.text.as_str())) {
            versions.push(word.text.to_lowercase());
        }
    }
    versions.sort_unstable();
    versions
}
