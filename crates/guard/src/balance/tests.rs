//! Which comes first, over many calls and many conversations.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Candidate, Load, Method, order, scatter};
use std::time::{Duration, Instant};

const CALLS: u64 = 20_000;
const SECOND: Duration = Duration::from_secs(1);

/// Healthy candidates of one group with these weights.
fn weighted(weights: &[u32]) -> Vec<Candidate<'static>> {
    let candidate = |(id, &weight)| Candidate { id, priority: 0, weight, healthy: true, load: None };
    (1..).zip(weights).map(candidate).collect()
}

fn by_weights(candidates: &[Candidate<'_>], affinity: Option<u64>, dice: u64) -> Vec<usize> {
    order(candidates, Method::Weights, affinity, dice, Instant::now()).to_vec()
}

/// How often each of `candidates` comes first; `first` gives who does, call by call.
fn shares(candidates: usize, first: impl Fn(u64) -> usize) -> Vec<u64> {
    let mut counts = vec![0; candidates];
    (0..CALLS).for_each(|call| counts[first(call)] += 1);
    counts
}

/// Within five standard deviations of what the weights say.
fn assert_shares(counts: &[u64], weights: &[u32]) {
    let sum: u32 = weights.iter().sum();
    for (&count, &weight) in counts.iter().zip(weights) {
        let share = f64::from(weight) / f64::from(sum);
        let expected = CALLS as f64 * share;
        let off = (count as f64 - expected).abs();
        assert!(off <= 5.0 * (expected * (1.0 - share)).sqrt(), "{counts:?} by {weights:?}");
    }
}

const WEIGHTS: [&[u32]; 6] = [&[1], &[1, 1], &[9, 1], &[1, 2, 3, 4], &[0, 5, 5], &[1000, 1, 0]];

#[test]
fn shares_follow_the_weights() {
    for weights in WEIGHTS {
        let candidates = weighted(weights);
        let counts = shares(weights.len(), |call| by_weights(&candidates, None, scatter(call))[0]);
        assert_shares(&counts, weights);
    }
}

#[test]
fn over_many_conversations_the_weights_hold() {
    for weights in WEIGHTS {
        let candidates = weighted(weights);
        // Keys that differ in a few bits only, as counters do.
        let counts = shares(weights.len(), |key| by_weights(&candidates, Some(key), 0)[0]);
        assert_shares(&counts, weights);
    }
}

#[test]
fn a_conversation_stays_with_its_target_whatever_the_dice_and_the_load() {
    let now = Instant::now();
    let loads = [0; 4].map(|_| Load::new(now));
    let mut candidates = weighted(&[1, 2, 3, 4]);
    candidates.iter_mut().zip(&loads).for_each(|(candidate, load)| candidate.load = Some(load));
    let _busy: Vec<_> = (0..50).map(|call| loads[call % 2].begin()).collect();
    for key in 0..200 {
        let home = order(&candidates, Method::LeastLoaded, Some(key), 0, now);
        assert_eq!(home.to_vec(), by_weights(&candidates, Some(key), key));
        assert!((1..20).all(|dice| order(&candidates, Method::LeastLoaded, Some(key), dice, now) == home));
    }
}

#[test]
fn only_the_conversations_of_a_target_that_fails_move_and_they_come_back() {
    let mut candidates = weighted(&[1, 2, 3, 4]);
    let homes: Vec<_> = (0..2000).map(|key| by_weights(&candidates, Some(key), 0)).collect();
    candidates[2].healthy = false;
    for (key, home) in (0..).zip(&homes) {
        let now = by_weights(&candidates, Some(key), 0);
        let expected: Vec<_> = home.iter().copied().filter(|&index| index != 2).chain([2]).collect();
        assert_eq!(now, expected);
    }
    candidates[2].healthy = true;
    assert!((0..).zip(&homes).all(|(key, home)| by_weights(&candidates, Some(key), 0) == *home));
}

#[test]
fn a_conversation_goes_the_same_way_in_every_replica_and_every_version() {
    let candidates = weighted(&[1, 2, 3, 4]);
    let firsts: Vec<_> = (0..12).map(|key| by_weights(&candidates, Some(key), 0)[0]).collect();
    assert_eq!(firsts, FIRSTS);
}

/// Where conversations 0 to 11 go: never to be changed.
const FIRSTS: [usize; 12] = [2, 2, 3, 2, 1, 3, 3, 2, 1, 3, 1, 3];

#[test]
fn healthy_ones_come_first_then_lower_groups_and_nothing_of_no_weight() {
    let candidate = |(id, healthy, priority, weight)| Candidate { id, priority, weight, healthy, load: None };
    let table = [
        (0, false, 0, 9),
        (1, true, 2, 1),
        (2, true, 1, 1),
        (3, false, 1, 1),
        (4, true, 1, 0),
        (5, true, 2, 1000),
    ];
    let candidates = table.map(candidate);
    for dice in 0..500 {
        for method in [Method::Weights, Method::LeastLoaded] {
            let order = order(&candidates, method, None, scatter(dice), Instant::now());
            assert_eq!((order[0], &order[3..]), (2, &[0, 3][..]));
            assert_eq!(order.len(), 5);
        }
    }
    assert!(by_weights(&[], None, 1).is_empty());
    assert!(by_weights(&weighted(&[0]), None, 1).is_empty());
}

/// Two candidates with the loads given.
fn pair<'a>(loads: &'a [Load; 2], weights: [u32; 2]) -> Vec<Candidate<'a>> {
    let mut candidates = weighted(&weights);
    candidates.iter_mut().zip(loads).for_each(|(candidate, load)| candidate.load = Some(load));
    candidates
}

