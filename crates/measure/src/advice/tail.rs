//! A few answers take many times as long as most, and somebody else could be asked: hedge.
//!
//! It fires where an alias has another target or a fallback, does not hedge, and the slowest 1 in 100 of its tries take
//! five times as long as half of them (kept down to four times) and 100 ms longer than a hedge would take (kept down
//! to 50 ms). A hedge asks a second target when a try is slower than 95 in 100 are, so that the two together take about
//! p95 + p50 (Dean and Barroso, *The Tail at Scale*, 2013): where the slowest do not take longer than that, a second
//! target helps nobody.
//!
//! Not safe: a request that is hedged is paid for twice.

use super::case::{Bar, Case, Found, Look, change};
use super::{Alias, Facts, Key, Saving, Value};

const RATIO: Bar = Bar { from: 5.0, keep: 4.0 };
const SECONDS: Bar = Bar { from: 0.1, keep: 0.05 };
/// The share of requests that a hedge is for: those beyond p95.
const HEDGED_SHARE: f64 = 0.05;

pub(super) fn look(look: &mut Look<'_>) {
    look.aliases(judge);
}

fn judge(_: &Facts, alias: &Alias, case: &Case) -> Option<Found> {
    let Alias { name, settings, waits, .. } = alias;
    let others = alias.targets.iter().filter(|target| target.weight > 0).count();
    let has_others = others > 1 || alias.fallback;
    if settings.hedge || !has_others || !case.is_enough(waits.count) {
        return None;
    }
    let (p50, p95, p99) = (waits.p50.as_secs_f64(), waits.p95.as_secs_f64(), waits.p99.as_secs_f64());
    let (ratio, sooner) = (p99 / p50, p99 - (p95 + p50));
    if !case.passes(ratio, RATIO) || !case.passes(sooner, SECONDS) {
        return None;
    }
    Some(Found {
        title: format!("Ask a second target where {name} is slow"),
        words: format!(
            "The slowest 1 in 100 tries for `{name}` take {ratio:.0} times as long as half of them. A hedge asks somebody \
             else where the first is slow, and takes whichever answers first; up to `guard.hedge.budget` of the requests \
             are then paid for twice. Requests with tools are never hedged."
        ),
        evidence: vec![
            ("tries", waits.count.into()),
            ("p50_seconds", p50.into()),
            ("p95_seconds", p95.into()),
            ("p99_seconds", p99.into()),
        ],
        saving: Saving { seconds_p99: Some(sooner), requests_share: Some(HEDGED_SHARE), ..Saving::default() },
        change: vec![change(Key::of_alias(name, &["hedge"]), Value::Bool(false), Value::Bool(true))],
        safe: false,
    })
}
