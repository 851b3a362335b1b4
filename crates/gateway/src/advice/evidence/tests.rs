#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::observe::account::Tokens;
use crate::observe::stage;
use cache::tier::TierName;
use std::num::NonZeroU64;

const MINUTE: Duration = Duration::from_secs(60);

/// A request to the alias `smart` that asked a question of this number.
fn request(question: u64, cache: Status) -> Account {
    let mut account = stage::account("r");
    (account.route, account.is_alias) = (Some("smart".into()), true);
    account.question = NonZeroU64::new(question);
    account.cache = Some(cache);
    account.cost_micro_usd = Some(100);
    account
}

/// A try at a target that ended so.
fn tried(account: &mut Account, target: &str, result: AttemptResult) {
    stage::attempt(account, target);
    account.trail.attempt_ends(result, account.trail.began());
}

/// What ended by `now`.
fn note(evidence: &mut Evidence, account: &Account, now: Instant) {
    evidence.tick(now);
    evidence.note(account);
}

const OFF: Status = Status::Bypass(Bypass::Disabled);
const SAMPLED: Status = Status::Bypass(Bypass::Temperature);

/// One of an alias' counts.
type Count = fn(&OfAlias) -> u64;

#[test]
fn a_question_that_was_paid_for_twice_counts_by_why_it_was() {
    let cases: [(Status, bool, Count); 4] = [
        (OFF, false, |of| of.questions.off.count),
        (OFF, true, |of| of.questions.sampled.count),
        (SAMPLED, true, |of| of.questions.sampled.count),
        (Status::Miss, false, |of| of.questions.missed.count),
    ];
    for (cache, sampled, count) in cases {
        let now = Instant::now();
        let mut evidence = Evidence::new(now);
        for question in [1, 2, 1, 1] {
            let mut account = request(question, cache);
            account.sampled = sampled;
            note(&mut evidence, &account, now);
        }
        let of = evidence.of_alias("smart", now);
        assert_eq!((of.requests, of.questions.asked, count(&of)), (4, 4, 2), "{cache:?}");
        let all = [of.questions.off, of.questions.sampled, of.questions.missed];
        assert_eq!(all.iter().map(|it| it.count).sum::<u64>(), 2, "{cache:?}");
        assert_eq!(all.iter().map(|it| it.cost_micro_usd).sum::<u64>(), 200, "{cache:?}");
    }
}

#[test]
fn what_the_cache_answered_or_nobody_wanted_from_it_is_not_paid_for_twice() {
    let now = Instant::now();
    let mut evidence = Evidence::new(now);
    note(&mut evidence, &request(1, Status::Miss), now);
    for cache in [Status::Hit(TierName::Memory), Status::Alike(0.9), Status::Coalesced] {
        note(&mut evidence, &request(1, cache), now);
    }
    for cache in [Status::Bypass(Bypass::NoStore), Status::Bypass(Bypass::NoCache)] {
        note(&mut evidence, &request(1, cache), now);
    }
    let mut failed = request(1, Status::Miss);
    failed.outcome = Outcome::ProviderError;
    note(&mut evidence, &failed, now);
    let mut unknown = request(1, OFF);
    unknown.question = None;
    note(&mut evidence, &unknown, now);
    let of = evidence.of_alias("smart", now);
    assert_eq!((of.requests, of.questions.asked), (8, 4));
    assert_eq!((of.questions.missed.count, of.questions.off.count), (0, 0));
}

#[test]
fn misses_tell_how_long_before_the_same_was_fetched() {
    let now = Instant::now();
    let mut evidence = Evidence::new(now);
    for minutes in [0, 0, 7, 37] {
        note(&mut evidence, &request(1, Status::Miss), now + MINUTE * minutes);
    }
    let of = evidence.of_alias("smart", now + MINUTE * 37);
    assert_eq!(of.questions.missed_by_age, [1, 0, 0, 1, 1, 0]);
}

