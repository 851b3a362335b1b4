//! The protocols a provider may speak.
//!
//! A dialect is a folder of this crate and a line here. Today every preset speaks OpenAI's; the
//! native dialects of Anthropic (`/v1/messages`) and Gemini (`:generateContent`) come as
//! `anthropic/` and `gemini/` beside `openai/`, each with a variant below, and are translated
//! through one hub. What is *not* here: URLs and keys, which are a provider's ([`crate::preset`]).

use std::fmt;

/// A protocol that providers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's: chat completions, completions, embeddings, models. See [`crate::openai`].
    OpenAi,
}

impl Dialect {
    /// Every dialect: the registry.
    pub const ALL: [Self; 1] = [Self::OpenAi];

    /// Its name in configuration and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
        }
    }

    /// The dialect of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
