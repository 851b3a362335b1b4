#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::stage::{millis, smart, times, well};
use super::*;
use std::time::Duration;

type Change = fn(&mut Facts);

/// A rule, what makes it speak, what it then says, and what of the evidence may not be missing.
struct Row {
    rule: &'static str,
    with: Change,
    change: &'static str,
    safe: bool,
    saving: Saving,
    without: &'static [(&'static str, Change)],
}

const NOTHING: Saving =
    Saving { usd_per_day: None, seconds_p95: None, seconds_p99: None, requests_share: None };

fn of(change: Change) -> Facts {
    let mut facts = well();
    change(&mut facts);
    facts
}

fn advise(facts: &Facts) -> Vec<Advice> {
    let standing = Advisor::default().advise(facts, Terms::default(), Moment::now());
    standing.into_iter().map(|standing| standing.advice).collect()
}

/// Each change as `key: from -> to`.
fn written(advice: &Advice) -> String {
    let line = |change: &super::Change| {
        let from = change.from.as_ref().map_or("-".to_owned(), ToString::to_string);
        format!("{}: {from} -> {}", change.key, change.to)
    };
    advice.change.iter().map(line).collect::<Vec<_>>().join("; ")
}

const ROWS: &[Row] = &[
    Row {
        rule: "duplicates",
        with: |facts| {
            smart(facts).settings.cache = false;
            smart(facts).questions.off = Repeats { count: 300, cost_micro_usd: 600_000 };
        },
        change: "models.smart.cache.enabled: false -> true",
        safe: true,
        saving: Saving { usd_per_day: Some(14.4), requests_share: Some(0.3), ..NOTHING },
        without: &[
            ("repetitions", |facts| smart(facts).questions.off.count = 99),
            ("requests", |facts| {
                smart(facts).questions.asked = 199;
                smart(facts).questions.off.count = 150;
            }),
            ("a cache that is off", |facts| smart(facts).settings.cache = true),
        ],
    },
    Row {
        rule: "duplicates",
        with: |facts| {
            facts.cache = false;
            smart(facts).questions.off = Repeats { count: 300, cost_micro_usd: 0 };
        },
        change: "cache.enabled: false -> true",
        safe: false,
        saving: Saving { requests_share: Some(0.3), ..NOTHING },
        without: &[("a cache that is off", |facts| facts.cache = true)],
    },
    Row {
        rule: "duplicates",
        with: |facts| smart(facts).questions.sampled = Repeats { count: 100, cost_micro_usd: 1_000_000 },
        change: "models.smart.cache.any_temperature: false -> true",
        safe: false,
        saving: Saving { usd_per_day: Some(24.0), requests_share: Some(0.1), ..NOTHING },
        without: &[
            ("repetitions", |facts| smart(facts).questions.sampled.count = 99),
            ("requests", |facts| smart(facts).questions.asked = 199),
            ("a temperature that is minded", |facts| smart(facts).settings.any_temperature = true),
        ],
    },
    Row {
        rule: "duplicates",
        with: |facts| {
            smart(facts).questions.missed = Repeats { count: 400, cost_micro_usd: 400_000 };
            smart(facts).questions.missed_by_age = [50, 50, 100, 170, 20, 10];
        },
        change: r#"models.smart.cache.ttl: "300s" -> "900s"; cache.memory.ttl: "300s" -> "900s""#,
        safe: false,
        saving: Saving { usd_per_day: Some(4.8), requests_share: Some(0.2), ..NOTHING },
        without: &[
            ("repetitions that came late", |facts| {
                smart(facts).questions.missed_by_age = [150, 150, 100, 0, 0, 0];
            }),
            ("a life that is shorter", |facts| smart(facts).settings.ttl = Duration::from_secs(3600)),
            ("requests", |facts| smart(facts).questions.asked = 199),
            ("a cache", |facts| smart(facts).settings.cache = false),
        ],
    },
    Row {
        rule: "prompt_cache",
        with: |facts| {
            smart(facts).settings.affinity = false;
            smart(facts).targets.iter_mut().for_each(|target| target.tokens_in = 1_000_000);
        },
        change: "models.smart.affinity: false -> true",
        safe: true,
        saving: NOTHING,
        without: &[
            ("long prompts", |facts| {
                smart(facts).targets.iter_mut().for_each(|target| target.tokens_in = 500_000);
            }),
            ("tokens that were not cached", |facts| {
                smart(facts).targets.iter_mut().for_each(|target| target.tokens_cached = 300_000);
            }),
            ("affinity that is off", |facts| smart(facts).settings.affinity = true),
            ("a second target", |facts| smart(facts).targets.truncate(1)),
            ("a second target in the group", |facts| smart(facts).targets[1].group = 1),
            ("a second target with a weight", |facts| smart(facts).targets[1].weight = 0),
            ("answers", |facts| {
                for target in &mut smart(facts).targets {
                    (target.answers, target.tokens_in) = (99, 200_000);
                }
            }),
        ],
    },
    Row {
        rule: "cost",
        with: |facts| {
            smart(facts).targets[1].cost_micro_usd = 250_000;
            smart(facts).targets[1].price = Some((0.5, 2.0));
        },
        change: r#"models.smart.targets[model = "b/m"].weight: 1 -> 3"#,
        safe: true,
        // A quarter of a thousand requests an hour at half a thousandth of a dollar less.
        saving: Saving { usd_per_day: Some(3.0), requests_share: Some(0.25), ..NOTHING },
        without: &[
            ("a difference", |facts| smart(facts).targets[1].cost_micro_usd = 410_000),
            ("a price", |facts| smart(facts).targets[1].price = None),
            ("speed", |facts| smart(facts).targets[1].times = times(500, 240, 300)),
            ("a weight that is low", |facts| smart(facts).targets[1].weight = 3),
            ("answers of the cheaper one", |facts| smart(facts).targets[1].answers = 199),
            ("answers of the dearer one", |facts| smart(facts).targets[0].answers = 199),
            ("a share of the requests", |facts| smart(facts).targets[1].group = 1),
        ],
    },
    Row {
        rule: "skew",
        with: |facts| smart(facts).targets[0].times = times(500, 600, 700),
        change: r#"models.smart.targets[model = "b/m"].weight: 1 -> 3"#,
        safe: true,
        saving: Saving { seconds_p95: Some(0.4), requests_share: Some(0.25), ..NOTHING },
        without: &[
            ("a difference", |facts| smart(facts).targets[0].times = times(500, 399, 700)),
            ("a difference that is felt", |facts| {
                for (target, p95) in smart(facts).targets.iter_mut().zip([60, 20]) {
                    target.times.p95 = millis(p95);
                }
            }),
            ("weights that are the same", |facts| smart(facts).targets[1].weight = 2),
            ("weights that decide alone", |facts| smart(facts).settings.least_loaded = true),
            ("tries of the slower one", |facts| smart(facts).targets[0].times.count = 199),
            ("tries of the quicker one", |facts| smart(facts).targets[1].times.count = 199),
            ("a share of the requests", |facts| smart(facts).targets[0].group = 1),
        ],
    },
    Row {
        rule: "tail",
        with: |facts| smart(facts).waits = times(1000, 200, 900),
        change: "models.smart.hedge: false -> true",
        safe: false,
        saving: Saving { seconds_p99: Some(0.6), requests_share: Some(0.05), ..NOTHING },
        without: &[
            ("a tail", |facts| smart(facts).waits = times(1000, 200, 499)),
            ("a tail beyond a hedge", |facts| smart(facts).waits = times(1000, 800, 900)),
            ("a second target", |facts| smart(facts).targets.truncate(1)),
            ("a hedge that is off", |facts| smart(facts).settings.hedge = true),
            ("tries", |facts| smart(facts).waits.count = 199),
        ],
    },
    Row {
        rule: "throttled",
        with: |facts| (facts.providers[0].throttled, facts.providers[0].answers) = (400, 600),
        change: "providers.a.limits.requests_per_minute: - -> 10",
        safe: false,
        saving: Saving { requests_share: Some(0.4), ..NOTHING },
        without: &[
            ("answers of 429", |facts| facts.providers[0].throttled = 49),
            ("tries", |facts| facts.providers[0].tries = 199),
            ("a minute", |facts| facts.span = Duration::from_secs(59)),
        ],
    },
    Row {
        rule: "max_tokens",
        with: |facts| smart(facts).bounds.asked_tokens = 1_000_000,
        change: "",
        safe: false,
        saving: NOTHING,
        without: &[
            ("a bound that is far", |facts| smart(facts).bounds.asked_tokens = 399_000),
            ("a bound that is high", |facts| {
                smart(facts).bounds = Bounds {
                    requests: 1000,
                    asked_tokens: 250_000,
                    written_tokens: 10_000,
                    written_tokens_max: 12,
                };
            }),
            ("answers that are all short", |facts| smart(facts).bounds.written_tokens_max = 501),
            ("answers", |facts| smart(facts).bounds.written_tokens = 0),
            ("requests", |facts| {
                smart(facts).bounds = Bounds {
                    requests: 199,
                    asked_tokens: 199_000,
                    written_tokens: 1990,
                    written_tokens_max: 20,
                };
            }),
        ],
    },
];

