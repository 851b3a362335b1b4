//! What `GET /admin/advice` says, for people. What an older or a newer gateway does not say is left out.

use std::fmt::Write as _;

use serde_json::Value;

use crate::commands::grid::{rows, text};

/// Each piece of advice with its evidence, then what was applied.
pub(super) fn of(said: &Value) -> String {
    let mut out = String::new();
    if said["enabled"] == false {
        out.push_str("No advice is given: `advice.enabled` or `observe.enabled` is false.\n");
    } else if rows(&said["advice"]).is_empty() {
        out.push_str("Nothing to advise.\n");
    }
    for advice in rows(&said["advice"]) {
        let _ = writeln!(
            out,
            "{}\n  {}\n  {}",
            text(&advice["title"]),
            text(&advice["id"]),
            text(&advice["words"])
        );
        for measured in rows(&advice["evidence"]) {
            let _ = writeln!(out, "    {}  {}", text(&measured["name"]), figure(&measured["value"]));
        }
        for (name, value) in advice["saving"].as_object().into_iter().flatten() {
            if !value.is_null() {
                let _ = writeln!(out, "  saves {}  {}", name, figure(value));
            }
        }
        changes(&mut out, &advice["change"]);
        let how = if advice["safe"] == true {
            "tidegate advice apply"
        } else {
            "not applied by itself: for you to decide"
        };
        let _ = match advice["safe"] == true {
            true => writeln!(out, "  {how} {}\n", text(&advice["id"])),
            false => writeln!(out, "  {how}\n"),
        };
    }
    for applied in rows(&said["applied"]) {
        let _ = writeln!(
            out,
            "applied {}: {}\n  {}",
            text(&applied["at"]),
            text(&applied["title"]),
            text(&applied["id"])
        );
        changes(&mut out, &applied["change"]);
    }
    out
}

/// What came of applying one, or of taking it back.
pub(super) fn of_one(said: &Value, word: &str) -> String {
    let (mut out, file) = (String::new(), text(&said["file"]));
    let _ = match word {
        "apply" => writeln!(out, "written to {file} and in force:"),
        _ => writeln!(out, "taken out of {file} again, which is in force:"),
    };
    changes(&mut out, &said["change"]);
    out
}

fn changes(out: &mut String, changes: &Value) {
    for change in rows(changes) {
        let from = if change["from"].is_null() { "nothing".to_owned() } else { plain(&change["from"]) };
        let _ = writeln!(out, "  {}: {from} -> {}", text(&change["key"]), plain(&change["to"]));
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A number with as many places as can be read.
fn figure(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() != 0.0 => format!("{number:.4}"),
        _ => plain(value),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    #[test]
    fn advice_comes_with_its_evidence_and_its_change() {
        let change = json!([{ "key": "models.smart.cache.enabled", "from": false, "to": true }]);
        let said = json!({
            "advice": [{
                "id": "duplicates-1", "title": "Let the cache answer for smart", "words": "w", "safe": true,
                "evidence": [{ "name": "repeated_share", "value": 0.3 }],
                "saving": { "usd_per_day": 14.4, "seconds_p95": null }, "change": change,
            }],
            "applied": [{ "id": "skew-2", "title": "t", "at": "2030-01-31T12:00:00Z",
                          "change": [{ "key": "k", "from": null, "to": 3 }] }],
        });
        let shown = of(&said);
        for line in [
            "Let the cache answer for smart\n  duplicates-1\n",
            "repeated_share  0.3000",
            "saves usd_per_day  14.4000",
            "models.smart.cache.enabled: false -> true",
            "tidegate advice apply duplicates-1",
            "applied 2030-01-31T12:00:00Z: t\n  skew-2\n  k: nothing -> 3",
        ] {
            assert!(shown.contains(line), "{line}\n{shown}");
        }
        assert!(!shown.contains("seconds_p95"));
        let one = json!({ "file": "/etc/tidegate.toml", "change": change });
        assert!(of_one(&one, "apply").starts_with("written to /etc/tidegate.toml"));
    }

    #[test]
    fn what_is_for_people_to_decide_is_not_offered() {
        let said = json!({ "advice": [{ "id": "tail-1", "title": "t", "safe": false }] });
        assert!(!of(&said).contains("tidegate advice apply"));
        assert_eq!(of(&json!({ "advice": [] })), "Nothing to advise.\n");
        assert!(of(&json!({ "enabled": false })).contains("advice.enabled"));
    }
}
