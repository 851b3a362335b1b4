//! What a flight carries: an answer, piece by piece.

use super::status::Status;
use crate::observe::trail::Trail;
use bytes::Bytes;
use cache::entry::Entry;
use guard::flight::Weigh;
use http::{HeaderMap, HeaderValue, StatusCode};
use measure::metrics::Outcome;
use std::sync::Arc;
use wire::failure::Failure;
use wire::openai::Usage;

/// One piece of an answer.
#[derive(Clone, Debug)]
pub enum Part {
    /// All of it, as it was remembered, and what the caller is told of where.
    Remembered(Arc<Entry>, Status),
    /// All of it, from the provider.
    Whole(Arc<Head>, Bytes),
    /// A stream begins.
    Begins(Arc<Head>),
    /// Whole frames of it, without its usage chunk and without its end, and whether tokens have come by now.
    Frames(Bytes, bool),
    /// Its usage chunk, for those who asked.
    Usage(Bytes),
    /// It came to its end, and this is what was used for it, where the provider says so.
    Done(Option<Spent>),
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What went wrong, in the caller's words.
    pub failure: Failure,
    /// The tries that were made; `None`: nobody was asked.
    pub trail: Option<Arc<Trail>>,
}

/// What an answer took.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Tokens.
    pub usage: Usage,
    /// What they cost, in millionths of a US dollar, where the price is known.
    pub cost: Option<u64>,
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
    /// The tries that were made by now.
    pub trail: Trail,
    /// What was used for it, where that is known by now.
    pub spent: Option<Spent>,
}

impl Weigh for Part {
    fn weigh(&self) -> usize {
        match self {
            Self::Remembered(entry, _) => entry.weight(),
            Self::Whole(_, bytes) => size_of::<Head>() + bytes.len(),
            Self::Begins(_) | Self::Done(_) => size_of::<Head>(),
            Self::Frames(bytes, _) | Self::Usage(bytes) => bytes.len(),
        }
    }
}
