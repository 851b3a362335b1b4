//! The keys of `[store]` and `[jobs]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretText;
use crate::config::quantity::{Size, Span};

/// Where what must last is kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Store {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`; by default `DATABASE_URL`, or else a file in
    /// the data folder.
    pub(in crate::config) url: Option<SecretText>,
    /// A PostgreSQL that follows the other, as `url`: for reads that may be a moment old.
    pub(in crate::config) replica: Option<SecretText>,
    /// Longest wait for it; by default 10 s for SQLite, 30 s for PostgreSQL.
    pub(in crate::config) wait: Option<Span>,
    /// Connections to PostgreSQL that are kept.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) connections: u32,
    /// Connections above those while there is much to do.
    #[schemars(range(min = 0, max = 1000))]
    pub(in crate::config) overflow: u32,
    /// How old a connection grows before another takes its place.
    pub(in crate::config) recycle: Span,
    /// How long what was used and what it cost, by key and day, is kept.
    pub(in crate::config) keep_usage: Span,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: None,
            replica: None,
            wait: None,
            connections: 20,
            overflow: 30,
            recycle: Span::seconds(3600),
            keep_usage: Span::seconds(400 * 86_400),
        }
    }
}

/// What is done later.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Jobs {
    /// Jobs of all queues under way at once in this process.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) workers_max: u32,
    /// Lines of batches under way at once in this process.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) batch_workers_max: u32,
    /// Jobs of one tenant that may wait; whoever adds more is told to come again.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(in crate::config) backlog_max: u64,
    /// Largest job that is taken.
    pub(in crate::config) payload_bytes_max: Size,
    /// Largest result that is kept.
    pub(in crate::config) result_bytes_max: Size,
    /// How long jobs that are done or cancelled are kept.
    pub(in crate::config) keep_done: Span,
    /// How long dead letters are kept.
    pub(in crate::config) keep_dead: Span,
    /// Queues by name; `default` and `webhooks` are always there.
    pub(in crate::config) queues: BTreeMap<String, JobQueue>,
    /// Calls to applications.
    pub(in crate::config) webhook: Webhook,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            workers_max: 100,
            batch_workers_max: 16,
            backlog_max: 1_000_000,
            payload_bytes_max: Size(1 << 20),
            result_bytes_max: Size(8 << 20),
            keep_done: Span::seconds(7 * 86_400),
            keep_dead: Span::seconds(30 * 86_400),
            queues: BTreeMap::new(),
            webhook: Webhook::default(),
        }
    }
}

/// A queue.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct JobQueue {
    /// Jobs of it under way at once in this process.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) workers_max: u32,
    /// Its share of all workers beside the other queues'.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) weight: u32,
    /// Jobs of it that may begin in a second, over all replicas; by default any number.
    #[schemars(range(min = 0.001, max = 1_000_000.0))]
    pub(in crate::config) rate_per_second: Option<f64>,
    /// Jobs that may begin at once after a pause; by default as many as in a second, and one at least.
    #[schemars(range(min = 1.0, max = 1_000_000.0))]
    pub(in crate::config) burst: Option<f64>,
    /// The longest that one attempt may take.
    pub(in crate::config) attempt_max: Span,
}

impl Default for JobQueue {
    fn default() -> Self {
        Self {
            workers_max: 100,
            weight: 1,
            rate_per_second: None,
            burst: None,
            attempt_max: Span::seconds(3600),
        }
    }
}

/// Calls to applications.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Webhook {
    /// What they are signed with: `whsec_` and 24 to 64 bytes in base64. Without it there are none.
    pub(in crate::config) secret: Option<SecretText>,
    /// The longest that one call may take.
    pub(in crate::config) timeout: Span,
    /// Whether addresses that are not public may be called.
    pub(in crate::config) private: bool,
}

impl Default for Webhook {
    fn default() -> Self {
        Self { secret: None, timeout: Span::seconds(15), private: false }
    }
}