/// Whether the first of two is tried first, which must not depend on the dice.
fn first_is_preferred(loads: &[Load; 2], weights: [u32; 2], now: Instant) -> bool {
    let candidates = pair(loads, weights);
    let firsts = (0..50).map(|dice| order(&candidates, Method::LeastLoaded, None, scatter(dice), now)[0]);
    let firsts: Vec<_> = firsts.collect();
    assert!(firsts.iter().all(|first| *first == firsts[0]), "{firsts:?}");
    firsts[0] == 0
}

#[test]
fn the_less_loaded_of_two_goes_first() {
    let now = Instant::now();
    for (in_flight, latency_ms, weights, first) in [
        ([3, 1], [100, 100], [1, 1], false),
        ([1, 3], [100, 100], [1, 1], true),
        ([3, 1], [100, 300], [1, 1], true),
        ([3, 1], [100, 100], [4, 1], true),
        ([0, 0], [100, 101], [1, 1], true),
    ] {
        let loads = [(); 2].map(|()| Load::new(now));
        for (load, millis) in loads.iter().zip(latency_ms) {
            load.begin().end(Duration::from_millis(millis), now);
        }
        let _calls: Vec<_> = loads
            .iter()
            .zip(in_flight)
            .flat_map(|(load, calls)| (0..calls).map(|_| load.begin()).collect::<Vec<_>>())
            .collect();
        assert_eq!(
            first_is_preferred(&loads, weights, now),
            first,
            "{in_flight:?} {latency_ms:?} {weights:?}"
        );
    }
}

#[test]
fn two_choices_leave_the_most_loaded_of_many_alone_and_spread_the_rest() {
    let now = Instant::now();
    let loads = [(); 4].map(|()| Load::new(now));
    let mut candidates = weighted(&[1; 4]);
    for (index, load) in loads.iter().enumerate() {
        load.begin().end(Duration::from_millis(100 * (index as u64 + 1)), now);
        candidates[index].load = Some(load);
    }
    let counts = shares(4, |call| order(&candidates, Method::LeastLoaded, None, scatter(call), now)[0]);
    // Of six pairs the fastest is in three, the next is best of two, the third of one.
    assert_eq!(counts[3], 0);
    assert_shares(&counts[..3], &[3, 2, 1]);
}

#[test]
fn a_target_never_measured_is_tried_once_and_then_waited_for() {
    let now = Instant::now();
    let loads = [(); 2].map(|()| Load::new(now));
    loads[1].begin().end(SECOND, now);
    assert!(first_is_preferred(&loads, [1, 1], now));
    let trial = loads[0].begin();
    assert!(!first_is_preferred(&loads, [1, 1], now));
    trial.end(SECOND / 2, now);
    assert!(first_is_preferred(&loads, [1, 1], now));
}

#[test]
fn bad_news_counts_at_once_good_news_bit_by_bit_and_all_of_it_fades() {
    let now = Instant::now();
    let load = Load::new(now);
    let millis = |at: Instant| load.latency(at).unwrap().as_millis();
    assert_eq!(load.latency(now), None);
    load.begin().end(SECOND / 10, now);
    load.begin().end(SECOND, now);
    assert_eq!(millis(now), 1000);
    load.begin().end(SECOND / 10, now + SECOND);
    // e^-0.1 of the old, the rest of the new.
    assert_eq!(millis(now + SECOND), 914);
    assert_eq!(millis(now + 11 * SECOND), 336);
    // A clock that goes backwards neither fades nor brings back.
    assert_eq!(millis(now), 914);
}

#[test]
fn a_call_that_is_dropped_is_over_and_measures_nothing() {
    let now = Instant::now();
    let load = Load::new(now);
    let calls = [load.begin(), load.begin()];
    assert_eq!(load.in_flight(), 2);
    drop(calls);
    assert_eq!((load.in_flight(), load.latency(now)), (0, None));
}
