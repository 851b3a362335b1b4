#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const HITS: Count = Count::MemoryHits;

fn minute(number: u64) -> Millis {
    Millis((29_000_000 + number) * 60_000)
}

#[test]
fn the_hour_slides_minute_by_minute() {
    let stats = Stats::default();
    // One in the first minute, two in the second, and so on.
    for number in 0..90 {
        stats.add(HITS, number + 1, minute(number));
        let hour = number.saturating_sub(59)..=number;
        let sum: u64 = hour.map(|number| number + 1).sum();
        assert_eq!(stats.summary(minute(number)).get(HITS), sum, "minute {number}");
    }
    for (now, sum) in [(89, (31..=90).sum::<u64>()), (100, (42..=90).sum()), (148, 90), (149, 0), (10_000, 0)]
    {
        assert_eq!(stats.summary(minute(now)).get(HITS), sum, "at {now}");
    }
}

#[test]
fn a_minute_lasts_sixty_seconds() {
    let stats = Stats::default();
    let first = minute(0);
    stats.add(HITS, 1, first);
    stats.add(HITS, 1, Millis(first.0 + 59_999));
    stats.add(HITS, 1, Millis(first.0 + 60_000));
    assert_eq!(stats.summary(minute(59)).get(HITS), 3);
    assert_eq!(stats.summary(minute(60)).get(HITS), 1);
}

#[test]
fn an_hour_later_a_row_begins_anew() {
    let stats = Stats::default();
    stats.add(HITS, 5, minute(0));
    stats.add(Count::Misses, 5, minute(0));
    stats.add(HITS, 1, minute(60));
    let summary = stats.summary(minute(60));
    assert_eq!((summary.get(HITS), summary.get(Count::Misses)), (1, 0));
}

#[test]
fn what_lies_ahead_does_not_count() {
    let stats = Stats::default();
    stats.add(HITS, 1, minute(5));
    assert_eq!(stats.summary(minute(4)).get(HITS), 0);
    assert_eq!(stats.summary(minute(5)).get(HITS), 1);
    assert_eq!(stats.summary(Millis(0)).get(HITS), 0);
}

#[test]
fn counts_do_not_mix() {
    let stats = Stats::default();
    let now = minute(0);
    let counts = [HITS, Count::RedisHits, Count::Misses, Count::SavedBytes, Count::SavedMicroUsd];
    for (count, by) in counts.into_iter().zip(1..) {
        stats.add(count, by, now);
    }
    for (count, by) in counts.into_iter().zip(1..) {
        assert_eq!(stats.summary(now).get(count), by, "{count:?}");
    }
    assert_eq!(stats.summary(now).get(Count::DiskHits), 0);
}

#[test]
fn rates_and_means_are_told_once_there_is_something_to_tell() {
    let stats = Stats::default();
    let now = minute(0);
    let empty = stats.summary(now);
    assert_eq!(empty.hit_rate(), None);
    assert_eq!(empty.mean_seconds(Count::Keys, Count::KeyNanos), None);
    assert_eq!(empty.compression_ratio(), None);

    let hits = [HITS, Count::RedisHits, Count::DiskHits, Count::SemanticHits, Count::Coalesced];
    hits.into_iter().for_each(|count| stats.add(count, 3, now));
    stats.add(Count::Misses, 5, now);
    stats.add(Count::Bypassed, 100, now);
    stats.took(Count::Keys, Count::KeyNanos, Duration::from_micros(1), now);
    stats.took(Count::Keys, Count::KeyNanos, Duration::from_micros(3), now);
    stats.add(Count::StoredBytes, 1000, now);
    stats.add(Count::HeldBytes, 250, now);

    let summary = stats.summary(now);
    assert_eq!(summary.hits(), 15);
    assert_eq!(summary.hit_rate(), Some(0.75));
    let mean = summary.mean_seconds(Count::Keys, Count::KeyNanos).unwrap();
    assert!((mean - 2e-6).abs() < 1e-12);
    assert_eq!(summary.compression_ratio(), Some(4.0));
}

#[test]
fn nothing_is_lost_between_threads_within_a_minute() {
    let stats = Stats::default();
    stats.add(HITS, 0, minute(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..50_000).for_each(|_| stats.add(HITS, 1, minute(0))));
        }
    });
    assert_eq!(stats.summary(minute(0)).get(HITS), 100_000);
}
