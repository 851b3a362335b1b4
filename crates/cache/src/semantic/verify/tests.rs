#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::semantic::words;

fn read(text: &str) -> Reading {
    Reading::of(&mut words::split(text))
}

#[track_caller]
fn check(a: &str, b: &str, same: bool) {
    let (one, two) = (read(a), read(b));
    assert_eq!(verify(&one, &two).is_ok(), same, "{a} / {b}\n{one:?}\n{two:?}");
    assert_eq!(verify(&two, &one).is_ok(), same, "not symmetric: {a} / {b}");
}

#[test]
fn other_words_for_the_same_are_explained() {
    for (a, b) in [
        ("How do I delete a file?", "Please tell me how to remove a file"),
        ("What is the capital of Kenya?", "what's Kenya's capital"),
        ("In Rust, how do I read a file?", "How do I read a file in Rust?"),
        ("How do I sort a list in Python?", "How can I sort a Python list?"),
        ("How tall is K2?", "What is the height of K2?"),
        ("What is the difference between TCP and UDP?", "How is UDP different from TCP?"),
        ("Fly from Oslo to Rome", "Fly to Rome from Oslo"),
        ("When did they build the Eiffel Tower?", "When was the Eiffel Tower built?"),
    ] {
        check(a, b, true);
    }
}

#[test]
fn what_is_left_over_refuses() {
    for (a, b) in [
        ("How do I delete a file?", "How do I delete a file permanently?"),
        ("Fly from Oslo to Rome", "Fly from Rome to Oslo"),
        ("Is Python faster than Java?", "Is Java faster than Python?"),
        ("Who beat Spain?", "Who did Spain beat?"),
        ("Can I eat it?", "Should I eat it?"),
        ("How do I cook for kids?", "How do kids cook?"),
        ("Who won the election?", "Who will win the election?"),
        ("How do I delete my data?", "How do I delete your data?"),
        ("List all files", "List some files"),
        ("When was it signed?", "Where was it signed?"),
    ] {
        check(a, b, false);
    }
}

proptest::proptest! {
    #[test]
    fn a_question_is_the_same_as_itself(text in "[a-z]{2,9}( [a-z0-9,.'?-]{1,9}){1,12}") {
        let reading = read(&text);
        proptest::prop_assert!(reading.terms().next().is_none() || verify(&reading, &reading).is_ok());
    }

    #[test]
    fn the_order_of_the_two_does_not_matter(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "how", "do", "i", "what", "is", "the", "file", "of", "in", "python", "not", "to", "delete", "remove",
                "who", "was", "made", "by", "a", "kenya's", "capital", "and", "difference", "between", "all",
            ]),
            2..9,
        ),
        swap in 0..8_usize,
    ) {
        let mut other = words.clone();
        let at = swap % words.len();
        other.swap(0, at);
        let (a, b) = (read(&words.join(" ")), read(&other.join(" ")));
        proptest::prop_assert_eq!(verify(&a, &b), verify(&b, &a));
    }
}
