//! What a gateway said of itself, as lines for a terminal. Pure.

use rig::load::units;
use serde_json::Value;

use crate::commands::grid::{Align, Grid, text};

/// Rows of routes, of targets and of keys.
const ROWS: usize = 8;

/// What the gateway said.
pub(super) struct Said {
    /// How it does.
    pub(super) performance: Value,
    /// How its targets are.
    pub(super) targets: Value,
    /// The latest requests.
    pub(super) requests: Value,
}

impl Said {
    /// All of it; `away` is why this is not news any more.
    pub(super) fn lines(&self, away: Option<&str>) -> Vec<String> {
        let performance = &self.performance;
        let window = text(&performance["window"]);
        let mut lines = vec![format!("tidegate top  {}", text(&performance["at"]))];
        lines.extend(away.map(|why| format!("away: {}", plain(why))));
        section(&mut lines, "", &self.overall());
        section(&mut lines, &format!("routes, {window}"), &rates("route", &performance["routes"]));
        section(&mut lines, &format!("targets, {window}"), &self.targets());
        section(&mut lines, &format!("keys, {window}"), &rates("key", &performance["keys"]));
        section(&mut lines, "latest requests", &self.latest());
        lines
    }

    fn overall(&self) -> Option<Grid> {
        let mut grid =
            Grid::new(&RATES.map(|(name, align)| (if name.is_empty() { "over" } else { name }, align)));
        let windows = ["10s", "1m", "10m", "1h", "24h"];
        for window in windows {
            grid.row(of_rates(window.to_owned(), &self.performance["all"][window]));
        }
        Some(grid)
    }

    fn targets(&self) -> Option<Grid> {
        let mut grid = Grid::new(&[
            ("target", Align::Left),
            ("calls/s", Align::Right),
            ("errors", Align::Right),
            ("p50", Align::Right),
            ("p95", Align::Right),
            ("first token p95", Align::Right),
            ("in flight", Align::Right),
            ("waiting", Align::Right),
            ("health", Align::Left),
        ]);
        let rows = rows(&self.performance["targets"]);
        for row in rows.iter().take(ROWS) {
            let (name, figures) = (text(&row["name"]), &row["figures"]);
            let (in_flight, waiting, health) = self.stand(&name);
            grid.row(vec![
                plain(&name),
                rate(&row["rates"]["requests_per_second"]),
                share(&row["rates"]["error_rate"]),
                time(&figures["external"], "p50_ms"),
                time(&figures["external"], "p95_ms"),
                time(&figures["first_token"], "p95_ms"),
                in_flight,
                waiting,
                health,
            ]);
        }
        (!rows.is_empty()).then_some(grid)
    }

    /// How many calls a target has, how many wait for it, and how it is; dashes where it is one of many.
    fn stand(&self, name: &str) -> (String, String, String) {
        let lanes: Vec<&Value> = rows(&self.targets["targets"])
            .iter()
            .filter(|lane| format!("{}/{}", text(&lane["provider"]), text(&lane["model"])) == name)
            .collect();
        if lanes.is_empty() {
            return ("–".to_owned(), "–".to_owned(), "–".to_owned());
        }
        let sum = |what: &str| {
            let counts = lanes.iter().filter_map(|lane| lane["concurrency"][what].as_u64());
            units::count(counts.sum())
        };
        let unwell = lanes.iter().find(|lane| lane["health"]["ok"] == false);
        let health = unwell.map_or("ok", |lane| lane["health"]["why"].as_str().unwrap_or("unwell"));
        (sum("in_flight"), sum("waiting"), plain(health))
    }

    fn latest(&self) -> Option<Grid> {
        let mut grid = Grid::new(&[
            ("at", Align::Left),
            ("status", Align::Right),
            ("outcome", Align::Left),
            ("route", Align::Left),
            ("target", Align::Left),
            ("cache", Align::Left),
            ("total", Align::Right),
            ("first token", Align::Right),
            ("tries", Align::Right),
            ("key", Align::Left),
            ("id", Align::Left),
        ]);
        let rows = rows(&self.requests["requests"]);
        for row in rows {
            let at = text(&row["at"]);
            let clock = at.split_once('T').map_or(&*at, |(_, time)| time.trim_end_matches('Z'));
            grid.row(vec![
                clock.to_owned(),
                text(&row["status"]),
                text(&row["outcome"]).replace('_', " "),
                plain(&text(&row["route"])),
                plain(&text(&row["target"])),
                plain(&text(&row["cache"])),
                time(row, "total_ms"),
                time(row, "first_token_ms"),
                text(&row["attempts"]),
                plain(&text(&row["key"])),
                plain(&text(&row["id"])),
            ]);
        }
        (!rows.is_empty()).then_some(grid)
    }
}

