//! Sums of what was used: added up, bounded, written once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::pending::Pending;
use super::sheet::Sum;
use super::{Books, sweep, today};
use crate::auth::Principal;
use crate::observe::trail::Mark;
use crate::observe::{Account, Role, stage};
use crate::remember::status::Status;
use cache::tier::TierName;
use measure::metrics::Outcome;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::usage::{Filter, Ledger, Usage};
use store::{Answer, Error};
use wire::openai;

fn holder(key: &str) -> Arc<Principal> {
    Arc::new(Principal { key: Some(key.into()), tenant: "search".into() })
}

/// A request of who has this key, that has ended well.
fn of(key: &str) -> Account {
    Account { who: Some(holder(key)), ..of_anyone() }
}

fn of_anyone() -> Account {
    let mut account = stage::account("r1");
    account.trail.passes(Mark::Identified, account.trail.began());
    account
}

/// One request of `key` on a worker, with what it came to.
fn used(books: &Books, worker: usize, key: &str, model: &str, outcome: Outcome, tokens: Option<(u64, u64)>) {
    let mut account = Account { outcome, ..of(key) };
    if let Some((input, output)) = tokens {
        account.used(&openai::Usage { input, output, ..openai::Usage::default() }, Some(input + output));
    }
    books.sheet(worker).note(&model.into(), &account);
}

/// A ledger that keeps what it is told, and says so or not.
#[derive(Default)]
struct Kept {
    parts: Mutex<Vec<(String, Vec<Usage>)>>,
    away: Mutex<Option<Error>>,
    /// Rows that are old.
    old: Mutex<u64>,
    /// Which days were to be forgotten, and how many rows were.
    purged: Mutex<Vec<(i32, u64)>>,
}

impl Ledger for Kept {
    fn add(&self, part: &str, usage: Vec<Usage>) -> Answer<'_, ()> {
        self.parts.lock().unwrap().push((part.to_owned(), usage));
        let answer = self.away.lock().unwrap().clone().map_or(Ok(()), Err);
        Box::pin(async { answer })
    }

    fn read(&self, _: Filter, _: u32) -> Answer<'_, Vec<Usage>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn purge(&self, before: i32, limit: u32) -> Answer<'_, u64> {
        let mut old = self.old.lock().unwrap();
        let forgotten = (*old).min(limit.into());
        *old -= forgotten;
        self.purged.lock().unwrap().push((before, forgotten));
        Box::pin(async move { Ok(forgotten) })
    }
}

fn row(key: &str, model: &str) -> Usage {
    Usage {
        day: today(),
        key: key.to_owned(),
        tenant: "search".to_owned(),
        model: model.to_owned(),
        requests: 0,
        hits: 0,
        failed: 0,
        tokens_in: 0,
        tokens_out: 0,
        cost_micro_usd: 0,
    }
}

/// A flight's use is paid by its own account, once, whatever became of those who waited.
#[tokio::test]
async fn a_call_that_several_waited_for_is_paid_once_and_is_no_request() {
    let usage = openai::Usage { input: 10, output: 20, ..openai::Usage::default() };
    let account = |role, pays| {
        let mut account = Account { role, pays, outcome: Outcome::Ok, ..of("a") };
        account.used(&usage, Some(30));
        account
    };
    let (books, ledger) = (Books::new(1), Kept::default());
    for told in [account(Role::Errand, true), account(Role::Errand, false), account(Role::Request, false)] {
        books.sheet(0).note(&"smart".into(), &told);
    }
    books.flush(&ledger).await.unwrap();
    let rows = ledger.parts.lock().unwrap().remove(0).1;
    let once = Usage { requests: 1, tokens_in: 10, tokens_out: 20, cost_micro_usd: 30, ..row("a", "smart") };
    assert_eq!(rows, [once]);
}

#[tokio::test]
async fn what_workers_have_seen_is_added_up_by_key_and_model() {
    let (books, ledger) = (Books::new(2), Kept::default());
    used(&books, 0, "a", "smart", Outcome::Ok, Some((10, 20)));
    used(&books, 1, "a", "smart", Outcome::ProviderError, Some((1, 0)));
    used(&books, 1, "a", "other", Outcome::CallerError, None);
    used(&books, 0, "b", "smart", Outcome::CallerLeft, None);
    books.flush(&ledger).await.unwrap();
    let smart = Usage {
        requests: 2,
        failed: 1,
        tokens_in: 11,
        tokens_out: 20,
        cost_micro_usd: 31,
        ..row("a", "smart")
    };
    let expected = [
        Usage { requests: 1, failed: 1, ..row("a", "other") },
        smart,
        // Who leaves has not failed.
        Usage { requests: 1, ..row("b", "smart") },
    ];
    let parts = ledger.parts.into_inner().unwrap();
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].1, expected);
}

