#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{ATTEMPTS_MAX, Came, Label, Mark, Micros, Trail};
use crate::observe::stage::{label, peer};
use crate::protect::Reason;
use measure::metrics::AttemptResult;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

/// As milliseconds: who was asked, since when, until when, and what came of it.
fn told(trail: &Trail) -> Vec<(&str, Option<u128>, Option<u128>, Came)> {
    let at = |micros: Option<Micros>| micros.map(|micros| micros.after().as_millis());
    let attempts = trail.attempts().iter();
    attempts
        .map(|attempt| (&*attempt.target.name, at(attempt.began()), at(attempt.ended()), attempt.came))
        .collect()
}

const OK: Came = Came::Ended(AttemptResult::Ok);
const FAILED: Came = Came::Ended(AttemptResult::Failed);
const CANCELLED: Came = Came::Ended(AttemptResult::Cancelled);

#[test]
fn tries_are_told_in_order_with_what_came_of_each() {
    let began = Instant::now();
    let (mut trail, one, other) = (Trail::new(began), label("p/a"), label("p/b"));
    trail.turns(began + MS);
    trail.turned_away(&one, Reason::Breaker, began + MS * 2);
    trail.attempt_begins(&one, 0, began + MS * 3);
    trail.attempt_ends(AttemptResult::Failed, began + MS * 5);
    trail.attempt_begins(&other, 0, began + MS * 6);
    trail.attempt_ends(AttemptResult::Ok, began + MS * 9);
    assert_eq!(
        told(&trail),
        [
            ("p/a", None, Some(2), Came::Closed(Reason::Breaker)),
            ("p/a", Some(3), Some(5), FAILED),
            ("p/b", Some(6), Some(9), OK),
        ]
    );
    assert_eq!((trail.made(), trail.attempts()[2].took().map(Micros::after)), (2, Some(MS * 3)));
}

#[test]
fn beyond_so_many_tries_are_only_counted() {
    let began = Instant::now();
    let (mut trail, target) = (Trail::new(began), label("p/m"));
    for number in 0..20 {
        trail.attempt_begins(&target, 0, began + MS * number);
        trail.attempt_ends(AttemptResult::Failed, began + MS * number);
    }
    assert_eq!((trail.attempts().len(), trail.made()), (ATTEMPTS_MAX, 20));
    assert!(trail.attempts().iter().all(|attempt| attempt.came == FAILED));
}

#[test]
fn what_others_did_is_told_from_where_this_one_stands() {
    let began = Instant::now();
    let (mut flight, target) = (Trail::new(began), label("p/m"));
    flight.passes(Mark::Looked, began + MS * 10);
    flight.passes(Mark::FirstToken, began + MS * 40);
    flight.attempt_begins(&target, 0, began + MS * 20);
    // (arrives so long after the flight began, the look ended, the try began)
    for (late, looked, asked) in [(0, 10, 20), (15, 0, 5), (30, 0, 0)] {
        let mut trail = Trail::new(began + MS * late);
        trail.borrows(&flight);
        assert_eq!(told(&trail), [("p/m", Some(asked), None, Came::UnderWay)]);
        assert_eq!(trail.passed(Mark::Looked), Some(Micros::of(MS * looked)));
        assert_eq!(trail.passed(Mark::FirstToken), None, "that is each one's own");
        trail.others_end(AttemptResult::Ok, began + MS * 50);
        assert_eq!(told(&trail)[0].3, OK);
    }
    let mut leader = Trail::new(began - MS);
    leader.borrows(&flight);
    assert_eq!(told(&leader), [("p/m", Some(21), None, Came::UnderWay)]);
}

