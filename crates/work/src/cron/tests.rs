#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Cron, Invalid};
use jiff::Timestamp;
use proptest::prelude::*;
use store::Time;

fn time(text: &str) -> Time {
    Time(text.parse::<Timestamp>().unwrap().as_millisecond())
}

/// The times that follow `from`, each in UTC.
fn check(pattern: &str, zone: &str, from: &str, expected: &[&str]) {
    let cron = Cron::parse(pattern, zone).unwrap();
    let mut at = time(from);
    for expected in expected {
        at = cron.next(at).unwrap();
        assert_eq!(
            at,
            time(expected),
            "`{pattern}` in {zone} is {}",
            Timestamp::from_millisecond(at.0).unwrap()
        );
    }
}

#[test]
fn five_fields_and_six() {
    check(
        "30 9 * * MON-FRI",
        "UTC",
        "2025-01-03T10:00:00Z",
        &["2025-01-06T09:30:00Z", "2025-01-07T09:30:00Z"],
    );
    check(
        "*/20 0 9 * * *",
        "UTC",
        "2025-01-01T09:00:20.5Z",
        &["2025-01-01T09:00:40Z", "2025-01-02T09:00:00Z"],
    );
    check("0 0 29 2 *", "UTC", "2025-01-01T00:00:00Z", &["2028-02-29T00:00:00Z"]);
    check("0 12 L * *", "UTC", "2025-02-01T00:00:00Z", &["2025-02-28T12:00:00Z", "2025-03-31T12:00:00Z"]);
    // A time itself is not after itself.
    check("0 * * * *", "UTC", "2025-01-01T00:00:00Z", &["2025-01-01T01:00:00Z"]);
}

#[test]
fn the_hour_is_that_of_the_zone() {
    check("0 9 * * *", "America/New_York", "2025-01-15T00:00:00Z", &["2025-01-15T14:00:00Z"]);
    check("0 9 * * *", "America/New_York", "2025-07-15T00:00:00Z", &["2025-07-15T13:00:00Z"]);
    check("0 9 * * *", "Asia/Kathmandu", "2025-01-15T00:00:00Z", &["2025-01-15T03:15:00Z"]);
}

/// In Berlin, 02:00 to 03:00 was missing on 2025-03-30; in New York on 2025-03-09; in Lord Howe half an hour
/// was, from 02:00, on 2025-10-05.
#[test]
fn what_falls_into_a_gap_happens_right_after_it_and_once() {
    let berlin = ["2025-03-29T01:30:00Z", "2025-03-30T01:00:00Z", "2025-03-31T00:30:00Z"];
    check("30 2 * * *", "Europe/Berlin", "2025-03-28T12:00:00Z", &berlin);
    let new_york = ["2025-03-09T07:00:00Z", "2025-03-10T06:00:00Z"];
    check("0 2 * * *", "America/New_York", "2025-03-08T12:00:00Z", &new_york);
    let lord_howe = ["2025-10-04T15:30:00Z", "2025-10-05T15:15:00Z"];
    check("15 2 * * *", "Australia/Lord_Howe", "2025-10-04T00:00:00Z", &lord_howe);
    // The hour before a gap is not in it.
    check(
        "0 1 * * *",
        "Europe/Berlin",
        "2025-03-29T12:00:00Z",
        &["2025-03-30T00:00:00Z", "2025-03-30T23:00:00Z"],
    );
}

/// In Berlin, 02:00 to 03:00 came twice on 2025-10-26.
#[test]
fn what_falls_into_an_overlap_happens_the_first_time_and_once() {
    let berlin = ["2025-10-25T00:30:00Z", "2025-10-26T00:30:00Z", "2025-10-27T01:30:00Z"];
    check("30 2 * * *", "Europe/Berlin", "2025-10-24T12:00:00Z", &berlin);
}

#[test]
fn what_happens_every_so_often_follows_time_not_the_clock() {
    let spring = ["2025-03-30T00:30:00Z", "2025-03-30T01:00:00Z", "2025-03-30T01:30:00Z"];
    check("*/30 * * * *", "Europe/Berlin", "2025-03-30T00:00:00Z", &spring);
    let autumn = ["2025-10-26T00:00:00Z", "2025-10-26T01:00:00Z", "2025-10-26T02:00:00Z"];
    check("0 * * * *", "Europe/Berlin", "2025-10-25T23:30:00Z", &autumn);
}

#[test]
fn what_cannot_be_understood_is_refused_with_the_place() {
    for pattern in
        ["", "* * * *", "60 * * * *", "* * * * * * 2025", "every day", "0 25 * * *", &"1,".repeat(200)]
    {
        let refused = Cron::parse(pattern, "UTC");
        assert!(matches!(refused, Err(Invalid::Pattern { .. })), "`{pattern}`: {refused:?}");
    }
    for zone in ["", "Mars/Olympus", "../../etc/passwd", "+02:00"] {
        assert_eq!(Cron::parse("* * * * *", zone).err(), Some(Invalid::Zone(zone.to_owned())));
    }
}

#[test]
fn a_time_that_never_comes_is_none() {
    assert_eq!(Cron::parse("0 0 30 2 *", "Europe/Berlin").unwrap().next(time("2025-01-01T00:00:00Z")), None);
    assert_eq!(Cron::parse("* * * * *", "UTC").unwrap().next(Time(i64::MAX)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_next_time_is_later_and_nothing_lies_between(
        minute in 0_u32..60, hour in 0_u32..24, from in 0_i64..4_000_000_000,
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"]),
    ) {
        let cron = Cron::parse(&format!("{minute} {hour} * * *"), zone).unwrap();
        let from = Time(from * 1000);
        let next = cron.next(from).unwrap();
        prop_assert!(next > from);
        // Once a day: between two times lie 23 to 25 hours, and a gap's hour more or less.
        prop_assert!(next.since(from).as_secs() <= 26 * 3600);
        prop_assert_eq!(cron.next(Time(next.0 - 1)), Some(next));
    }
}
