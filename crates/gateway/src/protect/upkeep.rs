//! What operators and the control thread do to all targets at once.

use super::{Account, Lane, LaneKey, Protection};
use guard::breaker::{Breaker, State};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// What a configuration has.
#[derive(Debug, Default)]
pub struct Roster {
    /// Its providers with their credentials.
    pub accounts: HashSet<u64>,
    /// The targets that an alias judges by a strategy of its own. All others of a known account may still be
    /// asked for, as callers name a provider's models as they like.
    pub judged: HashSet<LaneKey>,
}

/// Which breakers are meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Which<'a> {
    /// Those of this provider; `None`: of any.
    pub provider: Option<&'a str>,
    /// Those of this model of it; `*` is what is not told apart.
    pub model: Option<&'a str>,
    /// Those of this operation on it.
    pub operation: Option<&'a str>,
}

impl Which<'_> {
    fn is(&self, provider: &str, model: &str, operation: &str) -> bool {
        let is = |wanted: Option<&str>, has: &str| wanted.is_none_or(|wanted| wanted == has);
        is(self.provider, provider) && is(self.model, model) && is(self.operation, operation)
    }
}

impl Protection {
    /// Visits each provider with each of its credentials.
    pub fn for_each_account(&self, visit: impl FnMut(&Arc<Account>)) {
        let accounts: Vec<_> = self.accounts().values().map(Arc::clone).collect();
        accounts.iter().for_each(visit);
    }

    /// When each account was last heard of by a request.
    pub fn heard(&self) -> HashMap<u64, Instant> {
        let mut heard = HashMap::new();
        self.for_each(|lane| {
            if let Some(at) = lane.seen.heard() {
                let last = heard.entry(lane.credential).or_insert(at);
                *last = at.max(*last);
            }
        });
        heard
    }

    /// Closes breakers, with a clean record; says how many were not closed.
    pub fn reset(&self, which: Which<'_>, now: Instant) -> usize {
        let mut count = 0;
        let mut reset = |breaker: &Breaker| {
            count += usize::from(breaker.state(now) != State::Closed);
            breaker.reset(now);
        };
        self.for_each(|Lane { provider, model, operation, breaker, rest, .. }| {
            if which.is(provider, model, operation) {
                reset(breaker);
                rest.is_over();
            }
        });
        self.for_each_account(|account| {
            if which.is(&account.provider, "*", "*") {
                reset(&account.breaker);
            }
        });
        count
    }

    /// Forgets what has not been used for long, and what the configuration no longer has. To be called now and
    /// then: a request that began before a reload may bring something back until it ends.
    pub fn tidy(&self, roster: &Roster, now: Instant) {
        self.lanes.sweep(now);
        self.lanes.retain(|key, lane| {
            roster.accounts.contains(&key.account) && (lane.alias.is_none() || roster.judged.contains(key))
        });
        self.accounts().retain(|key, _| roster.accounts.contains(key));
    }

    fn accounts(&self) -> std::sync::MutexGuard<'_, super::Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
