//! What lasts and what is done later, checked.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Secret;

/// Where what must last is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// `sqlite:PATH` or `postgres://…`; may hold a password.
    pub url: Secret,
    /// A PostgreSQL that follows it; may hold a password.
    pub replica: Option<Secret>,
    /// Longest wait for it; `None`: what is usual for its kind.
    pub wait: Option<Duration>,
    /// Connections to PostgreSQL that are kept; at least 1.
    pub connections: u32,
    /// Connections above those.
    pub overflow: u32,
    /// How old a connection grows.
    pub recycle: Duration,
    /// How long what was used is kept, by the day.
    pub keep_usage: Duration,
}

/// What is done later.
#[derive(Clone, Debug, PartialEq)]
pub struct Jobs {
    /// Jobs of all queues under way at once.
    pub workers_max: u32,
    /// Lines of batches under way at once in this process.
    pub batch_workers_max: u32,
    /// Jobs of one tenant that may wait.
    pub backlog_max: u64,
    /// Largest job that is taken, in bytes.
    pub payload_bytes_max: usize,
    /// Largest result that is kept, in bytes.
    pub result_bytes_max: usize,
    /// How long jobs that are done or cancelled are kept.
    pub keep_done: Duration,
    /// How long dead letters are kept.
    pub keep_dead: Duration,
    /// Every queue that callers may name; `default` and `webhooks` are among them.
    pub queues: BTreeMap<String, JobQueue>,
    /// Calls to applications.
    pub webhook: Webhook,
}

/// A queue.
#[derive(Clone, Debug, PartialEq)]
pub struct JobQueue {
    /// Jobs of it under way at once.
    pub workers_max: u32,
    /// Its share of all workers; at least 1.
    pub weight: u32,
    /// What it may start, over all replicas.
    pub rate: Option<store::jobs::Rate>,
    /// The longest that one attempt may take.
    pub attempt_max: Duration,
}

/// Calls to applications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// What they are signed with; `None`: there are none.
    pub secret: Option<WebhookSecret>,
    /// The longest that one call may take.
    pub timeout: Duration,
    /// Whether addresses that are not public may be called.
    pub private: bool,
}

/// The bytes that webhooks are signed with; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The secret itself, for the one place that signs.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}
