//! One question, read once for everything that looks at it.

#[cfg(test)]
mod tests;

use super::eligible::{self, Ineligible};
use super::reading::{Form, Reading};
use super::verify::{self, Refusal};
use super::veto::{self, Veto};
use super::words::{self, Word};

/// A question that may be answered from another's answer.
#[derive(Clone, Debug)]
pub struct Question {
    text: Box<str>,
    pub(super) words: Vec<Word>,
    pub(super) reading: Reading,
}

impl Question {
    /// Reads a text.
    ///
    /// # Errors
    /// Where the text is no question of the kind that may be compared with others: see [`Ineligible`].
    pub fn read(text: &str) -> Result<Self, Ineligible> {
        eligible::check_text(text)?;
        let words = words::split(text);
        eligible::check_words(text, &words)?;
        Ok(Self::of_words(text, words))
    }

    /// Reads a text that was eligible before.
    pub(super) fn read_again(text: &str) -> Self {
        Self::of_words(text, words::split(text))
    }

    fn of_words(text: &str, mut words: Vec<Word>) -> Self {
        let reading = Reading::of(&mut words);
        Self { text: text.into(), words, reading }
    }

    /// As it was asked.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is asked for; hits are audited by it.
    #[must_use]
    pub fn form(&self) -> Form {
        self.reading.form
    }

    /// Words that are language and that count: neither code nor quoted nor numbers, nor what is said around
    /// the question.
    pub(super) fn plain(&self) -> impl Iterator<Item = &str> {
        self.reading.plain.iter().map(String::as_str)
    }
}

/// Why two questions are not taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Difference {
    /// They certainly differ.
    #[error("vetoed: {0:?}")]
    Veto(Veto),
    /// They are not known to be the same.
    #[error("refused: {0:?}")]
    Refusal(Refusal),
}

/// Whether two questions ask the same, as [`Accept::Local`](super::Accept::Local) has it: no veto, and the
/// verifier explains every word. Symmetric.
///
/// # Errors
/// Why not.
pub fn compare(a: &Question, b: &Question) -> Result<(), Difference> {
    if let Some(veto) = veto::first(a, b) {
        return Err(Difference::Veto(veto));
    }
    verify::verify(&a.reading, &b.reading).map_err(Difference::Refusal)
}