#[test]
fn an_hour_is_looked_back_by_and_no_more() {
    let now = Instant::now();
    let mut evidence = Evidence::new(now);
    assert_eq!(evidence.span(now), Duration::ZERO);
    note(&mut evidence, &request(1, OFF), now);
    note(&mut evidence, &request(1, OFF), now + MINUTE * 30);
    let at = |minutes: u32| {
        let of = evidence.of_alias("smart", now + MINUTE * minutes);
        (of.requests, of.questions.off.count, evidence.span(now + MINUTE * minutes).as_secs() / 60)
    };
    assert_eq!((at(30), at(59)), ((2, 1, 30), (2, 1, 59)));
    assert_eq!((at(61), at(89)), ((1, 1, 56), (1, 1, 59)));
    assert_eq!(at(91), (0, 0, 56));
    note(&mut evidence, &request(1, OFF), now + MINUTE * 1000);
    assert_eq!(evidence.of_alias("smart", now + MINUTE * 1000).requests, 1);
}

#[test]
fn tries_count_for_their_provider_and_answers_for_their_target() {
    let now = Instant::now();
    let mut evidence = Evidence::new(now);
    let mut account = request(1, Status::Miss);
    account.tokens = Tokens { input: 100, output: 20, cached: 60 };
    tried(&mut account, "a/m", AttemptResult::RateLimited);
    tried(&mut account, "b/m", AttemptResult::Ok);
    note(&mut evidence, &account, now);
    // Of a flight the same is told by whoever made it, and of a plain model there is no alias to tell of.
    let mut waited = request(1, Status::Miss);
    waited.trail.borrows(&account.trail);
    note(&mut evidence, &waited, now);
    let mut plain = request(1, Status::Miss);
    plain.is_alias = false;
    tried(&mut plain, "b/m", AttemptResult::Ok);
    note(&mut evidence, &plain, now);

    let expected = OfTarget { answers: 1, tokens_in: 100, tokens_cached: 60, cost_micro_usd: 100 };
    assert_eq!(evidence.of_target("smart", "b/m", now), expected);
    assert_eq!(evidence.of_target("smart", "a/m", now), OfTarget::default());
    assert_eq!(evidence.of_provider("a", now), OfProvider { tries: 1, answers: 0, throttled: 1 });
    assert_eq!(evidence.of_provider("b", now), OfProvider { tries: 2, answers: 2, throttled: 0 });
}

#[test]
fn bounds_are_held_against_what_was_written() {
    let now = Instant::now();
    let mut evidence = Evidence::new(now);
    for (allowed, written) in [(1000, 50), (500, 70), (0, 90), (1000, 0)] {
        let mut account = request(1, SAMPLED);
        (account.max_tokens, account.tokens.output) = (allowed, written);
        note(&mut evidence, &account, now);
    }
    let bounds = evidence.of_alias("smart", now).bounds;
    let found = (bounds.requests, bounds.asked_tokens, bounds.written_tokens, bounds.written_tokens_max);
    assert_eq!(found, (2, 1500, 120, 70));
}

#[test]
fn what_callers_invent_takes_no_room_beyond_the_bounds() {
    let now = Instant::now();
    let mut evidence = Evidence::new(now);
    for number in 0..1000 {
        let mut account = request(number + 1, OFF);
        account.route = Some(format!("m{number}").into());
        tried(&mut account, &format!("p{number}/m"), AttemptResult::Ok);
        note(&mut evidence, &account, now);
        let mut account = request(number + 1, OFF);
        tried(&mut account, &format!("p/{number}"), AttemptResult::Ok);
        note(&mut evidence, &account, now);
    }
    assert_eq!((evidence.aliases.len(), evidence.providers.len()), (ALIASES_MAX, PROVIDERS_MAX));
    assert!(evidence.aliases.values().all(|of| of.targets.len() <= TARGETS_MAX));
}
