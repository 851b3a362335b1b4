//! A request as it is kept: its account, with what it would be too dear to hold on to replaced. An id is a slice of
//! the request's whole head, so that it is copied; names are shared with the configuration that they are of.
//! Nothing is allocated for it where its id is no longer than those that are made here.

use super::account::{Account, Role};
use super::trail::{ATTEMPT_BYTES, Micros, Trail};
use http::HeaderValue;
use measure::metrics::Outcome;
use measure::moment::Moment;
use smallvec::SmallVec;
use std::time::{Duration, SystemTime};

/// Room for an id as they are made here: `req_` and 32 digits.
const ID_BYTES: usize = 40;

/// One request that is kept.
#[derive(Debug)]
pub struct Entry {
    /// Its place among all that were told: they are numbered as they end.
    pub number: u64,
    /// When it arrived.
    pub at: SystemTime,
    id: SmallVec<[u8; ID_BYTES]>,
    /// The rest; without the id.
    pub account: Account,
}

impl Entry {
    /// Keeps an account.
    pub fn new(number: u64, mut account: Account, now: Moment) -> Self {
        let ago = now.at.saturating_duration_since(account.trail.began());
        let at = now.wall.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
        let id = SmallVec::from_slice(account.id.as_bytes());
        account.id = const { HeaderValue::from_static("") };
        Self { number, at, id, account }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        // It was read as one before it was taken for the request's.
        std::str::from_utf8(&self.id).unwrap_or_default()
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
        size_of::<Self>() + self.id.len() + model + names + account.trail.attempts().len() * ATTEMPT_BYTES
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
