//! Kept requests as the admin plane shows them.

use super::entry::Entry;
use super::trail::Micros;
use super::waterfall::{self, Span};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// A row of a list.
pub fn row(entry: &Entry) -> Value {
    let account = &entry.account;
    let (who, tokens) = (account.who.as_deref(), &account.tokens);
    let first_token = account.trail.passed(super::trail::Mark::FirstToken);
    json!({
        "id": entry.id(),
        "number": entry.number,
        "at": moment(entry.at),
        "operation": account.operation.name(),
        "route": account.route.as_deref().unwrap_or(super::OTHER),
        "alias": account.route.as_deref().filter(|_| account.is_alias),
        "asked_for": account.model,
        "key": who.and_then(|who| who.key.as_deref()),
        "tenant": who.map(|who| &who.tenant),
        "target": entry.target(),
        "status": entry.status(),
        "outcome": account.outcome.name(),
        "error": account.fault.map(wire::failure::Kind::name),
        "cache": entry.cache(),
        "stream": account.stream,
        "total_ms": millis(account.total.after()),
        "overhead_ms": millis(account.overhead.after()),
        "first_token_ms": first_token.map(|at| millis(at.after())),
        "tokens": { "input": tokens.input, "output": tokens.output, "cached_input": tokens.cached },
        "cost_usd": account.cost_micro_usd.map(|micros| f64::from(micros) / 1e6),
        "attempts": account.trail.made(),
    })
}

/// All there is to tell of one.
pub fn whole(entry: &Entry) -> Value {
    let mut shown = row(entry);
    shown["waterfall"] = waterfall::spans(&entry.account).iter().map(step).collect();
    shown
}

fn step(span: &Span<'_>) -> Value {
    let at = |at: Micros| millis(at.after());
    json!({
        "step": span.step,
        "target": span.target,
        "from_ms": at(span.from),
        "to_ms": span.to.map(at),
        "result": span.result,
    })
}

/// Milliseconds, to a microsecond.
pub fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

/// A moment in UTC to the millisecond, as RFC 3339 writes it.
fn moment(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).map(|at| format!("{at:.3}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::account::Tokens;
    use super::super::stage;
    use super::super::trail::Mark;
    use super::{row, whole};
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn a_row_says_what_it_was_and_nothing_of_what_it_said() {
        let entry = stage::entry(7, |account| {
            account.total = stage::millis(1_500);
            account.tokens = Tokens { input: 3, output: 4, cached: 1 };
            account.cost_micro_usd = Some(250);
            account.asked_in_vain("gpt-nope");
        });
        assert_eq!(
            row(&entry),
            json!({
                "id": "r7", "number": 7, "at": "1970-01-01T00:00:07.000Z", "operation": "chat",
                "route": "other", "alias": null, "asked_for": "gpt-nope", "key": null, "tenant": null,
                "target": null, "status": 200, "outcome": "ok", "error": null, "cache": null, "stream": false,
                "total_ms": 1500.0, "overhead_ms": 0.0, "first_token_ms": null,
                "tokens": { "input": 3, "output": 4, "cached_input": 1 }, "cost_usd": 0.00025, "attempts": 0,
            })
        );
    }

    #[test]
    fn the_whole_has_the_waterfall() {
        let entry = stage::entry(0, |account| {
            let began = account.trail.began();
            account.trail.passes(Mark::Identified, began + Duration::from_micros(1_500));
        });
        assert_eq!(
            whole(&entry)["waterfall"],
            json!([{ "step": "identify", "target": null, "from_ms": 0.0, "to_ms": 1.5, "result": null }])
        );
    }
}
