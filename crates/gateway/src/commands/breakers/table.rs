//! What `GET /admin/breakers` says, for people. What an older or a newer gateway does not say is left out.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::commands::grid::{Align, Grid, text};

/// A screen of it: what is not closed first, then the rest, then what it comes from.
pub(super) fn of(said: &Value) -> String {
    let rows = said["breakers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "No target has been asked yet.\n".to_owned();
    }
    let mut grid = Grid::new(&[
        ("target", Align::Left),
        ("operation", Align::Left),
        ("state", Align::Left),
        ("again in", Align::Right),
        ("in a row", Align::Right),
        ("failed", Align::Right),
        ("trips", Align::Right),
        ("strategy", Align::Left),
        ("tripped by", Align::Left),
    ]);
    let (closed, open): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["state"] == "closed");
    open.into_iter().chain(closed).for_each(|row| grid.row(cells(row)));
    let mut out = grid.to_string();
    causes(&mut out, &said["causes"]);
    out
}

fn cells(row: &Value) -> Vec<String> {
    let again = row["retry_after_seconds"].as_f64().map(|seconds| {
        // To the second, and never none: it is open.
        let whole = Duration::try_from_secs_f64(seconds.ceil().max(1.0)).unwrap_or_default();
        format!("{} s", whole.as_secs())
    });
    let calls = format!("{} of {}", text(&row["failures"]), text(&row["calls"]));
    vec![
        target(row),
        text(&row["operation"]),
        text(&row["state"]).replace('_', " "),
        again.unwrap_or_default(),
        text(&row["consecutive"]),
        calls,
        text(&row["trips"]),
        text(&row["strategy"]),
        reason(row).to_owned(),
    ]
}

fn target(row: &Value) -> String {
    let name = format!("{}/{}", text(&row["provider"]), text(&row["model"]));
    match row["alias"].as_str() {
        Some(alias) => format!("{name} (as {alias})"),
        None => name,
    }
}

fn reason(row: &Value) -> &str {
    match row["reason"].as_str().unwrap_or_default() {
        "consecutive" if row["scope"] == "credential" => "credential refused or spent",
        "consecutive" => "failures in a row",
        "rate" => "too many failures",
        "trial" => "a failure on trial",
        "forced" => "failures of several models",
        other => other,
    }
}

fn causes(out: &mut String, causes: &Value) {
    for cause in causes.as_array().into_iter().flatten() {
        let [severity, words, advice] = ["severity", "words", "advice"].map(|key| text(&cause[key]));
        let _ = write!(out, "\n{severity}: {words}\n  {advice}\n");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    #[test]
    fn who_is_left_alone_comes_first_and_why_below() {
        let said = json!({
            "breakers": [
                {
                    "scope": "target", "provider": "a", "model": "m", "operation": "chat", "alias": null,
                    "state": "closed", "consecutive": 0, "calls": 12, "failures": 0, "trips": 0,
                    "reason": null, "strategy": "balanced",
                },
                {
                    "scope": "target", "provider": "b", "model": "n/o", "operation": "chat", "alias": "smart",
                    "state": "open", "retry_after_seconds": 57.2, "consecutive": 5, "calls": 7, "failures": 5,
                    "trips": 2, "reason": "trial", "strategy": null,
                },
            ],
            "causes": [{ "severity": "warning", "words": "it is so", "advice": "do this" }],
        });
        let expected = "\
target               operation  state   again in  in a row   failed  trips  strategy  tripped by
b/n/o (as smart)     chat       open        58 s         5   5 of 7      2  –         a failure on trial
a/m                  chat       closed                   0  0 of 12      0  balanced

warning: it is so
  do this
";
        let squeeze = |text: &str| {
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(squeeze(&of(&said)), squeeze(expected));
        let widths: Vec<_> =
            of(&said).lines().take(3).map(|line| line.find("chat").or(line.find("operation"))).collect();
        assert_eq!(widths, [widths[0]; 3], "columns are in line");
    }

    #[test]
    fn what_is_not_said_is_no_fault() {
        assert_eq!(of(&json!({})), "No target has been asked yet.\n");
        assert!(of(&json!({ "breakers": [{}] })).contains("–"));
    }
}
