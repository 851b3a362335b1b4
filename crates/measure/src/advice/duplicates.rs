//! The same is asked again and again, and paid for each time: let the cache answer.
//!
//! A question counts as repeated where the same alias was asked for the same, byte for byte, within the hour before,
//! and a provider was asked both times. What a caller did not want from the cache (`no-store`, `no-cache`), what leaves
//! something behind, and who names no user where answers are kept to one, is not counted: no setting answers it.
//!
//! There are three sides to it, each a piece of advice of its own, from 10 in 100 questions on (kept down to 5):
//!
//! - the cache is **off**, and the repeated questions leave nothing to chance (temperature 0): switch it on. Safe for an
//!   alias: the same question at temperature 0 has the same answer, and nobody new is asked. Not safe where it is off
//!   for all aliases, as switching it on is felt by the others too;
//! - the questions are **sampled**: `any_temperature`. Not safe: who asks twice at a temperature above 0 may want two
//!   answers, and then gets one;
//! - they were remembered and have **expired**: a longer `ttl`. Only questions count that were fetched longer ago than
//!   answers are served, as a longer life helps no others. Not safe: that the same is asked again says that somebody
//!   pays twice, not that yesterday's answer is still right; how old an answer may be is for people to say.
//!
//! What it saves is what the repeated ones cost, by the providers' own counts.

use super::case::{Bar, Case, Found, Look, change, share};
use super::{AGES, Alias, Facts, Key, Questions, Repeats, Saving, Settings, Value};
use std::time::Duration;

const SHARE: Bar = Bar { from: 0.1, keep: 0.05 };
/// How many of the expired ones a new `ttl` must have answered.
const COVERED: f64 = 0.8;

pub(super) fn look(look: &mut Look<'_>) {
    let sides: [(&str, Side); 3] = [("off", off), ("sampled", sampled), ("expired", expired)];
    for alias in &look.facts.aliases {
        for (name, side) in sides {
            let case = look.case(&alias.name, name);
            let found = side(look.facts, alias, &case);
            look.give(case, found);
        }
    }
}

type Side = fn(&Facts, &Alias, &Case) -> Option<Found>;

fn off(facts: &Facts, alias: &Alias, case: &Case) -> Option<Found> {
    let Alias { name, settings, questions, .. } = alias;
    if facts.cache && settings.cache || !is_worth(questions, &questions.off, case) {
        return None;
    }
    Some(Found {
        title: format!("Let the cache answer for {name}"),
        words: format!(
            "{} of the questions to `{name}` repeat one of the hour before, at temperature 0, and its cache is off. Switched \
             on, it answers them at once and for nothing.",
            percent(questions.off.count, questions.asked)
        ),
        change: on(facts, name, settings),
        safe: facts.cache,
        ..found(facts, questions, &questions.off)
    })
}

fn sampled(facts: &Facts, alias: &Alias, case: &Case) -> Option<Found> {
    let Alias { name, settings, questions, .. } = alias;
    let does_already = facts.cache && settings.cache && settings.any_temperature;
    if does_already || !is_worth(questions, &questions.sampled, case) {
        return None;
    }
    let mut changes = on(facts, name, settings);
    if !settings.any_temperature {
        let key = Key::of_alias(name, &["cache", "any_temperature"]);
        changes.push(change(key, Value::Bool(false), Value::Bool(true)));
    }
    Some(Found {
        title: format!("Let the cache answer {name} at any temperature"),
        words: format!(
            "{} of the questions to `{name}` repeat one of the hour before, at a temperature above 0 or without one, which \
             are not remembered. If the same answer may serve again, say so; or let callers send `temperature: 0`. Whoever \
             asks twice to get two answers then gets one.",
            percent(questions.sampled.count, questions.asked)
        ),
        change: changes,
        ..found(facts, questions, &questions.sampled)
    })
}

