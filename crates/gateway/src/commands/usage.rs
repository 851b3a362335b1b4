//! `tidegate usage`: what callers have used and what it cost, asked over the admin plane of a running gateway.

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::admin::AdminArgs;
use super::grid::{Align, Grid, text};
use super::show;

/// Which days, and whose.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate usage
  tidegate usage --from 2026-01-01 --to 2026-01-31 --tenant search
  tidegate usage --json | jq '[.usage[].cost_usd] | add'")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// From this day of UTC on; by default the last 30 days.
    #[arg(long, value_name = "DAY", value_parser = day, help_heading = "Which")]
    from: Option<String>,
    /// Up to this day; by default today.
    #[arg(long, value_name = "DAY", value_parser = day, help_heading = "Which")]
    to: Option<String>,
    /// Of this key.
    #[arg(long, value_name = "ID", value_parser = plain, help_heading = "Which")]
    key: Option<String>,
    /// Of this tenant.
    #[arg(long, value_name = "NAME", value_parser = plain, help_heading = "Which")]
    tenant: Option<String>,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

fn day(text: &str) -> Result<String, String> {
    let known = text.parse::<jiff::civil::Date>();
    known.map(|day| day.to_string()).map_err(|_| "write a day as in 2026-01-31".to_owned())
}

/// What ids and tenants are made of, and a query may hold as it is.
fn plain(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("no key or tenant is called so".to_owned())
    }
}

/// Shows what was asked for.
pub(super) fn run(args: &Args) -> ExitCode {
    let pairs = [("from", &args.from), ("to", &args.to), ("key", &args.key), ("tenant", &args.tenant)];
    let pairs = pairs.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
    let query = pairs.collect::<Vec<_>>().join("&");
    let said = args.admin.ask(Method::GET, &format!("/admin/usage?{query}"), None);
    said.map_or_else(|refusal| refusal.tell(), |said| show(args.json, &said, || table(&said)))
}

/// Figures that are added up.
const SUMS: [&str; 5] = ["requests", "hits", "failed", "tokens_in", "tokens_out"];

fn table(said: &Value) -> String {
    let rows = said["usage"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return format!("Nothing was used from {} to {}.\n", text(&said["from"]), text(&said["to"]));
    }
    let mut grid = Grid::new(&[
        ("day", Align::Left),
        ("key", Align::Left),
        ("tenant", Align::Left),
        ("model", Align::Left),
        ("requests", Align::Right),
        ("hits", Align::Right),
        ("failed", Align::Right),
        ("tokens in", Align::Right),
        ("tokens out", Align::Right),
        ("cost", Align::Right),
    ]);
    for row in rows {
        let names = ["day", "key", "tenant", "model"].map(|name| name_of(&row[name]));
        let sums = SUMS.map(|name| text(&row[name]));
        grid.row(names.into_iter().chain(sums).chain([cost(row["cost_usd"].as_f64())]).collect());
    }
    let sums = SUMS.map(|name| rows.iter().filter_map(|row| row[name].as_u64()).sum::<u64>().to_string());
    let spent = rows.iter().filter_map(|row| row["cost_usd"].as_f64()).sum();
    let names = ["all", "", "", ""].map(str::to_owned);
    grid.row(names.into_iter().chain(sums).chain([cost(Some(spent))]).collect());
    grid.to_string()
}

/// A dash where there is none: callers without a key belong to nobody.
fn name_of(value: &Value) -> String {
    if value == "" { text(&Value::Null) } else { text(value) }
}

fn cost(usd: Option<f64>) -> String {
    usd.map_or_else(|| text(&Value::Null), |usd| format!("${usd:.4}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::{day, plain, table};

    #[test]
    fn each_row_has_a_line_and_the_last_adds_them_up() {
        let row = |key: &str, requests: u64, cost: f64| {
            json!({
                "day": "2026-01-31", "key": key, "tenant": key, "model": "smart", "requests": requests,
                "hits": 1, "failed": 0, "tokens_in": 10, "tokens_out": 20, "cost_usd": cost,
            })
        };
        let table = table(&json!({ "usage": [row("tg-AbCdEf123456", 3, 0.5), row("", 4, 0.25)] }));
        let lines: Vec<String> =
            table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines[1..],
            [
                "2026-01-31 tg-AbCdEf123456 tg-AbCdEf123456 smart 3 1 0 10 20 $0.5000",
                "2026-01-31 – – smart 4 1 0 10 20 $0.2500",
                "all 7 2 0 20 40 $0.7500",
            ]
        );
    }

    #[test]
    fn where_nothing_was_used_the_days_are_named() {
        let said = json!({ "from": "2026-01-01", "to": "2026-01-31", "usage": [] });
        assert_eq!(table(&said), "Nothing was used from 2026-01-01 to 2026-01-31.\n");
    }

    #[test]
    fn what_cannot_be_asked_is_wrong_usage() {
        assert!(day("2026-01-31").is_ok() && plain("tg-AbCdEf123456").is_ok() && plain("a.b_c").is_ok());
        for text in ["today", "2026-02-30"] {
            assert!(day(text).is_err(), "{text}");
        }
        assert!(plain("a&b=c").is_err());
    }
}
