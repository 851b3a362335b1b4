//! What a quota promises, one behaviour a test. Beside a simulation that steps by the nanosecond: `model`;
//! with real threads: `threads`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Bucket, Level, Rate, Short, Slots, reserve};
use std::time::{Duration, Instant};

mod model;
mod threads;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const NANO: Duration = Duration::from_nanos(1);

/// A bucket of a hundred a minute, full, and the moment it is from.
fn hundred() -> (Bucket, Instant) {
    let now = Instant::now();
    (Bucket::new(Rate::per_minute(100), now), now)
}

/// Takes for good, or tells how long to wait.
fn take(bucket: &Bucket, amount: u64, now: Instant) -> Result<(), Duration> {
    bucket.reserve(amount, now).map(drop).map_err(|short| short.wait)
}

fn remaining(bucket: &Bucket, now: Instant) -> u64 {
    bucket.level(now).remaining
}

#[test]
fn a_full_bucket_gives_its_amount_and_then_what_flows_in() {
    let (bucket, now) = hundred();
    assert_eq!(take(&bucket, 100, now), Ok(()));
    assert_eq!(take(&bucket, 1, now), Err(MINUTE / 100));
    assert_eq!(take(&bucket, 50, now), Err(MINUTE / 2));
    assert_eq!(take(&bucket, 50, now + MINUTE / 2 - NANO), Err(NANO));
    assert_eq!(take(&bucket, 50, now + MINUTE / 2), Ok(()));
    assert_eq!(remaining(&bucket, now + 10 * MINUTE), 100);
}

#[test]
fn a_refusal_takes_nothing() {
    let (bucket, now) = hundred();
    take(&bucket, 60, now).unwrap();
    for _ in 0..1000 {
        assert!(take(&bucket, 41, now).is_err());
    }
    assert_eq!(take(&bucket, 40, now), Ok(()));
}

#[test]
fn the_level_is_told_as_the_headers_tell_it() {
    let (bucket, now) = hundred();
    let level = |remaining, reset| Level { limit: 100, remaining, reset };
    assert_eq!(bucket.level(now), level(100, Duration::ZERO));
    take(&bucket, 30, now).unwrap();
    assert_eq!(bucket.level(now), level(70, 18 * SECOND));
    assert_eq!(bucket.level(now + SECOND), level(71, 17 * SECOND));
    bucket.charge(171, now + SECOND);
    assert_eq!(bucket.level(now + SECOND), level(0, 120 * SECOND - 400 * SECOND / 1000));
}

#[test]
fn what_was_used_beyond_the_reservation_is_paid_back_by_time() {
    let (bucket, now) = hundred();
    bucket.reserve(10, now).unwrap().settle(&[250], now);
    assert_eq!(take(&bucket, 1, now), Err(MINUTE * 151 / 100));
    assert_eq!(take(&bucket, 0, now), Err(MINUTE * 150 / 100));
    assert_eq!(take(&bucket, 1, now + MINUTE * 151 / 100), Ok(()));
}

#[test]
fn what_was_not_used_is_credited_and_never_overfills() {
    let (bucket, now) = hundred();
    let early = bucket.reserve(60, now).unwrap();
    bucket.reserve(40, now).unwrap().settle(&[15], now);
    assert_eq!(remaining(&bucket, now), 25);
    early.settle(&[0], now + MINUTE);
    assert_eq!(remaining(&bucket, now + MINUTE), 100);
}

#[test]
fn refunded_it_is_as_though_nothing_had_been_asked_and_dropped_it_stays_taken() {
    let (bucket, now) = hundred();
    bucket.reserve(60, now).unwrap().refund(now);
    assert_eq!(remaining(&bucket, now), 100);
    drop(bucket.reserve(60, now).unwrap());
    assert_eq!(remaining(&bucket, now), 40);
}

#[test]
fn what_is_spilt_never_leaves_a_debt_and_what_is_credited_never_overfills() {
    let (bucket, now) = hundred();
    assert_eq!(bucket.spill(30, now), 30);
    assert_eq!(bucket.spill(80, now), 70);
    assert_eq!(bucket.spill(80, now + SECOND), 1, "whole units only");
    bucket.charge(50, now + SECOND);
    assert_eq!(bucket.spill(1, now + SECOND), 0);
    bucket.credit(60, now + SECOND);
    assert_eq!(remaining(&bucket, now + SECOND), 10);
    bucket.credit(1000, now + SECOND);
    assert_eq!(remaining(&bucket, now + SECOND), 100);
}

#[test]
fn an_amount_above_the_capacity_waits_for_a_full_bucket_and_leaves_a_debt() {
    let (bucket, now) = hundred();
    take(&bucket, 1, now).unwrap();
    assert_eq!(take(&bucket, 1000, now), Err(MINUTE / 100));
    assert_eq!(take(&bucket, 1000, now + MINUTE / 100), Ok(()));
    assert_eq!(take(&bucket, 1, now + MINUTE / 100), Err(MINUTE * 901 / 100));
}

