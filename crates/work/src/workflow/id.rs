//! Ids of runs: `run-` and 24 letters and digits.

/// Letters and digits that nobody confuses (Crockford's alphabet).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// One that nobody has had.
pub(super) fn new() -> Result<String, getrandom::Error> {
    let mut chance = [0; 32];
    getrandom::fill(&mut chance)?;
    Ok(of(&chance))
}

/// The id that follows from a word: the same each time.
pub(super) fn of(word: &[u8]) -> String {
    let hash = blake3::hash(word);
    let letters = hash.as_bytes().iter().take(24).map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    "run-".chars().chain(letters).collect()
}
