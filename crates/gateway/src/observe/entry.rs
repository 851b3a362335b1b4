//! A request as it is kept: its account, and its place among all. Names are shared with the configuration that they
//! are of.

use super::account::Account;
use super::trail::{ATTEMPT_BYTES, Trail};
use measure::moment::Moment;
use std::time::SystemTime;

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
