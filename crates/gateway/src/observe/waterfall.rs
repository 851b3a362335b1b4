//! A trail as a picture: what was done from when to when, in the order in which it began. Pure.

use super::account::Account;
use super::trail::{Attempt, Came, Mark, Micros, Trail};
use crate::protect::Reason;
use guard::gate;
use std::fmt::Write as _;

/// A step of a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    /// What was done.
    pub step: &'static str,
    /// With whom, if with anybody.
    pub target: Option<&'a str>,
    /// Since when.
    pub from: Micros,
    /// Until when; `None`: it went on when this was told.
    pub to: Option<Micros>,
    /// What came of it, of a try.
    pub result: Option<&'static str>,
}

/// The steps that follow one another before anybody is asked, each up to its mark.
const STEPS: [(Mark, &str); 8] = [
    (Mark::Identified, "identify"),
    (Mark::Read, "read"),
    (Mark::Planned, "plan"),
    (Mark::Remembered, "memory"),
    (Mark::Admitted, "admit"),
    (Mark::Looked, "tiers"),
    (Mark::Compared, "semantic"),
    (Mark::Claimed, "claim"),
];

/// The steps of a request that is over.
pub fn spans(account: &Account) -> Vec<Span<'_>> {
    let trail = &account.trail;
    let mut spans = Vec::with_capacity(12);
    let mut last = Micros::ZERO;
    for (mark, step) in STEPS {
        if let Some(at) = trail.passed(mark) {
            // What others did for it may have begun before it came.
            let to = at.max(last);
            spans.push(Span { step, target: None, from: last, to: Some(to), result: None });
            last = to;
        }
    }
    for attempt in in_order(trail.attempts()) {
        last = last.max(of_attempt(attempt, &mut spans).unwrap_or(last));
    }
    of_answer(account, last, &mut spans);
    spans
}

/// Tries as they began: of two that were made at once, a trail has the one that was called off before the other.
fn in_order(attempts: &[Attempt]) -> Vec<&Attempt> {
    let mut attempts: Vec<_> = attempts.iter().collect();
    attempts.sort_by_key(|attempt| attempt.turned().or(attempt.began()).or(attempt.ended()));
    attempts
}

/// Waiting for a target, and asking it; when that ended.
fn of_attempt<'a>(attempt: &'a Attempt, spans: &mut Vec<Span<'a>>) -> Option<Micros> {
    let (turned, began, ended) = (attempt.turned(), attempt.began(), attempt.ended());
    let target = Some(&*attempt.target.name);
    if let Some(from) = turned {
        let result = began.is_none().then(|| name(attempt.came));
        spans.push(Span { step: "queue", target, from, to: began.or(ended), result });
    }
    if let Some(from) = began {
        spans.push(Span { step: "attempt", target, from, to: ended, result: Some(name(attempt.came)) });
    }
    ended
}

fn of_answer<'a>(account: &'a Account, last: Micros, spans: &mut Vec<Span<'a>>) {
    let trail = &account.trail;
    let Some(answered) = trail.passed(Mark::Answered) else { return };
    let span = |step, from, to| Span { step, target: None, from, to: Some(to), result: None };
    if !account.stream {
        return spans.push(span("answer", last.min(answered), account.total.max(answered)));
    }
    let first = trail.passed(Mark::FirstToken);
    if let (Some(first), Some(asked)) = (first, asked(trail)) {
        spans.push(span("first_token", asked.min(first), first));
    }
    let from = first.unwrap_or(answered);
    spans.push(span("stream", from, account.total.max(from)));
}

/// When whoever answered was asked.
fn asked(trail: &Trail) -> Option<Micros> {
    Trail::answered(trail.asked())?.began()
}

/// What came of a try, in a word.
pub fn name(came: Came) -> &'static str {
    match came {
        Came::UnderWay => "under_way",
        Came::Ended(result) => result.name(),
        Came::Given => "given",
        Came::Closed(Reason::Breaker) => "breaker_open",
        Came::Closed(Reason::Limit) => "limit",
        Came::Closed(Reason::Queue(gate::Reason::Full)) => "queue_full",
        Came::Closed(Reason::Queue(gate::Reason::TooLate)) => "queue_too_long",
        Came::Closed(Reason::Queue(gate::Reason::Dropped)) => "queue_dropped",
    }
}

/// Where the time went, in a line: what took a hundredth of it or more.
pub fn line(account: &Account) -> String {
    let total = account.total.after();
    let mut line = String::new();
    for span in spans(account) {
        let took = span.to.unwrap_or(account.total).after().saturating_sub(span.from.after());
        if took < total / 100 {
            continue;
        }
        let separator = if line.is_empty() { "" } else { ", " };
        let (target, result) = (span.target.unwrap_or_default(), span.result.unwrap_or_default());
        let words = [span.step, target, result].into_iter().filter(|word| !word.is_empty());
        // Writing to a text never fails.
        let _ = write!(line, "{separator}{} {took:.1?}", words.collect::<Vec<_>>().join(" "));
    }
    line
}

#[cfg(test)]
mod tests;