#[test]
fn what_was_borrowed_is_told_once_as_it_was_told_last() {
    let began = Instant::now();
    let (mut flight, target) = (Trail::new(began), label("p/m"));
    flight.attempt_begins(&target, 0, began);
    let mut trail = Trail::new(began);
    trail.borrows(&flight);
    flight.attempt_ends(AttemptResult::Failed, began + MS);
    flight.attempt_begins(&target, 0, began + MS * 2);
    flight.attempt_ends(AttemptResult::Ok, began + MS * 3);
    trail.borrows(&flight);
    assert_eq!(told(&trail), [("p/m", Some(0), Some(1), FAILED), ("p/m", Some(2), Some(3), OK)]);
    assert_eq!(trail.made(), 2);
    assert!(trail.attempts().iter().all(|attempt| attempt.borrowed));
    // What it does itself afterwards is its own.
    trail.attempt_begins(&target, 0, began + MS * 4);
    trail.others_end(AttemptResult::Ok, began + MS * 5);
    assert_eq!((told(&trail)[2].3, trail.attempts()[2].borrowed), (Came::UnderWay, false));
}

#[test]
fn a_try_that_was_made_beside_is_taken_over() {
    let began = Instant::now();
    let (mut trail, mut aside) = (Trail::new(began), Trail::new(began + MS * 10));
    trail.attempt_begins(&label("p/a"), 0, began);
    aside.attempt_begins(&label("p/b"), 0, began + MS * 12);
    trail.attempt_ends(AttemptResult::Cancelled, began + MS * 20);
    aside.passes(Mark::FirstToken, began + MS * 15);
    trail.goes_on_as(&mut aside);
    assert_eq!(trail.passed(Mark::FirstToken), Some(Micros::of(MS * 15)), "its first token is this one's");
    trail.attempt_ends(AttemptResult::Ok, began + MS * 30);
    assert_eq!(told(&trail), [("p/a", Some(0), Some(20), CANCELLED), ("p/b", Some(12), Some(30), OK)]);
    assert_eq!((trail.made(), aside.made(), aside.attempts().len()), (2, 0, 0));
    assert!(!trail.attempts()[1].borrowed);
}

#[test]
fn a_try_that_was_made_beside_and_called_off_stands_before_the_one_that_it_lost_to() {
    let began = Instant::now();
    // (tries that failed before, who is told of behind them)
    let both: &[_] = &["p/b", "p/a"];
    for (before, expected) in
        [(0, both), (ATTEMPTS_MAX - 2, both), (ATTEMPTS_MAX - 1, &["p/a"]), (ATTEMPTS_MAX, &[])]
    {
        let (mut trail, mut aside) = (Trail::new(began), Trail::new(began));
        for _ in 0..before {
            trail.attempt_begins(&label("p/failed"), 0, began);
            trail.attempt_ends(AttemptResult::Failed, began);
        }
        trail.attempt_begins(&label("p/a"), 0, began);
        aside.attempt_begins(&label("p/b"), 0, began + MS * 2);
        aside.attempt_ends(AttemptResult::Cancelled, began + MS * 3);
        trail.calls_off(&mut aside);
        let names: Vec<_> = trail.attempts().iter().map(|attempt| &*attempt.target.name).collect();
        assert_eq!((&names[before..], trail.made() as usize), (expected, before + 2));
    }
    let mut nobodys = Trail::new(began);
    nobodys.calls_off(&mut Trail::new(began));
    assert!(nobodys.attempts().is_empty());
}

#[test]
fn time_stands_still_where_it_cannot_be_told_any_more() {
    let late = Micros::of(Duration::from_secs(100_000));
    assert_eq!(late, Micros::of(Duration::MAX));
    let began = Instant::now();
    let mut trail = Trail::new(began);
    trail.passes(Mark::Read, began + Duration::from_secs(100_000));
    assert_eq!(trail.passed(Mark::Read), Some(late));
}

#[test]
fn a_name_that_a_caller_chose_is_counted_with_others() {
    assert_eq!(label("p/m").counted(), "p/m");
    let label = Label::unnamed("p/invented", "p/other", peer("p/other"));
    assert_eq!((&*label.name, label.counted()), ("p/invented", "p/other"));
}
