//! What carries parcels to providers and back: handed in by whoever has providers.

use super::{Answer, Question};
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// What a method promises. Dropped, it ends the call under way; what that came to nobody knows.
pub type Going<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Held open while answers are noted, by whatever does so.
pub type Books = Box<dyn Send + Sync>;

/// Providers' own batch APIs. A `place` is what [`route`](Courier::route) has given: a provider, and its model.
pub trait Courier: Send + Sync {
    /// Where lines go that ask `model` at `endpoint`; `None`: nowhere, each is asked by itself.
    fn route(&self, endpoint: &str, model: &str) -> Option<String>;

    /// What can be said to a line here; or what the provider is to be sent in its place.
    fn look<'a>(&'a self, place: &'a str, question: Question) -> Going<'a, Looked>;

    /// Brings a file, whose pieces come from `pieces` up to [`Piece::End`]; its name there. Without an end, no file
    /// may come of it.
    fn bring<'a>(
        &'a self,
        place: &'a str,
        name: &'a str,
        pieces: mpsc::Receiver<Piece>,
    ) -> Going<'a, Result<String, Fault>>;

    /// Has a file run.
    fn create<'a>(&'a self, place: &'a str, order: &'a Order) -> Going<'a, Result<Remote, Fault>>;

    /// A batch that was created with this mark, if there is one among the latest.
    fn find<'a>(&'a self, place: &'a str, mark: &'a Mark) -> Going<'a, Result<Option<Remote>, Fault>>;

    /// How a batch stands.
    fn see<'a>(&'a self, place: &'a str, id: &'a str) -> Going<'a, Result<Remote, Fault>>;

    /// Begins to cancel a batch.
    fn cancel<'a>(&'a self, place: &'a str, id: &'a str) -> Going<'a, Result<(), Fault>>;

    /// Fetches a file, piece by piece.
    fn fetch<'a>(
        &'a self,
        place: &'a str,
        file: &'a str,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Going<'a, Result<(), Fault>>;

    /// Removes a file.
    fn remove<'a>(&'a self, place: &'a str, file: &'a str) -> Going<'a, Result<(), Fault>>;

    /// Makes sure that answers can be [noted](Courier::note) for as long as what it gives is held; `None` where the
    /// process is about to end. A line whose answer cannot be noted any more is not to end.
    fn open_books(&self) -> Option<Books>;

    /// Counts and remembers a line's answer that the provider gave, as if it had been asked for by itself; why not,
    /// where that cannot be done.
    fn note<'a>(
        &'a self,
        place: &'a str,
        question: Question,
        answer: Answer,
    ) -> Going<'a, Result<(), String>>;
}

/// What can be said to a line without its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// Its answer is remembered, or it is refused. One that may not be the last word is asked for again later.
    Answered(Answer),
    /// The provider is to be sent this body.
    Send(Vec<u8>),
    /// Nothing for now: there is too much to do here, or the process is about to end.
    Later,
}

/// A part of a file on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some of it.
    Some(Vec<u8>),
    /// That was all.
    End,
}

/// By what a batch at a provider is found again whose name there is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Our batch.
    pub batch: String,
    /// The parcel of it.
    pub model: String,
    /// Which of our tries, from 1.
    pub attempt: u32,
}

/// What a provider is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The file with its requests.
    pub file: String,
    /// What each of them asks.
    pub endpoint: String,
    /// By what it is found again.
    pub mark: Mark,
}

/// A batch at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its name there.
    pub id: String,
    /// How it stands.
    pub state: RemoteState,
    /// The files of its good and its bad lines, once they are there.
    pub files: Vec<String>,
    /// What is wrong with it as a whole, if anything.
    pub why: Option<String>,
}

/// How a batch at a provider stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RemoteState {
    /// It goes on.
    Running,
    /// Nothing of it was run.
    Failed,
    /// It is over: all of it was run, or it was cancelled or expired.
    Over,
}

/// Why a provider has not done as it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It will not, however often it is asked.
    #[error("the provider refuses: {0}")]
    Refused(String),
    /// There is no such thing there.
    #[error("the provider does not know it")]
    Unknown,
    /// It may do so later; whether it has, nobody knows.
    #[error("{why}")]
    Passing {
        /// What went wrong.
        why: String,
        /// When to come again, where that was said.
        after: Option<Duration>,
    },
    /// It may do so later, and has not: it wants to be asked less often, or nobody could reach it.
    #[error("{why}")]
    Undone {
        /// What went wrong.
        why: String,
        /// When to come again, where that was said.
        after: Option<Duration>,
    },
}

impl Fault {
    /// When to come again, where that was said.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::Refused(_) | Self::Unknown => None,
            Self::Passing { after, .. } | Self::Undone { after, .. } => *after,
        }
    }
}