#[test]
fn where_all_is_well_nothing_is_advised() {
    assert_eq!(advise(&well()), []);
    assert_eq!(advise(&Facts::default()), []);
}

#[test]
fn each_rule_speaks_on_its_evidence_alone() {
    for Row { rule, with, change, safe, saving, .. } in ROWS {
        let advice = advise(&of(*with));
        let [one] = advice.as_slice() else { panic!("{rule}: {advice:#?}") };
        assert_eq!((one.rule, one.safe, written(one).as_str()), (*rule, *safe, *change), "{}", one.title);
        let shown = |saving: &Saving| {
            let Saving { usd_per_day, seconds_p95, seconds_p99, requests_share } = saving;
            [usd_per_day, seconds_p95, seconds_p99, requests_share]
                .map(|it| it.map(|it| (it * 1e6).round() / 1e6))
        };
        assert_eq!(shown(&one.saving), shown(saving), "{rule}");
        assert!(one.evidence.len() >= 3 && one.words.ends_with('.'), "{one:#?}");
    }
}

#[test]
fn each_rule_is_silent_where_a_piece_of_its_evidence_is_missing() {
    for Row { rule, with, without, .. } in ROWS {
        for (what, without) in *without {
            let mut facts = of(*with);
            without(&mut facts);
            let said: Vec<_> = advise(&facts).into_iter().filter(|advice| advice.rule == *rule).collect();
            assert_eq!(said, [], "{rule}, without {what}");
        }
    }
}