/// The columns of rates and times; the first is named by whoever uses them.
const RATES: [(&str, Align); 10] = [
    ("", Align::Left),
    ("requests/s", Align::Right),
    ("errors", Align::Right),
    ("hits", Align::Right),
    ("tokens/s", Align::Right),
    ("p50", Align::Right),
    ("p95", Align::Right),
    ("p99", Align::Right),
    ("first token p95", Align::Right),
    ("overhead p95", Align::Right),
];

fn rates(of: &str, list: &Value) -> Option<Grid> {
    let mut grid = Grid::new(&RATES.map(|(name, align)| (if name.is_empty() { of } else { name }, align)));
    let rows = rows(list);
    rows.iter().take(ROWS).for_each(|row| grid.row(of_rates(plain(&text(&row["name"])), row)));
    (!rows.is_empty()).then_some(grid)
}

fn of_rates(name: String, row: &Value) -> Vec<String> {
    let (rates, figures) = (&row["rates"], &row["figures"]);
    vec![
        name,
        rate(&rates["requests_per_second"]),
        share(&rates["error_rate"]),
        share(&rates["cache_hit_rate"]),
        rate(&rates["tokens_per_second"]),
        time(&figures["total"], "p50_ms"),
        time(&figures["total"], "p95_ms"),
        time(&figures["total"], "p99_ms"),
        time(&figures["first_token"], "p95_ms"),
        time(&figures["overhead"], "p95_ms"),
    ]
}

/// A grid under its title, after an empty line; nothing where there are no rows.
fn section(lines: &mut Vec<String>, title: &str, grid: &Option<Grid>) {
    let Some(grid) = grid else { return };
    lines.push(String::new());
    if !title.is_empty() {
        lines.push(title.to_owned());
    }
    lines.extend(grid.to_string().lines().map(str::to_owned));
}

fn rows(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Without what would steer a terminal: callers choose some of the names.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(48).collect()
}

fn rate(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), units::rate)
}

fn share(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), units::percent)
}

/// A time in milliseconds; a dash where there is none, or nothing was recorded.
fn time(of: &Value, name: &str) -> String {
    let ms = of[name].as_f64().filter(|_| of["count"] != 0);
    ms.map_or_else(|| "–".to_owned(), |ms| units::time(ms * 1e3))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::{Value, json};

    use super::Said;

    fn reading(name: &str) -> Value {
        let took = json!({ "count": 3, "p50_ms": 1.5, "p95_ms": 20.0, "p99_ms": 1200.0 });
        let nothing = json!({ "count": 0, "p50_ms": 0.0, "p95_ms": 0.0, "p99_ms": 0.0 });
        json!({
            "name": name,
            "rates": {
                "requests_per_second": 12.0, "error_rate": 0.25, "cache_hit_rate": null, "tokens_per_second": 0.0,
            },
            "figures": { "total": took, "external": took, "first_token": nothing, "overhead": took },
        })
    }

    fn said() -> Said {
        Said {
            performance: json!({
                "at": "2030-01-01T00:00:00Z", "window": "1m", "all": { "1m": reading("") },
                "routes": [reading("smart")], "targets": [reading("p/m"), reading("p/other")], "keys": [],
            }),
            targets: json!({ "targets": [
                {
                    "provider": "p", "model": "m", "concurrency": { "in_flight": 2, "waiting": 1 },
                    "health": { "ok": false, "why": "it fails" },
                },
                { "provider": "p", "model": "m", "concurrency": { "in_flight": 3, "waiting": 0 }, "health": { "ok": true } },
            ] }),
            requests: json!({ "requests": [{
                "at": "2030-01-01T00:00:01.250Z", "status": 200, "outcome": "ok", "route": "smart",
                "target": "p/m\u{1b}[31m", "cache": "miss", "total_ms": 12.5, "first_token_ms": null,
                "attempts": 2, "key": null, "id": "r1",
            }] }),
        }
    }

    #[test]
    fn everything_has_its_line() {
        let lines: Vec<String> = said().lines(Some("gone")).iter().map(|line| words(line)).collect();
        for line in [
            "away: gone",
            "1m 12.0 25.0 % – 0.00 1.50 ms 20.0 ms 1.20 s – 20.0 ms",
            "smart 12.0 25.0 % – 0.00 1.50 ms 20.0 ms 1.20 s – 20.0 ms",
            "p/m 12.0 25.0 % 1.50 ms 20.0 ms – 5 1 it fails",
            "p/other 12.0 25.0 % 1.50 ms 20.0 ms – – – –",
            "00:00:01.250 200 ok smart p/m[31m miss 12.5 ms – 2 – r1",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line:?} is not in {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("keys")), "nobody has a key");
    }

    fn words(line: &str) -> String {
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
