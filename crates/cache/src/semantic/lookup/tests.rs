#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::semantic::embed::{Embedder, Lexical};

const HERE: Fingerprint = Fingerprint::from_bytes([1; 32]);
const ANSWER: Key = Key::from_bytes([9; 32]);

fn tier(accept: Accept) -> Semantic {
    let audit = audit::Options { share: 1.0, ..audit::Options::default() };
    Semantic::new(Options { accept, audit, ..Options::default() })
}

fn read(text: &str) -> (Question, Vector) {
    (Question::read(text).unwrap(), Lexical.embed_blocking(text).unwrap())
}

fn insert(tier: &Semantic, text: &str, key: Key) {
    let (question, vector) = read(text);
    tier.insert(&HERE, &question, &vector, key);
}

fn ask(tier: &Semantic, text: &str) -> Outcome {
    let (question, vector) = read(text);
    tier.lookup(&HERE, &question, &vector)
}

#[track_caller]
fn hit(outcome: Outcome) -> Hit {
    match outcome {
        Outcome::Hit(hit) => hit,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn candidate(outcome: Outcome) -> Candidate {
    match outcome {
        Outcome::Candidate(candidate) => candidate,
        other => panic!("{other:?}"),
    }
}

const STORED: &str = "How do I delete a file in Linux?";
const SAME: &str = "In Linux, how can I remove a file?";

#[test]
fn the_verifier_accepts_at_once() {
    let tier = tier(Accept::Local);
    insert(&tier, STORED, ANSWER);
    let hit = hit(ask(&tier, SAME));
    assert_eq!((hit.key, hit.by, hit.category, hit.to_audit), (ANSWER, By::Verifier, Form::How, true));
}

#[test]
fn what_was_accepted_is_found_by_its_text() {
    let tier = tier(Accept::Local);
    insert(&tier, STORED, ANSWER);
    assert!(tier.alias(&HERE, SAME).is_none());
    hit(ask(&tier, SAME));
    let found = tier.alias(&HERE, SAME).unwrap();
    assert_eq!((found.key, found.by), (ANSWER, By::Alias));
    assert!(tier.alias(&Fingerprint::from_bytes([2; 32]), SAME).is_none(), "another partition");
}

#[test]
fn other_partitions_are_not_looked_into() {
    let tier = tier(Accept::Local);
    let (question, vector) = read(STORED);
    tier.insert(&Fingerprint::from_bytes([2; 32]), &question, &vector, ANSWER);
    assert!(matches!(ask(&tier, STORED), Outcome::Miss(Miss::Far)));
}

#[test]
fn a_miss_tells_why() {
    let tier = tier(Accept::Local);
    insert(&tier, "Is 300 mg of aspirin safe for an adult dog to eat each day?", ANSWER);
    let asked = ask(&tier, "Is 500 mg of aspirin safe for an adult dog to eat each day?");
    assert!(matches!(asked, Outcome::Miss(Miss::Vetoed(Veto::Numbers))), "{asked:?}");
    assert!(matches!(ask(&tier, "Who won the election?"), Outcome::Miss(Miss::Far)));
    assert_eq!(tier.stats().vetoes.iter().find(|(veto, _)| *veto == Veto::Numbers).unwrap().1, 1);
}

#[test]
fn a_vetoed_neighbour_does_not_hide_one_that_is_the_same() {
    let tier = tier(Accept::Local);
    insert(&tier, "How do I remove a file in Linux?", ANSWER);
    insert(&tier, "How do I remove 2 files in Linux?", Key::from_bytes([3; 32]));
    assert_eq!(hit(ask(&tier, "how do i delete 2 files in linux")).key, Key::from_bytes([3; 32]));
}

#[test]
fn the_judge_is_asked_and_only_the_next_such_text_is_answered() {
    let tier = tier(Accept::Judge);
    insert(&tier, STORED, ANSWER);
    let pair = candidate(ask(&tier, SAME));
    assert_eq!((&*pair.text, pair.key), (STORED, ANSWER));
    tier.report(&pair, Verdict::Different);
    assert!(tier.alias(&HERE, SAME).is_none());
    tier.report(&pair, Verdict::Same);
    assert_eq!(tier.alias(&HERE, SAME).unwrap().key, ANSWER);
    assert!(matches!(ask(&tier, SAME), Outcome::Candidate(_)));
}

#[test]
fn evidence_is_gathered_until_it_accepts() {
    let tier = tier(Accept::Learned);
    insert(&tier, STORED, ANSWER);
    let pair = candidate(ask(&tier, SAME));
    for _ in 0..60 {
        tier.report(&pair, Verdict::Same);
    }
    let accepted = (0..200).filter(|_| matches!(ask(&tier, SAME), Outcome::Hit(_))).count();
    assert!(accepted > 0);
    // What is learnt of an answer does not outlive it.
    insert(&tier, STORED, Key::from_bytes([4; 32]));
    candidate(ask(&tier, SAME));
}

#[test]
fn a_category_that_errs_is_switched_off_and_its_aliases_with_it() {
    let tier = tier(Accept::Local);
    insert(&tier, STORED, ANSWER);
    insert(&tier, "Who wrote Hamlet?", ANSWER);
    let wrong = hit(ask(&tier, SAME));
    hit(ask(&tier, "how can I delete files in Linux"));
    assert!((0..10).any(|_| tier.audit_hit(&wrong, false)), "it was never switched off");
    assert!(matches!(ask(&tier, STORED), Outcome::Miss(Miss::SwitchedOff)));
    assert!(tier.alias(&HERE, "how can I delete files in Linux").is_none());
    hit(ask(&tier, "Who is the author of Hamlet?"));
    tier.revive(Form::How);
    hit(ask(&tier, STORED));
}

#[test]
fn a_confirmed_alias_outlives_its_category() {
    let tier = tier(Accept::Judge);
    insert(&tier, STORED, ANSWER);
    tier.report(&candidate(ask(&tier, SAME)), Verdict::Same);
    for _ in 0..10 {
        tier.label(Form::How, false);
    }
    assert!(tier.alias(&HERE, SAME).is_some());
}

#[test]
fn a_wrong_hit_loses_its_alias() {
    let tier = tier(Accept::Local);
    insert(&tier, STORED, ANSWER);
    let wrong = hit(ask(&tier, SAME));
    tier.audit_hit(&wrong, false);
    assert!(tier.alias(&HERE, SAME).is_none());
}

#[test]
fn what_is_gone_is_forgotten() {
    let tier = tier(Accept::Local);
    insert(&tier, STORED, ANSWER);
    let found = hit(ask(&tier, SAME));
    tier.forget(&HERE, &found);
    assert!(tier.alias(&HERE, SAME).is_none());
    assert!(matches!(ask(&tier, SAME), Outcome::Miss(Miss::Far)));
    assert_eq!(tier.stats().questions, 0);
}

#[test]
fn the_threshold_can_be_raised_and_not_lowered() {
    for (asked, given) in [(0.5, COSINE_MIN), (0.9, 0.9), (f32::NAN, COSINE_MIN), (7.0, 1.0)] {
        let tier = Semantic::new(Options { cosine: asked, ..Options::default() });
        assert_eq!(tier.options().cosine, given);
    }
}

#[test]
fn the_share_that_is_audited_is_kept() {
    let audit = audit::Options { share: 0.02, ..audit::Options::default() };
    let tier = Semantic::new(Options { audit, ..Options::default() });
    insert(&tier, STORED, ANSWER);
    hit(ask(&tier, SAME));
    let audited = (0..5_000).filter(|_| tier.alias(&HERE, SAME).unwrap().to_audit).count();
    assert!((40..250).contains(&audited), "{audited} of 5000");
}

#[test]
fn statistics_show_precision_beside_the_hit_rate() {
    let tier = tier(Accept::Local);
    insert(&tier, STORED, ANSWER);
    let found = hit(ask(&tier, SAME));
    tier.audit_hit(&found, true);
    let _ = ask(&tier, "Who won the election?");
    let stats = tier.stats();
    assert_eq!((stats.lookups, stats.hits, stats.far, stats.questions), (2, 1, 1, 1));
    assert_eq!(stats.hit_rate(), Some(0.5));
    let precision = stats.precision().unwrap();
    assert!(precision.rate == 1.0 && precision.low < 0.3);
}