#[test]
fn all_buckets_are_taken_from_or_none() {
    let now = Instant::now();
    let buckets = [10, 1000, 5].map(|amount| Bucket::new(Rate::per_minute(amount), now));
    let [requests, tokens, provider] = &buckets;
    let ask = |many| reserve(&[(requests, 1), (tokens, many), (provider, 1)], now);
    assert_eq!(ask(1001).map(drop), Ok(()));
    assert_eq!(ask(1).unwrap_err(), Short { index: 1, wait: MINUTE * 2 / 1000 });
    assert_eq!([9, 0, 4], [requests, tokens, provider].map(|bucket| remaining(bucket, now)));
}

#[test]
fn the_bucket_that_takes_longest_is_told() {
    let now = Instant::now();
    let buckets = [10, 6, 20].map(|amount| Bucket::new(Rate::per_minute(amount), now));
    let parts = buckets.each_ref().map(|bucket| (bucket, 1));
    buckets.iter().for_each(|bucket| bucket.charge(20, now));
    let short = reserve(&parts, now).unwrap_err();
    assert_eq!(short, Short { index: 1, wait: MINUTE * 15 / 6 });
    assert_eq!(reserve(&parts, now + short.wait - NANO).unwrap_err(), Short { index: 1, wait: NANO });
    assert!(reserve(&parts, now + short.wait).is_ok());
}

#[test]
fn a_bucket_named_twice_is_asked_for_the_sum() {
    let (bucket, now) = hundred();
    let other = Bucket::new(Rate::per_minute(7), now);
    let short = reserve(&[(&bucket, 60), (&other, 1), (&bucket, 41)], now + NANO);
    assert!(short.is_ok(), "101 of a full hundred is had, as any amount above the capacity");
    short.unwrap().settle(&[30, 2, 31], now + NANO);
    assert_eq!((remaining(&bucket, now + NANO), remaining(&other, now + NANO)), (39, 5));
    assert_eq!(reserve(&[(&bucket, 20), (&bucket, 20)], now + NANO).unwrap_err().index, 0);
}

#[test]
fn a_part_that_is_not_settled_stays_as_reserved() {
    let (bucket, now) = hundred();
    let other = bucket.clone();
    reserve(&[(&bucket, 10), (&other, 10)], now).unwrap().settle(&[1], now);
    assert_eq!(remaining(&bucket, now), 89);
}

#[test]
fn a_clock_that_goes_backwards_brings_nothing() {
    let (bucket, now) = hundred();
    take(&bucket, 100, now + 10 * SECOND).unwrap();
    assert_eq!(remaining(&bucket, now), 0);
    // The wait is counted from the caller's moment.
    assert_eq!(take(&bucket, 5, now), Err(13 * SECOND));
    assert_eq!(take(&bucket, 5, now + 13 * SECOND), Ok(()));
}

#[test]
fn a_new_rate_leaves_full_what_was_full_and_in_debt_what_was_in_debt() {
    for (before, charged, after, remains, reset) in [
        (100, 0, 10, 10, Duration::ZERO),
        (100, 50, 10, 5, 30 * SECOND),
        (100, 50, 1000, 500, 30 * SECOND),
        (100, 200, 10, 0, 120 * SECOND),
        (0, 0, 10, 10, Duration::ZERO),
        (10, 5, 0, 0, Duration::ZERO),
    ] {
        let now = Instant::now();
        let bucket = Bucket::new(Rate::per_minute(before), now);
        bucket.charge(charged, now);
        bucket.set_rate(Rate::per_minute(after), now);
        assert_eq!(
            bucket.level(now),
            Level { limit: after, remaining: remains, reset },
            "{before} to {after}"
        );
    }
}

#[test]
fn a_rate_of_nothing_lets_nothing_through() {
    let now = Instant::now();
    let bucket = Bucket::new(Rate::per_minute(0), now);
    assert_eq!(take(&bucket, 1, now), Err(Duration::MAX));
    assert_eq!(take(&bucket, 0, now), Ok(()));
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let ages = Duration::from_secs(1 << 62);
    for rate in [
        Rate { amount: u64::MAX, per: Duration::MAX },
        Rate { amount: u64::MAX, per: Duration::ZERO },
        Rate { amount: 1, per: Duration::MAX },
    ] {
        let now = Instant::now();
        let later = now.checked_add(ages).unwrap_or(now + 1_000_000_000 * SECOND);
        let bucket = Bucket::new(rate, now);
        bucket.reserve(u64::MAX, now).unwrap().settle(&[0], now);
        assert_eq!(remaining(&bucket, now), rate.amount);
        (0..10).for_each(|_| bucket.charge(u64::MAX, now));
        assert!(take(&bucket, u64::MAX, now).is_err());
        bucket.set_rate(Rate::per_minute(u64::MAX), now);
        bucket.set_rate(rate, now);
        assert!(bucket.level(later).remaining <= rate.amount);
    }
}

#[test]
fn slots_are_given_up_to_their_number_and_come_back() {
    let slots = Slots::new(2);
    let (first, second) = (slots.take().unwrap(), slots.take().unwrap());
    assert!(slots.take().is_none());
    drop(first);
    let third = slots.take().unwrap();
    slots.set_limit(1);
    drop(second);
    assert!(slots.take().is_none());
    assert_eq!((slots.limit(), slots.taken()), (1, 1));
    drop(third);
    let more = (slots.take().unwrap(), slots.occupy());
    assert_eq!(slots.taken(), 2);
    drop(more);
    assert!(Slots::new(0).take().is_none());
}