#[test]
fn every_rule_has_its_row() {
    let missing: Vec<_> = rules().filter(|rule| ROWS.iter().all(|row| row.rule != *rule)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn another_model_or_an_unknown_price_is_for_people_to_decide() {
    let cases: [(usize, Change); 3] = [
        (5, |facts| smart(facts).targets[1].model = "other".to_owned()),
        (6, |facts| smart(facts).targets[1].model = "other".to_owned()),
        (6, |facts| smart(facts).targets[1].price = None),
    ];
    for (row, change) in cases {
        let mut facts = of(ROWS[row].with);
        change(&mut facts);
        assert_eq!(advise(&facts).iter().map(|advice| advice.safe).collect::<Vec<_>>(), [false]);
    }
}

#[test]
fn a_limit_that_is_low_already_is_not_advised_again() {
    let mut facts = of(ROWS[8].with);
    facts.providers[0].requests_per_minute = Some(10);
    let [one] = advise(&facts).try_into().unwrap();
    assert!(one.change.is_empty() && one.words.contains("concurrency.max"));
}

#[test]
fn too_short_a_time_gives_no_savings_of_a_day() {
    let mut facts = of(ROWS[0].with);
    facts.span = Duration::from_secs(599);
    let [one] = advise(&facts).try_into().unwrap();
    assert_eq!((one.saving.usd_per_day, one.saving.requests_share), (None, Some(0.3)));
}

#[test]
fn what_stands_is_kept_below_the_bar_that_it_came_over() {
    let (mut advisor, terms) = (Advisor::default(), Terms::default());
    let begun = Moment::now();
    let mut look = |repeated: u64, asked: u64, minutes: u64| {
        let mut facts = of(ROWS[0].with);
        smart(&mut facts).questions.asked = asked;
        smart(&mut facts).questions.off.count = repeated;
        let standing = advisor.advise(&facts, terms, begun.after(Duration::from_secs(60 * minutes)));
        standing.first().map(|one| (one.advice.id.clone(), one.since))
    };
    assert_eq!(look(70, 1000, 0), None, "it takes more to come");
    let first = look(100, 1000, 1).unwrap();
    assert_eq!(first.1, begun.after(Duration::from_secs(60)).wall);
    assert_eq!(look(70, 1000, 2).as_ref(), Some(&first), "the same, since then");
    assert_eq!(look(10, 100, 3).as_ref(), Some(&first), "on half the requests");
    assert_eq!(look(49, 1000, 4), None);
    assert_eq!(look(70, 1000, 5), None, "what has gone must come again");
    assert_eq!(look(100, 1000, 6).unwrap().0, first.0, "by the same name");
}

#[test]
fn ids_tell_subjects_and_sides_apart() {
    let mut facts = of(ROWS[0].with);
    smart(&mut facts).questions.sampled = Repeats { count: 300, cost_micro_usd: 0 };
    let mut other = facts.aliases[0].clone();
    other.name = "other".to_owned();
    facts.aliases.push(other);
    let ids: std::collections::BTreeSet<_> = advise(&facts).into_iter().map(|advice| advice.id).collect();
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')));
}

#[test]
fn however_many_aliases_there_are_advice_is_bounded() {
    let mut facts = of(ROWS[0].with);
    let alias = facts.aliases[0].clone();
    facts.aliases = (0..500).map(|number| Alias { name: format!("m{number}"), ..alias.clone() }).collect();
    assert_eq!(advise(&facts).len(), ADVICE_MAX);
}

#[test]
fn advice_is_plain_json() {
    let [one] = advise(&of(ROWS[0].with)).try_into().unwrap();
    let json = serde_json::to_value(&one).unwrap();
    assert_eq!(json["evidence"][1], serde_json::json!({ "name": "repeated", "value": 300 }));
    let change = serde_json::json!({ "key": "models.smart.cache.enabled", "from": false, "to": true });
    assert_eq!(json["change"][0], change);
}
