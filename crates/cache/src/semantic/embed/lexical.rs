//! The embedder that needs nothing installed: words, pairs of words and runs of letters, hashed into a
//! vector.
//!
//! Words are taken as the reading has them, so that synonyms and forms of a word fall together. It knows
//! nothing beyond that; what it proposes is for the vetoes and the verifier to judge.

use super::{Embedder, Error};
use crate::semantic::reading::Reading;
use crate::semantic::vector::Vector;
use crate::semantic::words;

/// Values of a vector.
const DIMENSIONS: usize = 512;

/// Weights of a word, of two neighbours, and of three letters in a row.
const WORD: f32 = 1.0;
const PAIR: f32 = 0.35;
const LETTERS: f32 = 0.15;

/// Hashed words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lexical;

impl Embedder for Lexical {
    fn id(&self) -> &str {
        "lexical-1"
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn embed_blocking(&self, text: &str) -> Result<Vector, Error> {
        let reading = Reading::of(&mut words::split(text));
        let mut values = vec![0.0_f32; DIMENSIONS];
        for chunk in &reading.chunks {
            let terms: Vec<&str> = chunk.terms.iter().map(|term| term.text.as_str()).collect();
            for term in &terms {
                add(&mut values, &[b"w", term.as_bytes()], WORD);
                let marked = format!("<{term}>");
                for run in marked.as_bytes().windows(3) {
                    add(&mut values, &[b"c", run], LETTERS);
                }
            }
            for pair in terms.windows(2) {
                if let [a, b] = pair {
                    add(&mut values, &[b"p", a.as_bytes(), b" ", b.as_bytes()], PAIR);
                }
            }
        }
        Vector::new(values).ok_or_else(|| Error::Text("it has no word of its own".to_owned()))
    }
}

/// Adds a feature where its hash says, with the sign that its hash says, so that collisions cancel out.
fn add(values: &mut [f32], feature: &[&[u8]], weight: f32) {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in feature.iter().copied().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // FNV's low bits are its worst: mixed once more.
    hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let at = (hash >> 33) as usize % values.len().max(1);
    if let Some(value) = values.get_mut(at) {
        *value += if hash & (1 << 20) == 0 { weight } else { -weight };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn cosine(a: &str, b: &str) -> f32 {
        Lexical.embed_blocking(a).unwrap().cosine(&Lexical.embed_blocking(b).unwrap())
    }

    #[test]
    fn other_words_for_the_same_are_near() {
        assert!(cosine("How do I delete a file?", "how can I remove files") > 0.95);
        assert!(cosine("What is the capital of Kenya?", "What is Kenya's capital?") > 0.85);
    }

    #[test]
    fn other_questions_are_far() {
        assert!(cosine("How do I delete a file?", "Who won the race in 1976?") < 0.3);
    }

    #[test]
    fn a_text_without_words_has_no_vector() {
        assert!(Lexical.embed_blocking("?!").is_err());
    }
}
