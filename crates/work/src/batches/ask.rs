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
    Answered {
        /// As HTTP has them.
        status: u16,
        /// The request's id, as the answer names it.
        request_id: String,
        /// JSON.
        body: Vec<u8>,
        /// When to come again, as whoever answered has said (`Retry-After`).
        after: Option<Duration>,
    },
    /// Nobody was asked, as there is no room now: that costs no try.
    Busy {
        /// Why, for people.
        message: String,
        /// When to come again.
        after: Option<Duration>,
    },
}
