//! What `GET /admin/alerts` says, for people. What an older or a newer gateway does not say is left out.

use std::fmt::Write as _;

use serde_json::Value;

use crate::commands::grid::{Align, Grid, rows, text};

/// A screen of it: alerts, perhaps what was, silences, receivers.
pub(super) fn of(said: &Value, history: bool) -> String {
    let mut out = String::new();
    if said["enabled"] == false {
        out.push_str("Alerts are switched off: `alerts.enabled` is false.\n");
    }
    match rows(&said["alerts"]) {
        [] => out.push_str("Nothing fires, and nothing is about to.\n"),
        alerts => {
            let keys = ["state", "severity", "name", "since"];
            let mut grid = Grid::new(&keys.map(|key| (key, Align::Left)));
            for alert in alerts {
                grid.row(keys.map(|key| text(&alert[key])).into());
            }
            let grid = grid.to_string();
            let mut lines = grid.lines();
            let _ = writeln!(out, "{}", lines.next().unwrap_or_default());
            for (line, alert) in lines.zip(alerts) {
                let silenced = rows(&alert["silenced_by"]).first().map_or("", |_| "  (silenced)");
                let _ = writeln!(out, "{line}{silenced}\n    {}", text(&alert["description"]));
            }
        }
    }
    if history {
        table(&mut out, "what was", &said["history"], &["at", "state", "severity", "name", "description"]);
    }
    silences(&mut out, &said["silences"]);
    receivers(&mut out, &said["receivers"]);
    out
}

fn silences(out: &mut String, silences: &Value) {
    if rows(silences).is_empty() {
        return;
    }
    let mut grid = Grid::new(&["silence", "of", "until", "comment"].map(|name| (name, Align::Left)));
    for silence in rows(silences) {
        let matchers = rows(&silence["matchers"]).iter().map(|matcher| {
            let sign = if matcher["equal"] == false { "!=" } else { "=" };
            format!("{}{sign}{}", text(&matcher["name"]), text(&matcher["value"]))
        });
        let matchers = matchers.collect::<Vec<_>>().join(" ");
        grid.row(vec![text(&silence["id"]), matchers, text(&silence["until"]), text(&silence["comment"])]);
    }
    let _ = write!(out, "\n{grid}");
}

fn receivers(out: &mut String, receivers: &Value) {
    if rows(receivers).is_empty() {
        out.push_str("\nNobody is told: there is no [alerts.receivers] in the configuration.\n");
        return;
    }
    let keys = ["name", "kind", "place", "ok", "failed", "dropped", "waiting"];
    let align = |key| if ["name", "kind", "place"].contains(&key) { Align::Left } else { Align::Right };
    let mut heads = keys.map(|key| (key, align(key))).to_vec();
    heads[0].0 = "receiver";
    heads.push(("last fault", Align::Left));
    let mut grid = Grid::new(&heads);
    for receiver in rows(receivers) {
        let mut cells: Vec<String> = keys.iter().map(|key| text(&receiver[*key])).collect();
        cells.push(receiver["last_fault"]["words"].as_str().unwrap_or_default().to_owned());
        grid.row(cells);
    }
    let _ = write!(out, "\n{grid}");
}

fn table(out: &mut String, title: &str, all: &Value, keys: &[&str]) {
    if rows(all).is_empty() {
        return;
    }
    let mut grid = Grid::new(&keys.iter().map(|key| (*key, Align::Left)).collect::<Vec<_>>());
    for row in rows(all) {
        grid.row(keys.iter().map(|key| text(&row[*key])).collect());
    }
    let _ = write!(out, "\n{title}:\n{grid}");
}

/// What a test came to.
pub(super) fn of_test(said: &Value) -> String {
    let receivers = rows(&said["receivers"]);
    if receivers.is_empty() {
        return "Nobody is told: there is no [alerts.receivers] in the configuration.\n".to_owned();
    }
    let heads = ["receiver", "kind", "place", "result", "said"].map(|name| (name, Align::Left));
    let mut grid = Grid::new(&heads);
    for receiver in receivers {
        let result = if receiver["ok"] == true { "taken" } else { "failed" };
        let [name, kind, place, words] = ["name", "kind", "place", "said"].map(|key| text(&receiver[key]));
        grid.row(vec![name, kind, place, result.to_owned(), words]);
    }
    grid.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    #[test]
    fn alerts_come_with_what_they_mean_and_who_hears_of_them() {
        let said = json!({
            "alerts": [
                { "state": "firing", "severity": "critical", "name": "errors", "since": "s",
                  "description": "half of all fail", "silenced_by": ["x"] },
            ],
            "history": [{ "at": "t", "state": "resolved", "severity": "warning", "name": "cpu", "description": "d" }],
            "silences": [{ "id": "x", "matchers": [{ "name": "a", "value": "b*", "equal": false }], "until": "u" }],
            "receivers": [{ "name": "pager", "kind": "slack", "place": "h", "ok": 3, "failed": 1, "dropped": 0,
                            "waiting": 0, "last_fault": { "words": "it answered 500" } }],
        });
        let shown = of(&said, true);
        let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [
            "firing critical errors s (silenced) half of all fail",
            "t resolved warning cpu d",
            "x a!=b* u",
            "pager slack h 3 1 0 0 it answered 500",
        ] {
            assert!(words.contains(expected), "{expected} is not in\n{shown}");
        }
        assert!(!of(&said, false).contains("what was"));
    }

    #[test]
    fn what_is_not_said_is_no_fault() {
        assert!(of(&json!({}), true).starts_with("Nothing fires"));
        assert!(
            of(&json!({ "alerts": [{}], "enabled": false }), false).starts_with("Alerts are switched off")
        );
        assert!(of_test(&json!({})).starts_with("Nobody is told"));
    }
}
