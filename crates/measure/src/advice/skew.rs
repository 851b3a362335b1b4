//! One target of an alias is far slower than another with the same weight: shift the weights.
//!
//! It fires for the slowest and the quickest of those that share an alias' requests, where their weights are the same,
//! `balance` does not look at speed already, both were asked often enough, and the slowest 5 in 100 take twice as long
//! at one (kept down to 1.5 times) and 50 ms longer at least (kept down to 25 ms): what callers do not feel is not worth
//! a change.
//!
//! The quicker one's weight becomes as many times the other's as it is quicker, up to ten, so that the slow one is still
//! measured. Safe where both are the same model at two providers and none of the quicker one's prices is above the
//! other's: other models answer otherwise, and quicker ones may cost more.
//!
//! How long a target takes is measured whoever asks it: where several aliases share one and ask it for different
//! things, look at their own figures first.

use super::case::{Bar, Case, Found, Look, change};
use super::cost::moved;
use super::{Alias, Facts, Key, Saving, Target, Value};

const RATIO: Bar = Bar { from: 2.0, keep: 1.5 };
const SECONDS: Bar = Bar { from: 0.05, keep: 0.025 };
/// The most that a weight is raised.
const TIMES_MAX: f64 = 10.0;

pub(super) fn look(look: &mut Look<'_>) {
    for alias in &look.facts.aliases {
        let Some((slow, quick)) = apart(alias) else { continue };
        let case = look.case(&alias.name, &format!("{} {}", slow.name, quick.name));
        let found = judge(look.facts, alias, (slow, quick), &case);
        look.give(case, found);
    }
}

/// The slowest and the quickest of those that were asked at all.
fn apart(alias: &Alias) -> Option<(&Target, &Target)> {
    let mut by_time = alias.sharing();
    by_time.retain(|target| target.times.count > 0);
    by_time.sort_by_key(|target| target.times.p95);
    let (quick, slow) = (by_time.first()?, by_time.last()?);
    (quick.name != slow.name).then_some((*slow, *quick))
}

fn judge(_: &Facts, alias: &Alias, (slow, quick): (&Target, &Target), case: &Case) -> Option<Found> {
    let is_enough = case.is_enough(slow.times.count) && case.is_enough(quick.times.count);
    if alias.settings.least_loaded || slow.weight != quick.weight || !is_enough {
        return None;
    }
    let longer = slow.times.p95.saturating_sub(quick.times.p95);
    let ratio = slow.times.p95.as_secs_f64() / quick.times.p95.as_secs_f64();
    if !case.passes(ratio, RATIO) || !case.passes(longer.as_secs_f64(), SECONDS) {
        return None;
    }
    let weight = (f64::from(quick.weight) * ratio.min(TIMES_MAX)).round() as u32;
    let is_same = slow.model == quick.model;
    Some(Found {
        title: format!("Send fewer requests of {} to {}", alias.name, slow.name),
        words: format!(
            "The slowest 5 in 100 tries at `{}` take {ratio:.1} times as long as those at `{}`, and both have the same \
             weight in `{}`.{}",
            slow.name,
            quick.name,
            alias.name,
            if is_same {
                ""
            } else {
                " They are different models: see whether the quicker one's answers will do."
            }
        ),
        evidence: vec![
            ("slower_target", slow.name.as_str().into()),
            ("slower_tries", slow.times.count.into()),
            ("slower_p95_seconds", slow.times.p95.into()),
            ("quicker_target", quick.name.as_str().into()),
            ("quicker_tries", quick.times.count.into()),
            ("quicker_p95_seconds", quick.times.p95.into()),
            ("both_weight", u64::from(quick.weight).into()),
        ],
        saving: Saving {
            seconds_p95: Some(longer.as_secs_f64()),
            requests_share: Some(moved(alias, slow, quick, weight)),
            ..Saving::default()
        },
        change: vec![change(
            Key::of_weight(&alias.name, &quick.name),
            Value::Number(quick.weight.into()),
            Value::Number(weight.into()),
        )],
        safe: is_same && quick.is_no_dearer(slow) == Some(true),
    })
}
