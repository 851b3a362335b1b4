#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use std::collections::HashSet;

#[test]
fn a_word_stands_in_one_group_of_synonyms() {
    let mut seen = Map::<String, &str>::default();
    for line in lines(include_str!("synonyms.txt")) {
        let stems: HashSet<String> = line.split_whitespace().map(stem).collect();
        for stem in stems {
            let before = seen.insert(stem.clone(), line);
            assert!(before.is_none(), "{stem} is in {:?} and {line:?}", before.unwrap());
        }
    }
}

#[test]
fn no_synonyms_are_opposites() {
    for line in lines(include_str!("synonyms.txt")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for (a, b) in words.iter().zip(words.iter().skip(1)) {
            assert!(!are_opposites(&stem(a), &stem(b)), "{a} and {b}");
        }
    }
}

#[test]
fn a_phrase_has_one_meaning() {
    let mut seen = HashSet::new();
    for line in lines(include_str!("phrases.txt")) {
        let (left, right) = line.split_once('>').unwrap();
        assert!(!right.trim().is_empty() || !left.trim().is_empty());
        for said in left.split('|') {
            assert!(seen.insert(said.trim()), "{said:?} stands twice");
        }
    }
}

#[test]
fn synonyms_share_a_stem_whatever_their_form() {
    for (a, b) in [("deleting", "removed"), ("purchase", "bought"), ("kids", "child"), ("colours", "color")] {
        assert_eq!(canonical(a), canonical(b));
    }
    assert_ne!(canonical("increase"), canonical("decrease"));
}

#[test]
fn opposites_are_known_either_way() {
    for (a, b) in [("enable", "disable"), ("best", "worst"), ("row", "column"), ("mother", "father")] {
        assert!(are_opposites(&stem(a), &stem(b)) && are_opposites(&stem(b), &stem(a)), "{a} and {b}");
        assert!(!are_opposites(&stem(a), &stem(a)));
    }
}
