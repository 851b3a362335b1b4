//! Keys that are promised and not yet kept. A file that uses one is refused: to take it and do nothing would
//! be worse than either.

use super::tree::Path;

/// What to say of a reserved key.
pub(super) const WHAT: &str =
    "reserved: this version does not do it yet, so it is refused rather than silently ignored";
/// And the mend.
pub(super) const MEND: &str = "leave it out";

/// The reserved paths; `*` stands for any key or index, and whatever lies beneath is reserved too.
const PATHS: [&[&str]; 1] = [&["alerts"]];

/// Whether a path is reserved.
pub(super) fn is_reserved(path: &Path) -> bool {
    let words: Vec<&str> = path.words().collect();
    PATHS.iter().any(|reserved| {
        reserved.len() <= words.len()
            && reserved.iter().zip(&words).all(|(expected, word)| *expected == "*" || expected == word)
    })
}
