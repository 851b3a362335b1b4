//! `tidegate targets`: how the targets of a running gateway are, asked over its admin plane.

use std::process::ExitCode;

use http::Method;
use rig::load::units;
use serde_json::Value;

use super::admin::AdminArgs;
use super::grid::{Align, Grid, text};
use super::show;

/// How to show them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate targets
  tidegate targets --json | jq '.targets[] | select(.health.ok | not)'")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// Shows every target that was asked for.
pub(super) fn run(args: &Args) -> ExitCode {
    let said = args.admin.ask(Method::GET, "/admin/targets", None);
    said.map_or_else(|refusal| refusal.tell(), |said| show(args.json, &said, || table(&said)))
}

fn table(said: &Value) -> String {
    let rows = said["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "No target has been asked yet.\n".to_owned();
    }
    let mut grid = Grid::new(&[
        ("target", Align::Left),
        ("operation", Align::Left),
        ("health", Align::Left),
        ("breaker", Align::Left),
        ("in flight", Align::Right),
        ("limit", Align::Right),
        ("waiting", Align::Right),
        ("first token p50", Align::Right),
        ("p99", Align::Right),
        ("average", Align::Right),
        ("why", Align::Left),
    ]);
    rows.iter().for_each(|row| grid.row(cells(row)));
    grid.to_string()
}

fn cells(row: &Value) -> Vec<String> {
    let (health, concurrency, latency) = (&row["health"], &row["concurrency"], &row["latency"]);
    let name = format!("{}/{}", text(&row["provider"]), text(&row["model"]));
    vec![
        row["alias"].as_str().map_or(name.clone(), |alias| format!("{name} (as {alias})")),
        text(&row["operation"]),
        health["ok"].as_bool().map_or("–", |ok| if ok { "ok" } else { "unwell" }).to_owned(),
        text(&row["breaker"]["state"]).replace('_', " "),
        text(&concurrency["in_flight"]),
        text(&concurrency["limit"]),
        text(&concurrency["waiting"]),
        time(&latency["first_token_p50_ms"]),
        time(&latency["first_token_p99_ms"]),
        time(&latency["average_ms"]),
        health["why"].as_str().unwrap_or_default().to_owned(),
    ]
}

fn time(ms: &Value) -> String {
    ms.as_f64().map_or_else(|| "–".to_owned(), |ms| units::time(ms * 1e3))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::table;

    #[test]
    fn each_target_has_a_line() {
        let said = json!({ "targets": [
            {
                "provider": "p", "model": "m", "operation": "chat", "breaker": { "state": "half_open" },
                "concurrency": { "limit": null, "in_flight": 2, "waiting": 7 },
                "latency": { "first_token_p50_ms": 20.0, "first_token_p99_ms": null, "average_ms": 1200.0 },
                "health": { "ok": false, "why": "it fails" },
            },
            { "provider": "q" },
        ] });
        let lines: Vec<String> =
            table(&said).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines[1..],
            ["p/m chat unwell half open 2 – 7 20.0 ms – 1.20 s it fails", "q/– – – – – – – – – –",]
        );
        assert_eq!(table(&json!({})), "No target has been asked yet.\n");
    }
}
