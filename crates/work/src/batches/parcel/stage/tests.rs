#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Next, Notes, Sight, Want};
use crate::batches::courier::{Remote, RemoteState};
use std::time::Duration;
use store::Time;

const NOW: Time = Time(1_000_000);

fn notes() -> Notes {
    Notes::new("openai/m".to_owned(), NOW)
}

fn packed() -> Notes {
    Notes { file: Some("file-1".to_owned()), ..notes() }
}

fn tried() -> Notes {
    let mut notes = packed();
    notes.tried(NOW);
    notes
}

fn sent() -> Notes {
    let mut notes = tried();
    notes.created("batch_1".to_owned(), NOW);
    notes
}

/// In a word: `pack`, `return`, …
fn word(next: &Next) -> &'static str {
    match next {
        Next::Unread => "unread",
        Next::Pack => "pack",
        Next::Create => "create",
        Next::Recover => "recover",
        Next::See => "see",
        Next::Return(_) => "return",
        Next::End => "end",
    }
}

#[test]
fn what_comes_next_follows_from_what_is_written() {
    let check = |notes: Notes, expected: [&str; 3]| {
        let found = [Want::Read, Want::Run, Want::Stop].map(|want| notes.next(want));
        assert_eq!(found.each_ref().map(word), expected, "{notes:?}");
    };
    check(notes(), ["unread", "pack", "end"]);
    check(packed(), ["unread", "create", "end"]);
    check(tried(), ["unread", "recover", "recover"]);
    check(sent(), ["unread", "see", "see"]);
    check(Notes { is_empty: true, ..notes() }, ["end"; 3]);
    check(Notes { why: Some(String::new()), ..packed() }, ["return"; 3]);
    check(Notes { attempt: 9, ..notes() }, ["unread", "return", "end"]);
    check(Notes { made: NOW.0 - 900_000, ..notes() }, ["unread", "pack", "end"]);
}

#[test]
fn a_batch_that_was_not_created_is_tried_anew() {
    let mut notes = tried();
    notes.not_created();
    assert_eq!((notes.attempt, &notes.file), (2, &None));
    assert_eq!(notes.next(Want::Run), Next::Pack);
}

#[test]
fn a_try_that_came_to_nothing_is_none_and_needs_no_other_file() {
    let mut notes = tried();
    notes.undone();
    assert_eq!(notes, packed());
    assert_eq!(notes.next(Want::Run), Next::Create);
}

#[test]
fn tries_that_nothing_is_heard_of_take_a_quarter_of_an_hour() {
    let mut notes = tried();
    let mut pauses = Vec::new();
    while !matches!(notes.next(Want::Run), Next::Return(_)) {
        notes.tried(NOW);
        pauses.push(notes.pause(None).as_secs());
        notes.not_created();
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
    let told = [1, 60, 86_400].map(|after| tried().pause(Some(Duration::from_secs(after))).as_secs());
    assert_eq!(told, [5, 60, 300]);
}

#[test]
fn patience_begins_with_the_first_failure_and_anew_with_each_success() {
    let mut notes = notes();
    let at = |seconds: i64| Time(NOW.0 + seconds * 1000);
    assert!(!notes.failed(at(5000)), "however long nobody had asked");
    assert!(!notes.failed(at(5899)));
    assert!(notes.failed(at(5900)));
    notes.created("batch_1".to_owned(), at(5901));
    assert!(!notes.failed(at(6000)));
}

#[test]
fn a_try_is_on_its_way_for_some_minutes() {
    let check = |seconds: i64, expected| {
        assert_eq!(tried().on_its_way(Time(NOW.0 + seconds * 1000)).as_secs(), expected, "{seconds}");
    };
    check(0, 300);
    check(400, 200);
    check(600, 0);
    assert!(packed().on_its_way(NOW).is_zero());
}

#[test]
fn what_is_seen_at_the_provider_is_waited_for_fetched_or_given_back() {
    let files = |count: usize| vec!["file-out".to_owned(); count];
    let check = |state, count, want, seconds: i64, expected: &str| {
        let remote = Remote { id: "batch_1".to_owned(), state, files: files(count), why: None };
        let sight = match sent().sight(Some(&remote), want, Time(NOW.0 + seconds * 1000)) {
            Sight::Wait(pause) => format!("wait {}", pause.as_secs()),
            Sight::Cancel(pause) => format!("cancel {}", pause.as_secs()),
            Sight::Fetch => "fetch".to_owned(),
            Sight::Return(_) => "return".to_owned(),
        };
        assert_eq!(sight, expected, "{remote:?} {want:?}");
    };
    use RemoteState::{Failed, Over, Running};
    check(Running, 0, Want::Run, 0, "wait 1");
    check(Running, 0, Want::Run, 100, "wait 10");
    check(Running, 0, Want::Run, 86_400, "wait 60");
    check(Running, 0, Want::Stop, 86_400, "cancel 5");
    check(Over, 2, Want::Run, 5, "fetch");
    check(Over, 0, Want::Stop, 5, "fetch");
    check(Failed, 0, Want::Run, 5, "return");
    check(Failed, 1, Want::Run, 5, "fetch");
    assert!(matches!(sent().sight(None, Want::Run, NOW), Sight::Return(_)), "it is not there any more");
}

#[test]
fn notes_are_read_as_they_were_written() {
    let mut written = sent();
    written.outputs = vec!["file-2".to_owned()];
    assert_eq!(serde_json::from_slice::<Notes>(&written.to_json()).unwrap(), written);
}
