//! What a flight carries: an answer, piece by piece.

use bytes::Bytes;
use cache::entry::Entry;
use guard::flight::Weigh;
use http::{HeaderMap, HeaderValue, StatusCode};
use measure::metrics::Outcome;
use std::sync::Arc;
use wire::failure::Failure;

/// One piece of an answer.
#[derive(Clone, Debug)]
pub enum Part {
    /// All of it, as it was remembered, and what the caller is told of where.
    Remembered(Arc<Entry>, HeaderValue),
    /// All of it, from the provider.
    Whole(Arc<Head>, Bytes),
    /// A stream begins.
    Begins(Arc<Head>),
    /// Whole frames of it, without its usage chunk and without its end.
    Frames(Bytes),
    /// Its usage chunk, for those who asked.
    Usage(Bytes),
    /// It came to its end, with so many tokens used for it, where the provider says so.
    Done(Option<u64>),
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What went wrong, in the caller's words.
    pub failure: Failure,
    /// Tries made.
    pub attempts: u32,
}

/// The head of a provider's answer.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// How it counts.
    pub outcome: Outcome,
    /// The provider's own head.
    pub provider: HeaderMap,
    /// Who answered.
    pub target: HeaderValue,
    /// Tries made.
    pub attempts: u32,
    /// Tokens that were used for it, where that is known by now.
    pub tokens: Option<u64>,
    /// What it cost, in millionths of a US dollar, where that is known by now.
    pub cost: Option<u64>,
}

impl Weigh for Part {
    fn weigh(&self) -> usize {
        match self {
            Self::Remembered(entry, _) => entry.weight(),
            Self::Whole(_, bytes) => size_of::<Head>() + bytes.len(),
            Self::Begins(_) | Self::Done(_) => size_of::<Head>(),
            Self::Frames(bytes) | Self::Usage(bytes) => bytes.len(),
        }
    }
}
