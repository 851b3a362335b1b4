//! What was used and what it cost, by key and day.

use crate::Answer;

/// A day's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Days since 1970 in UTC.
    pub day: i32,
    /// The key's public part; empty where there are no keys.
    pub key: String,
    /// Whose it is.
    pub tenant: String,
    /// The alias, or `provider/model`.
    pub model: String,
    /// Requests answered.
    pub requests: u64,
    /// Of those, from the cache.
    pub hits: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Tokens read and written.
    pub tokens_in: u64,
    #[expect(missing_docs, reason = "said above")]
    pub tokens_out: u64,
    /// Millionths of a US dollar.
    pub cost_micro_usd: u64,
}

/// Which rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// From this day on.
    pub from: i32,
    /// Up to this day, and with it.
    pub to: i32,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of this key.
    pub key: Option<String>,
}

/// The rows of usage.
pub trait Ledger: Send + Sync {
    /// Adds to what is there, all in one step. `part` makes a repetition harmless: what was added under the
    /// same word before is not added again.
    fn add(&self, part: &str, usage: Vec<Usage>) -> Answer<'_, ()>;

    /// What was used, by day, key, tenant and model; so many rows at most.
    fn read(&self, filter: Filter, most: u32) -> Answer<'_, Vec<Usage>>;

    /// Forgets the rows of days before `before`, the oldest first and so many at most; says how many those were.
    fn purge(&self, before: i32, limit: u32) -> Answer<'_, u64>;
}
