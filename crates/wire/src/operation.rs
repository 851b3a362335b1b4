//! What a caller may ask for. One name an operation, whatever the protocol it is asked in.

use std::fmt;

/// An operation of the data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// A conversation's next turn.
    ChatCompletions,
    /// A text's continuation: OpenAI's legacy endpoint.
    Completions,
    /// Vectors for texts.
    Embeddings,
    /// The list of models, or one of them.
    Models,
}

impl Operation {
    /// Every operation, for tables and tests.
    pub const ALL: [Self; 4] = [Self::ChatCompletions, Self::Completions, Self::Embeddings, Self::Models];

    /// The path under a base URL, with its leading slash.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Models => "/models",
        }
    }

    /// The label's value: `gen_ai.operation.name` of the OpenTelemetry GenAI conventions, which
    /// have no word for a list of models.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Models => "models",
        }
    }

    /// Whether its answer may come as a stream.
    #[must_use]
    pub const fn streams(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions)
    }

    /// Whether to do it twice has no effect but its price.
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        matches!(self, Self::Embeddings | Self::Models)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