#[tokio::test]
async fn a_hit_counts_and_costs_nothing() {
    let (books, ledger) = (Books::new(1), Kept::default());
    let account = Account { cache: Some(Status::Hit(TierName::Memory)), ..of("a") };
    books.sheet(0).note(&"smart".into(), &account);
    books.flush(&ledger).await.unwrap();
    assert_eq!(ledger.parts.lock().unwrap()[0].1, [Usage { requests: 1, hits: 1, ..row("a", "smart") }]);
}

#[tokio::test]
async fn a_part_that_is_not_known_to_have_arrived_goes_out_again_as_it_was() {
    let (books, ledger) = (Books::new(1), Kept::default());
    *ledger.away.lock().unwrap() = Some(Error::Away("gone".to_owned()));
    used(&books, 0, "a", "smart", Outcome::Ok, None);
    assert!(books.flush(&ledger).await.is_err());
    used(&books, 0, "a", "smart", Outcome::Ok, None);
    *ledger.away.lock().unwrap() = None;
    books.flush(&ledger).await.unwrap();
    let parts = ledger.parts.into_inner().unwrap();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[0], parts[1], "the same, under the same word");
    assert_ne!(parts[1].0, parts[2].0);
    assert!(!books.is_owed());
}

#[tokio::test]
async fn what_the_store_will_never_take_does_not_hold_up_the_rest() {
    let (books, ledger) = (Books::new(1), Kept::default());
    *ledger.away.lock().unwrap() = Some(Error::Refused("no".to_owned()));
    used(&books, 0, "a", "smart", Outcome::Ok, None);
    assert!(books.flush(&ledger).await.is_err());
    assert!(!books.is_owed());
}

#[tokio::test]
async fn callers_without_a_key_are_counted_only_once_there_is_a_store() {
    let (books, ledger) = (Books::new(1), Kept::default());
    let ask = || books.sheet(0).note(&"smart".into(), &of_anyone());
    ask();
    assert!(!books.is_owed());
    books.count_anyone();
    ask();
    books.flush(&ledger).await.unwrap();
    let expected = Usage { tenant: String::new(), requests: 1, ..row("", "smart") };
    assert_eq!(ledger.parts.lock().unwrap()[0].1, [expected]);
}

#[tokio::test(start_paused = true)]
async fn days_that_are_long_over_are_forgotten_some_rows_at_a_time() {
    let ledger = Arc::new(Kept { old: Mutex::new(1200), ..Kept::default() });
    let first = today() - 400;
    let sweep = sweep(Arc::<Kept>::clone(&ledger), Duration::from_secs(400 * 86_400));
    let _ = tokio::time::timeout(Duration::from_secs(1000), sweep).await;
    let (days, forgotten): (Vec<i32>, Vec<u64>) = ledger.purged.lock().unwrap().drain(..).unzip();
    assert_eq!(forgotten, [500, 500, 200, 0]);
    assert!(days.iter().all(|day| (first..=first + 1).contains(day)), "{days:?}");
}

#[test]
fn a_request_of_which_nobody_knows_whose_it_was_is_not_counted() {
    let books = Books::new(1);
    books.count_anyone();
    books.sheet(0).note(&"smart".into(), &stage::account("r1"));
    assert!(!books.is_owed());
}

/// However many models a caller invents and however long the store is away.
#[test]
fn sums_stay_right_where_there_is_no_room_for_rows() {
    let books = Books::new(1);
    for model in 0..40_000 {
        used(&books, 0, "a", &format!("m{model}"), Outcome::Ok, None);
    }
    let mut rows = (0, 0);
    books.sheet(0).take(|_, _, sum| rows = (rows.0 + 1, rows.1 + sum.requests));
    assert!(rows.0 < 20_000 && rows.1 == 40_000, "{rows:?}");

    let mut pending = Pending::default();
    let sum = Sum { requests: 1, ..Sum::default() };
    for key in 0..150_000 {
        pending.add(1, &Some(holder(&format!("k{key}"))), "smart", &sum);
    }
    let (_, part) = pending.outgoing().unwrap();
    assert!(part.len() <= 100_001, "{}", part.len());
    assert_eq!(part.iter().map(|row| row.requests).sum::<u64>(), 150_000);
}
