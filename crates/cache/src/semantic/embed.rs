//! From a text to a vector: the embedders, and a memory of what was embedded of late.
//!
//! Embedding is work for a processor, not a wait: every call blocks. Which threads it may block is for the
//! caller to say. A provider's embeddings need nothing here: the caller brings the [`Vector`] itself.

mod lexical;
#[cfg(feature = "minilm")]
mod minilm;

use super::vector::Vector;
use foldhash::fast::FixedState;
pub use lexical::Lexical;
#[cfg(feature = "minilm")]
pub use minilm::MiniLm;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

/// Why there is no vector.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model's files are not there or not of the kind that is read.
    #[error(
        "cannot read the sentence model: {0}; name a folder with model.safetensors, tokenizer.json and config.json"
    )]
    Model(String),
    /// This text has none.
    #[error("cannot embed the text: {0}")]
    Text(String),
}

/// Makes vectors of texts.
///
/// * Equal texts get equal vectors.
/// * Vectors of one embedder have [`Embedder::dimensions`] values; those of two embedders are never
///   compared, as [`Embedder::id`] is part of the partition.
/// * The time of a call is bounded by the text's length, which is cut where the model's reach ends.
pub trait Embedder: Send + Sync {
    /// Tells this embedder, with its model and its version, from every other.
    fn id(&self) -> &str;

    /// Values of a vector.
    fn dimensions(&self) -> usize;

    /// The vector of a text. Blocks for as long as it takes.
    ///
    /// # Errors
    /// Where the text has none.
    fn embed_blocking(&self, text: &str) -> Result<Vector, Error>;
}

impl<E: Embedder + ?Sized> Embedder for Box<E> {
    fn id(&self) -> &str {
        (**self).id()
    }

    fn dimensions(&self) -> usize {
        (**self).dimensions()
    }

    fn embed_blocking(&self, text: &str) -> Result<Vector, Error> {
        (**self).embed_blocking(text)
    }
}

/// An embedder that remembers the vectors it gave last.
pub struct Memo<E> {
    embedder: E,
    known: Cache<[u8; 32], Vector, UnitWeighter, FixedState>,
}

impl<E: Embedder> Memo<E> {
    /// Remembers up to `texts` vectors.
    pub fn new(embedder: E, texts: usize) -> Self {
        let texts = texts.max(1);
        let known = Cache::with(
            texts,
            texts as u64,
            UnitWeighter,
            FixedState::default(),
            DefaultLifecycle::default(),
        );
        Self { embedder, known }
    }

    /// The vector of a text that was embedded of late; never blocks for long.
    #[must_use]
    pub fn known(&self, text: &str) -> Option<Vector> {
        self.known.get(blake3::hash(text.as_bytes()).as_bytes())
    }
}

impl<E: Embedder> Embedder for Memo<E> {
    fn id(&self) -> &str {
        self.embedder.id()
    }

    fn dimensions(&self) -> usize {
        self.embedder.dimensions()
    }

    fn embed_blocking(&self, text: &str) -> Result<Vector, Error> {
        let digest = *blake3::hash(text.as_bytes()).as_bytes();
        if let Some(vector) = self.known.get(&digest) {
            return Ok(vector);
        }
        let vector = self.embedder.embed_blocking(text)?;
        self.known.insert(digest, vector.clone());
        Ok(vector)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counting(AtomicUsize);

    impl Embedder for Counting {
        fn id(&self) -> &str {
            "counting"
        }

        fn dimensions(&self) -> usize {
            1
        }

        fn embed_blocking(&self, _: &str) -> Result<Vector, Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Vector::new(vec![1.0]).ok_or_else(|| Error::Text("zero".to_owned()))
        }
    }

    #[test]
    fn a_text_is_embedded_once() {
        let memo = Memo::new(Counting(AtomicUsize::new(0)), 8);
        for _ in 0..5 {
            memo.embed_blocking("same").unwrap();
        }
        assert_eq!(memo.embedder.0.load(Ordering::Relaxed), 1);
        assert!(memo.known("same").is_some() && memo.known("other").is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let memo = Memo::new(Counting(AtomicUsize::new(0)), 8);
        for number in 0..1000 {
            memo.embed_blocking(&number.to_string()).unwrap();
        }
        assert!(memo.known.len() <= 8);
    }
}