fn expired(facts: &Facts, alias: &Alias, case: &Case) -> Option<Found> {
    let Alias { name, settings, questions, .. } = alias;
    let late = late(questions, settings.ttl);
    let count: u64 = late.iter().map(|(_, count)| count).sum();
    let cost = questions.missed.cost_micro_usd as f64 * share(count, questions.missed.count);
    let repeats = Repeats { count, cost_micro_usd: cost as u64 };
    if !facts.cache || !settings.cache || !is_worth(questions, &repeats, case) {
        return None;
    }
    let ttl = covering(&late, count)?;
    let key = Key::of_alias(name, &["cache", "ttl"]);
    let mut changes = vec![change(key, seconds(settings.ttl), seconds(ttl))];
    if ttl > settings.ttl_max {
        let key = Key::of(&["cache", "memory", "ttl"]);
        changes.push(change(key, seconds(settings.ttl_max), seconds(ttl)));
    }
    let mut found = found(facts, questions, &repeats);
    found.evidence.push(("ttl_seconds", settings.ttl.into()));
    Some(Found {
        title: format!("Remember the answers of {name} for longer"),
        words: format!(
            "{} of the questions to `{name}` repeat one that was answered longer ago than answers are served ({} s). If they \
             are still right after {} s, serve them for so long.",
            percent(count, questions.asked),
            settings.ttl.as_secs(),
            ttl.as_secs()
        ),
        change: changes,
        ..found
    })
}

fn is_worth(questions: &Questions, repeats: &Repeats, case: &Case) -> bool {
    case.is_enough(questions.asked) && case.passes(share(repeats.count, questions.asked), SHARE)
}

/// What all sides have in common.
fn found(facts: &Facts, questions: &Questions, repeats: &Repeats) -> Found {
    let repeated = share(repeats.count, questions.asked);
    let usd = repeats.cost_micro_usd as f64 / 1e6;
    Found {
        title: String::new(),
        words: String::new(),
        evidence: vec![
            ("requests", questions.asked.into()),
            ("repeated", repeats.count.into()),
            ("repeated_share", repeated.into()),
            ("repeated_usd", usd.into()),
        ],
        saving: Saving {
            usd_per_day: facts.per_day(usd).filter(|usd| *usd > 0.0),
            requests_share: Some(repeated),
            ..Saving::default()
        },
        change: Vec::new(),
        safe: false,
    }
}

/// What switches the cache on for an alias.
fn on(facts: &Facts, alias: &str, settings: &Settings) -> Vec<super::Change> {
    let keys = [
        (facts.cache, Key::of(&["cache", "enabled"])),
        (settings.cache, Key::of_alias(alias, &["cache", "enabled"])),
    ];
    let off = keys.into_iter().filter(|(is_on, _)| !is_on);
    off.map(|(_, key)| change(key, Value::Bool(false), Value::Bool(true))).collect()
}

/// Repeated questions that a longer life would have answered, by the upper bound of their age. Those that came sooner
/// were not remembered for other reasons, so that a slot that reaches below `ttl` is left out.
fn late(questions: &Questions, ttl: Duration) -> Vec<(Duration, u64)> {
    let lower = |index: usize| index.checked_sub(1).and_then(|index| AGES.get(index)).copied();
    let slots = AGES.into_iter().zip(questions.missed_by_age).enumerate();
    slots.filter(|(index, _)| lower(*index).unwrap_or_default() >= ttl).map(|(_, slot)| slot).collect()
}

/// The shortest life that would have answered most of them.
fn covering(late: &[(Duration, u64)], count: u64) -> Option<Duration> {
    let mut covered = 0;
    late.iter().find_map(|(age, slot)| {
        covered += slot;
        (covered as f64 >= COVERED * count as f64).then_some(*age)
    })
}

fn seconds(time: Duration) -> Value {
    Value::Text(format!("{}s", time.as_secs()))
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.0} in 100", share(part, whole) * 100.0)
}
