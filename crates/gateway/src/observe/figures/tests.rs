#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Figures;
use crate::auth::Principal;
use crate::observe::Entry;
use crate::observe::account::{Account, Role, Tokens};
use crate::observe::stage::{self, label, peer};
use crate::observe::trail::{Label, Mark, Trail};
use crate::observe::tray::{Batch, Gaps};
use crate::remember::status::Status;
use cache::tier::TierName;
use measure::live::{Figure, Kind, Rates, ScopeId, Window};
use measure::metrics::AttemptResult;
use measure::moment::Moment;
use std::sync::Arc;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn figures() -> Figures {
    Figures::new(8 << 20, Moment::now())
}

/// A request by alias `smart` of key `tg-1` that took 100 ms and so many tokens.
fn request(fill_in: impl FnOnce(&mut Account)) -> Account {
    let mut account = stage::account("r1");
    (account.route, account.is_alias) = (Some("smart".into()), true);
    account.who = Some(Arc::new(Principal { key: Some("tg-1".into()), tenant: "acme".into() }));
    (account.total, account.overhead) = (stage::millis(100), stage::millis(1));
    account.tokens = Tokens { input: 30, output: 10, cached: 0 };
    fill_in(&mut account);
    account
}

fn tries(account: &mut Account, target: &Arc<Label>, result: AttemptResult) {
    let began = account.trail.began();
    account.trail.attempt_begins(target, 0, began + MS * 10);
    account.trail.attempt_ends(result, began + MS * 50);
}

fn rates(figures: &Figures, kind: Kind, name: &str) -> Rates {
    let scope = figures.live().find(kind, name).unwrap_or_else(|| panic!("{kind:?} {name}"));
    figures.reading(scope, Window::S10).rates
}

fn count(figures: &Figures, kind: Kind, name: &str, figure: Figure) -> u64 {
    let scope = figures.live().find(kind, name).unwrap_or_else(|| panic!("{kind:?} {name}"));
    figures.live().read(scope, figure, Window::S10).count
}

#[test]
fn a_request_counts_for_all_its_route_its_alias_and_its_key() {
    let mut figures = figures();
    figures.note(&request(|account| account.cache = Some(Status::Hit(TierName::Memory))));
    for (kind, name) in [(Kind::All, ""), (Kind::Route, "smart"), (Kind::Alias, "smart"), (Kind::Key, "tg-1")]
    {
        let rates = rates(&figures, kind, name);
        assert_eq!((rates.requests, rates.cache_hit_rate, rates.tokens_in), (1, Some(1.0), 30), "{kind:?}");
        assert_eq!(count(&figures, kind, name, Figure::Total), 1);
        assert_eq!(count(&figures, kind, name, Figure::Overhead), 1);
    }
    assert_eq!(figures.live().scopes(Kind::Target).count(), 0);
}

#[test]
fn a_target_that_fails_shows_so_where_another_answers() {
    let mut figures = figures();
    figures.note(&request(|account| {
        tries(account, &label("p/bad"), AttemptResult::Failed);
        tries(account, &label("p/good"), AttemptResult::Ok);
    }));
    let (bad, good) = (rates(&figures, Kind::Target, "p/bad"), rates(&figures, Kind::Target, "p/good"));
    assert_eq!((bad.error_rate, bad.tokens_in, good.error_rate, good.tokens_in), (1.0, 0, 0.0, 30));
    assert_eq!(rates(&figures, Kind::All, "").error_rate, 0.0);
    assert_eq!(count(&figures, Kind::All, "", Figure::External), 2);
    assert_eq!(count(&figures, Kind::Target, "p/good", Figure::Total), 1);
}

#[test]
fn of_two_tries_at_once_the_answer_is_the_ones_that_was_not_called_off_however_it_ended() {
    for result in [AttemptResult::Ok, AttemptResult::Cut, AttemptResult::Cancelled] {
        let mut figures = figures();
        let request = request(|account| {
            let (began, trail) = (account.trail.began(), &mut account.trail);
            trail.attempt_begins(&label("p/quick"), 0, began + MS * 10);
            let mut aside = Trail::new(began);
            aside.attempt_begins(&label("p/late"), 0, began + MS * 20);
            aside.attempt_ends(AttemptResult::Cancelled, began + MS * 40);
            trail.calls_off(&mut aside);
            trail.first_token(began + MS * 45);
            trail.attempt_ends(result, began + MS * 50);
        });
        figures.note(&request);
        for (target, tokens_in, counted) in [("p/quick", 30, 1), ("p/late", 0, 0)] {
            assert_eq!(rates(&figures, Kind::Target, target).tokens_in, tokens_in, "{result:?} {target}");
            for figure in [Figure::Total, Figure::FirstToken] {
                assert_eq!(count(&figures, Kind::Target, target, figure), counted, "{result:?} {target}");
            }
        }
        assert_eq!(Entry::new(0, request, Moment::now()).target(), Some("p/quick"), "{result:?}");
    }
}

#[test]
fn a_refusal_of_our_own_credentials_is_no_fault_of_the_callers() {
    for (status, error_rate) in [(400, 0.0), (401, 1.0), (402, 1.0), (403, 1.0), (404, 0.0)] {
        let mut figures = figures();
        figures.note(&request(|account| {
            account.trail.attempt_begins(&label("p/m"), 0, account.trail.began());
            account.trail.responded(status);
            account.trail.attempt_ends(AttemptResult::Refused, account.trail.began() + MS);
        }));
        assert_eq!(rates(&figures, Kind::Target, "p/m").error_rate, error_rate, "{status}");
    }
}

