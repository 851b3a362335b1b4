//! Requests made up for tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::account::{Account, Role};
use super::entry::Entry;
use super::id::Id;
use super::trail::{Label, Micros};
use crate::trace::Peer;
use http::HeaderValue;
use measure::metrics::Outcome;
use measure::moment::Moment;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use wire::operation::Operation;

pub(crate) fn millis(count: u64) -> Micros {
    Micros::of(Duration::from_millis(count))
}

/// The second of this number, on the wall's clock.
pub(crate) fn second(number: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(number)
}

pub(crate) fn account(id: &str) -> Account {
    let id = Id::from(&HeaderValue::from_str(id).unwrap());
    let mut account = Account::new(id, Operation::ChatCompletions, Role::Request, Instant::now());
    (account.outcome, account.status) = (Outcome::Ok, 200);
    account
}

/// The request of this number and id, which arrived in the second of that number.
pub(crate) fn named(number: u64, id: &str, change: impl FnOnce(&mut Account)) -> Entry {
    let mut account = account(id);
    change(&mut account);
    let now = Moment { at: account.trail.began(), wall: second(number) };
    Entry::new(number, account, now)
}

pub(crate) fn entry(number: u64, change: impl FnOnce(&mut Account)) -> Entry {
    named(number, &format!("r{number}"), change)
}

/// A target: `provider/model`.
pub(crate) fn label(name: &str) -> Arc<Label> {
    Label::named(name, peer(name))
}

/// What traces say of it.
pub(crate) fn peer(name: &str) -> Peer {
    let (provider, model) = name.split_once('/').unwrap();
    Peer { provider: provider.into(), model: model.into(), server: Some(("api.example.com".into(), 443)) }
}

/// A try at `target` that is under way.
pub(crate) fn attempt(account: &mut Account, target: &str) {
    let began = account.trail.began();
    account.trail.attempt_begins(&label(target), 0, began);
}
