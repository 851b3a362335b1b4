//! The labelled pairs, so that what they taught is not unlearnt. The figures themselves are told by
//! `scripts/semantic-eval`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

/// How many of a file's pairs are taken for the same, and how many there are.
fn taken(pairs: &str) -> (usize, usize) {
    let mut taken = 0;
    for line in pairs.lines() {
        let pair: serde_json::Value = serde_json::from_str(line).unwrap();
        let (a, b) = (pair["a"].as_str().unwrap(), pair["b"].as_str().unwrap());
        let (Ok(one), Ok(two)) = (Question::read(a), Question::read(b)) else { continue };
        assert!(compare(&one, &one).is_ok() && compare(&two, &two).is_ok(), "not itself: {a} / {b}");
        let same = compare(&one, &two).is_ok();
        assert_eq!(same, compare(&two, &one).is_ok(), "not symmetric: {a} / {b}");
        taken += usize::from(same);
    }
    (taken, pairs.lines().count())
}

#[test]
fn no_near_miss_is_taken_for_the_same() {
    let (taken, all) = taken(include_str!("../../../data/semantic/near_misses.jsonl"));
    assert!(taken == 0 && all > 350, "{taken} of {all}");
}

#[test]
fn most_paraphrases_are() {
    let (taken, all) = taken(include_str!("../../../data/semantic/paraphrases.jsonl"));
    assert!(taken * 10 > all * 6 && all > 200, "{taken} of {all}");
}

#[test]
fn hardly_an_attack_succeeds() {
    // Idioms and a company named like a fruit: see the pairs.
    let (taken, all) = taken(include_str!("../../../data/semantic/attacks.jsonl"));
    assert!(taken <= 3 && all > 150, "{taken} of {all}");
}
