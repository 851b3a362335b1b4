#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{line, spans};
use crate::observe::account::Account;
use crate::observe::stage::{self, label};
use crate::observe::trail::{Mark, Trail};
use crate::protect::Reason;
use measure::metrics::AttemptResult;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Each step as `name target result from–to`, in milliseconds.
fn told(account: &Account) -> Vec<String> {
    let at = |at: Duration| at.as_millis().to_string();
    let words = |span: &super::Span<'_>| {
        let named = [Some(span.step), span.target, span.result].into_iter().flatten();
        let to = span.to.map_or_else(|| "…".to_owned(), |to| at(to.after()));
        format!("{} {}–{to}", named.collect::<Vec<_>>().join(" "), at(span.from.after()))
    };
    spans(account).iter().map(words).collect()
}

/// A request that took so many milliseconds.
fn request(total: u64, fill_in: impl FnOnce(&mut Trail)) -> Account {
    let mut account = stage::account("r1");
    account.total = stage::millis(total);
    fill_in(&mut account.trail);
    account
}

fn passes(trail: &mut Trail, marks: &[(Mark, u32)]) {
    let began = trail.began();
    marks.iter().for_each(|(mark, at)| trail.passes(*mark, began + MS * *at));
}

#[test]
fn a_hit_is_told_without_anybody_asked() {
    let account = request(5, |trail| {
        let marks = [(Mark::Identified, 1), (Mark::Read, 2), (Mark::Planned, 3), (Mark::Remembered, 4)];
        passes(trail, &marks);
        passes(trail, &[(Mark::Answered, 5)]);
    });
    assert_eq!(told(&account), ["identify 0–1", "read 1–2", "plan 2–3", "memory 3–4", "answer 4–5"]);
}

#[test]
fn waiting_and_asking_are_told_of_each_try() {
    let account = request(100, |trail| {
        let began = trail.began();
        passes(trail, &[(Mark::Planned, 2), (Mark::Answered, 90)]);
        trail.turns(began + MS * 3);
        trail.turned_away(&label("p/a"), Reason::Breaker, began + MS * 4);
        trail.turns(began + MS * 4);
        trail.attempt_begins(&label("p/b"), 0, began + MS * 10);
        trail.attempt_ends(AttemptResult::TimedOut, began + MS * 50);
        trail.turns(began + MS * 55);
        trail.attempt_begins(&label("p/c"), 0, began + MS * 60);
        trail.attempt_ends(AttemptResult::Ok, began + MS * 80);
    });
    assert_eq!(
        told(&account),
        [
            "plan 0–2",
            "queue p/a breaker_open 3–4",
            "queue p/b 4–10",
            "attempt p/b timed_out 10–50",
            "queue p/c 55–60",
            "attempt p/c ok 60–80",
            "answer 80–100",
        ]
    );
}

#[test]
fn of_two_tries_at_once_each_is_told_when_it_began_whichever_was_called_off() {
    let mut account = request(100, |trail| {
        let began = trail.began();
        trail.attempt_begins(&label("p/a"), 0, began + MS * 10);
        let mut aside = Trail::new(began);
        aside.attempt_begins(&label("p/b"), 0, began + MS * 30);
        aside.attempt_ends(AttemptResult::Cancelled, began + MS * 40);
        trail.calls_off(&mut aside);
        passes(trail, &[(Mark::Answered, 40), (Mark::FirstToken, 45)]);
        trail.attempt_ends(AttemptResult::Cut, began + MS * 90);
    });
    account.stream = true;
    let expected =
        ["attempt p/a cut 10–90", "attempt p/b cancelled 30–40", "first_token 10–45", "stream 45–100"];
    assert_eq!(told(&account), expected);
}

#[test]
fn a_stream_is_told_from_its_first_token() {
    let mut account = request(100, |trail| {
        let began = trail.began();
        trail.attempt_begins(&label("p/m"), 0, began + MS);
        passes(trail, &[(Mark::Answered, 20), (Mark::FirstToken, 21)]);
    });
    account.stream = true;
    assert_eq!(told(&account), ["attempt p/m under_way 1–…", "first_token 1–21", "stream 21–100"]);
    let mut silent = request(100, |trail| passes(trail, &[(Mark::Answered, 20)]));
    silent.stream = true;
    assert_eq!(told(&silent), ["stream 20–100"]);
}

#[test]
fn what_others_did_before_it_came_takes_no_time_of_its_own() {
    let account = request(10, |trail| {
        let mut flight = Trail::new(trail.began() - MS * 50);
        passes(&mut flight, &[(Mark::Looked, 10)]);
        passes(trail, &[(Mark::Remembered, 3)]);
        trail.borrows(&flight);
    });
    assert_eq!(told(&account), ["memory 0–3", "tiers 3–3"]);
}

#[test]
fn a_line_leaves_out_what_took_no_time() {
    let account = request(1000, |trail| {
        let began = trail.began();
        passes(trail, &[(Mark::Identified, 1), (Mark::Read, 200)]);
        trail.turns(began + MS * 200);
        trail.attempt_begins(&label("p/m"), 0, began + MS * 205);
        trail.attempt_ends(AttemptResult::Failed, began + MS * 1000);
    });
    assert_eq!(line(&account), "read 199.0ms, attempt p/m failed 795.0ms");
}
