//! A provider answers many tries with 429: ask it no faster than it answers.
//!
//! It fires where 5 in 100 of the tries at a provider were answered so (kept down to 2) over a minute at least. What it
//! did answer, a minute, is what it lets through; a limit of our own at that pace turns the rest to other targets, or
//! away at once, instead of asking in vain and being held back longer for it. Where our limit is no higher already, the
//! tries come in bursts: fewer at once, or more allowed by the provider.
//!
//! Not safe: a limit refuses requests where there is nobody else to ask, and what a provider lets through may rise.

use super::case::{Bar, Case, Found, Look, change, share};
use super::{Facts, Key, Provider, Saving, Value};
use std::time::Duration;

const SHARE: Bar = Bar { from: 0.05, keep: 0.02 };
/// Less is no pace of a minute.
const SPAN_MIN: Duration = Duration::from_secs(60);

pub(super) fn look(look: &mut Look<'_>) {
    for provider in &look.facts.providers {
        let case = look.case(&provider.name, "");
        let found = judge(look.facts, provider, &case);
        look.give(case, found);
    }
}

fn judge(facts: &Facts, provider: &Provider, case: &Case) -> Option<Found> {
    let Provider { name, tries, answers, throttled, requests_per_minute } = provider;
    let in_vain = share(*throttled, *tries);
    if facts.span < SPAN_MIN || !case.is_enough(*tries) || !case.passes(in_vain, SHARE) {
        return None;
    }
    let pace = (*answers as f64 * 60.0 / facts.span.as_secs_f64()).floor().max(1.0) as u64;
    let lowers = requests_per_minute.is_none_or(|limit| limit > pace);
    let key = Key::of(&["providers", name, "limits", "requests_per_minute"]);
    let to_write = change(key, requests_per_minute.map(Value::Number), Value::Number(pace));
    let mend = if lowers {
        format!(
            "It answered {pace} a minute: a limit of that sends the rest elsewhere, or away at once. Ask the provider for \
             more where that is too little."
        )
    } else {
        format!(
            "`providers.{name}.limits` is no higher than it answers: lower `concurrency.max`, so that bursts wait here, \
                 or ask the provider for more."
        )
    };
    Some(Found {
        title: format!("Ask {name} no faster than it answers"),
        words: format!("{:.0} in 100 tries at `{name}` were answered 429. {mend}", in_vain * 100.0),
        evidence: vec![
            ("tries", (*tries).into()),
            ("throttled", (*throttled).into()),
            ("throttled_share", in_vain.into()),
            ("answers_per_minute", pace.into()),
        ],
        saving: Saving { requests_share: Some(in_vain), ..Saving::default() },
        change: if lowers { vec![to_write] } else { Vec::new() },
        safe: false,
    })
}
