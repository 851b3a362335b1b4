//! What answers lines: handed in by whoever has models.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use store::Time;

/// Answers a line. It must not block its thread. Dropping the future calls the question off.
pub type Ask = Arc<dyn Fn(Question) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync>;

/// What a line asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whose it is.
    pub tenant: String,
    /// On behalf of which key; `None`: of nobody in particular.
    pub key: Option<String>,
    /// `/v1/chat/completions`.
    pub endpoint: String,
    /// What the caller calls it.
    pub custom_id: String,
    /// The same in every attempt, and in no other line: `batch_req_…`.
    pub id: String,
    /// The body, as the caller wrote it.
    pub body: Vec<u8>,
    /// Of no use any more after.
    pub deadline: Time,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was answered, be it by a refusal.
    Answered(Answer),
    /// Nobody was asked, as nobody may be now: that costs no try.
    Busy {
        /// When to come again, where that is known.
        after: Option<Duration>,
    },
    /// The process is about to end, and nothing was begun.
    Leaving,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As HTTP has them.
    pub status: u16,
    /// The request's id, as the answer names it.
    pub request_id: String,
    /// JSON.
    pub body: Vec<u8>,
    /// When to come again, as whoever answered has said (`Retry-After`).
    pub after: Option<Duration>,
}

impl Answer {
    /// Whether what was asked was done.
    #[must_use]
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
