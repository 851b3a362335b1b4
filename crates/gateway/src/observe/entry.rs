//! A request as it is kept: its account, and its place among all. Names are shared with the configuration that they
//! are of.

use super::account::{Account, Role};
use super::trail::{ATTEMPT_BYTES, Micros, Trail};
use measure::metrics::Outcome;
use measure::moment::Moment;
use std::time::{Duration, SystemTime};

/// One request that is kept.
#[derive(Debug)]
pub struct Entry {
    /// Its place among all that were told: they are numbered as they end.
    pub number: u64,
    /// When it arrived.
    pub at: SystemTime,
    /// The rest.
    pub account: Account,
}

impl Entry {
    /// Keeps an account.
    pub fn new(number: u64, account: Account, now: Moment) -> Self {
        let ago = now.at.saturating_duration_since(account.trail.began());
        let at = now.wall.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
        Self { number, at, account }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.account.id.as_str()
    }

    /// Whether we or a provider failed it. A caller's fault is none of these, or whoever sends nonsense would
    /// drive out what is worth looking at.
    pub fn is_failed(&self) -> bool {
        debug_assert_eq!(self.account.role, Role::Request);
        matches!(self.account.outcome, Outcome::ProviderError | Outcome::GatewayError)
    }

    /// Whether it took longer than `slow`.
    pub fn is_slow(&self, slow: Duration) -> bool {
        self.account.total > Micros::of(slow)
    }

    /// Bytes that it takes, about.
    pub fn weight(&self) -> usize {
        let account = &self.account;
        let model = account.model.as_deref().map_or(0, str::len);
        let names: usize = account.trail.attempts().iter().map(|attempt| attempt.target.name.len()).sum();
        size_of::<Self>()
            + account.id.as_bytes().len()
            + model
            + names
            + account.trail.attempts().len() * ATTEMPT_BYTES
    }

    /// What stands in a status column: what was sent, or what would have been to a caller who left before.
    pub fn status(&self) -> u16 {
        match self.account.status {
            0 => 499,
            status => status,
        }
    }

    /// Who answered, or was asked last, if anybody was.
    pub fn target(&self) -> Option<&str> {
        Trail::answered(self.account.trail.asked()).map(|attempt| &*attempt.target.name)
    }

    /// What the cache had to do with it, as its answer's head says.
    pub fn cache(&self) -> Option<String> {
        let header = self.account.cache?.header();
        header.to_str().ok().map(str::to_owned)
    }
}