#[test]
fn a_call_that_several_waited_for_is_one() {
    let (mut figures, target) = (figures(), label("p/m"));
    let flight = request(|account| {
        account.role = Role::Errand;
        tries(account, &target, AttemptResult::Ok);
    });
    for _ in 0..5 {
        figures.note(&request(|account| {
            account.trail.borrows(&flight.trail);
            account.pays = false;
        }));
    }
    figures.note(&flight);
    let joint = |account: &mut Account| (account.role, account.pays) = (Role::Errand, false);
    figures.note(&request(joint));
    for (kind, name) in [(Kind::All, ""), (Kind::Route, "smart"), (Kind::Key, "tg-1")] {
        let rates = rates(&figures, kind, name);
        assert_eq!((rates.requests, rates.tokens_in, rates.tokens_out), (5, 30, 10), "{kind:?}");
    }
    assert_eq!(rates(&figures, Kind::Target, "p/m").requests, 1);
    assert_eq!(count(&figures, Kind::All, "", Figure::External), 1);
    assert_eq!(count(&figures, Kind::Target, "p/m", Figure::Total), 5);
}

#[test]
fn a_line_of_a_providers_batch_is_counted_and_not_timed() {
    let (mut figures, target) = (figures(), label("p/m"));
    let flight = request(|account| {
        account.role = Role::Errand;
        account.trail.given(&target, 0, account.trail.began());
    });
    figures.note(&request(|account| {
        account.trail.borrows(&flight.trail);
        account.pays = false;
    }));
    figures.note(&flight);
    for (kind, name, requests) in [(Kind::All, "", 1), (Kind::Alias, "smart", 1), (Kind::Target, "p/m", 0)] {
        let rates = rates(&figures, kind, name);
        assert_eq!((rates.requests, rates.tokens_in, rates.error_rate), (requests, 30, 0.0), "{kind:?}");
        for figure in [Figure::Total, Figure::External, Figure::Overhead] {
            assert_eq!(count(&figures, kind, name, figure), 0, "{kind:?} {figure:?}");
        }
    }
}

#[test]
fn names_that_callers_invent_make_no_scopes() {
    let mut figures = figures();
    for number in 0..100_000 {
        let target = Label::unnamed(&format!("sim/{number}"), "sim/other", peer("sim/other"));
        figures.note(&request(|account| {
            (account.route, account.is_alias, account.who) = (None, false, None);
            account.asked_in_vain(&number.to_string());
            tries(account, &target, AttemptResult::Ok);
        }));
    }
    let held = figures.live().held();
    assert_eq!((held.scopes, held.dropped), (3, 0), "all, the route other and the target sim/other");
    assert_eq!(rates(&figures, Kind::Target, "sim/other").requests, 100_000);
}

#[test]
fn first_tokens_are_told_from_the_arrival_and_from_the_asking() {
    let mut figures = figures();
    figures.note(&request(|account| {
        let (began, trail) = (account.trail.began(), &mut account.trail);
        trail.attempt_begins(&label("p/m"), 0, began + MS * 10);
        trail.passes(Mark::FirstToken, began + MS * 30);
        trail.first_token(began + MS * 30);
        trail.attempt_ends(AttemptResult::Ok, began + MS * 50);
    }));
    let near = |scope, expected: u64| {
        let found = figures.live().read(scope, Figure::FirstToken, Window::S10);
        let off = found.max.abs_diff(MS * expected as u32);
        assert!(found.count == 1 && off < MS, "{found:?}");
    };
    near(ScopeId::ALL, 30);
    near(figures.live().find(Kind::Target, "p/m").unwrap(), 20);
}

#[test]
fn a_lookup_is_told_with_its_tiers_and_without_what_came_between() {
    let mut figures = figures();
    figures.note(&request(|account| {
        let began = account.trail.began();
        let at = [(Mark::Planned, 5), (Mark::Remembered, 7), (Mark::Admitted, 20), (Mark::Looked, 30)];
        at.into_iter().for_each(|(mark, at)| account.trail.passes(mark, began + MS * at));
    }));
    let found = figures.live().read(ScopeId::ALL, Figure::Cache, Window::S10);
    assert!(found.max.abs_diff(MS * 12) < MS, "{found:?}");
}

#[test]
fn gaps_count_for_whoever_had_to_wait_and_for_the_target() {
    let mut figures = figures();
    let mut micros = Batch::default();
    micros.add(MS * 3);
    micros.add(MS * 4);
    figures.between_tokens(&Gaps {
        route: Some("smart".into()),
        is_alias: true,
        who: None,
        target: Some(label("p/m")),
        micros,
    });
    for (kind, name) in [(Kind::All, ""), (Kind::Alias, "smart"), (Kind::Target, "p/m")] {
        assert_eq!(count(&figures, kind, name, Figure::BetweenTokens), 2, "{kind:?}");
    }
}

#[test]
fn every_ending_of_a_try_is_somebodys() {
    let mut figures = figures();
    let target = label("p/m");
    for result in AttemptResult::ALL {
        figures.note(&request(|account| tries(account, &target, result)));
    }
    let outcomes = rates(&figures, Kind::Target, "p/m").outcomes;
    assert_eq!((outcomes.ok, outcomes.caller_error, outcomes.caller_left), (1, 1, 1));
    assert_eq!((outcomes.gateway_error, outcomes.provider_error), (1, 5));
    figures.note(&request(|account| stage::attempt(account, "p/m")));
    assert_eq!(rates(&figures, Kind::Target, "p/m").requests, 9, "one under way has not ended");
}
