//! Another target of the alias answers for less and no slower: give it more of the requests.
//!
//! It fires for the dearest of those that share an alias' requests and the cheapest beside it, where both have answered
//! enough, an answer of the cheaper one cost 20 in 100 less (kept down to 10), its slowest 5 in 100 took no more than
//! 1.1 times as long (kept up to 1.25), and its weight is less than three times the other's. What an answer cost is
//! measured; that both are asked the same is so, as chance draws between them.
//!
//! The new weight is three times the dearer one's: most requests go the cheaper way, and enough go the other that both
//! are still measured. Safe where both are the same model at two providers and none of the cheaper one's prices is
//! above the other's. Another model answers otherwise, however cheap.

use super::case::{Bar, Case, Found, Look, change};
use super::{Alias, Facts, Key, Saving, Target, Value};

const CHEAPER_SHARE: Bar = Bar { from: 0.2, keep: 0.1 };
const SLOWER_RATIO: Bar = Bar { from: 1.1, keep: 1.25 };
/// By how much the cheaper one's weight is to be above the other's.
const TIMES: u32 = 3;

pub(super) fn look(look: &mut Look<'_>) {
    for alias in &look.facts.aliases {
        let Some((dear, cheap)) = apart(alias) else { continue };
        let case = look.case(&alias.name, &format!("{} {}", dear.name, cheap.name));
        let found = judge(look.facts, alias, (dear, cheap), &case);
        look.give(case, found);
    }
}

/// The dearest and the cheapest, an answer.
fn apart(alias: &Alias) -> Option<(&Target, &Target)> {
    let sharing = alias.sharing();
    let mut by_cost: Vec<_> =
        sharing.into_iter().filter_map(|target| Some((target.usd_per_answer()?, target))).collect();
    by_cost.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let ((_, cheap), (_, dear)) = (by_cost.first()?, by_cost.last()?);
    (cheap.name != dear.name).then_some((*dear, *cheap))
}

fn judge(facts: &Facts, alias: &Alias, (dear, cheap): (&Target, &Target), case: &Case) -> Option<Found> {
    let (usd_dear, usd_cheap) = (dear.usd_per_answer()?, cheap.usd_per_answer()?);
    let counts = [dear.answers, cheap.answers, dear.times.count, cheap.times.count];
    let weight = dear.weight.saturating_mul(TIMES);
    if !counts.into_iter().all(|count| case.is_enough(count)) || cheap.weight >= weight {
        return None;
    }
    let cheaper = 1.0 - usd_cheap / usd_dear;
    let slower = cheap.times.p95.as_secs_f64() / dear.times.p95.as_secs_f64();
    if !case.passes(cheaper, CHEAPER_SHARE) || !case.passes(slower, SLOWER_RATIO) {
        return None;
    }
    let moved = moved(alias, dear, cheap, weight);
    let usd = moved
        * alias.sharing().iter().map(|target| target.answers).sum::<u64>() as f64
        * (usd_dear - usd_cheap);
    let is_same = dear.model == cheap.model;
    Some(Found {
        title: format!("Let {} answer more of {}", cheap.name, alias.name),
        words: format!(
            "An answer of `{}` to `{}` costs {:.0} in 100 less than one of `{}` and takes no longer.{}",
            cheap.name,
            alias.name,
            cheaper * 100.0,
            dear.name,
            if is_same {
                ""
            } else {
                " It is another model: see whether its answers will do before you shift the weights."
            }
        ),
        evidence: vec![
            ("cheaper_target", cheap.name.as_str().into()),
            ("cheaper_answers", cheap.answers.into()),
            ("cheaper_answer_usd", usd_cheap.into()),
            ("cheaper_p95_seconds", cheap.times.p95.into()),
            ("dearer_target", dear.name.as_str().into()),
            ("dearer_answers", dear.answers.into()),
            ("dearer_answer_usd", usd_dear.into()),
            ("dearer_p95_seconds", dear.times.p95.into()),
        ],
        saving: Saving { usd_per_day: facts.per_day(usd), requests_share: Some(moved), ..Saving::default() },
        change: vec![change(
            Key::of_weight(&alias.name, &cheap.name),
            Value::Number(cheap.weight.into()),
            Value::Number(weight.into()),
        )],
        safe: is_same && cheap.is_no_dearer(dear) == Some(true),
    })
}

/// The share of an alias' requests that one target hands over to another whose weight becomes `weight`.
pub(super) fn moved(alias: &Alias, from: &Target, to: &Target, weight: u32) -> f64 {
    let sum: f64 = alias.sharing().iter().map(|target| f64::from(target.weight)).sum();
    let own = f64::from(from.weight);
    own / sum - own / (sum + f64::from(weight) - f64::from(to.weight))
}
