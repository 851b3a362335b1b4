//! `tidegate keys list` and `revoke`: asked over the admin plane of a running gateway.

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use crate::commands::admin::AdminArgs;
use crate::commands::grid::{Align, Grid, text};
use crate::commands::refusal::Refusal;
use crate::commands::{config, show};
use crate::keys::is_id;

/// How to show them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate keys list
  tidegate keys list --json | jq '.keys[] | select(.state == \"valid\") | .id'")]
pub(in crate::commands) struct ListArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// Which to revoke.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate keys revoke tg-AbCdEf123456")]
pub(in crate::commands) struct RevokeArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Their public parts: `tg-` and 12 letters or digits.
    #[arg(value_name = "ID", required = true, value_parser = id, help_heading = "Which")]
    ids: Vec<String>,
    /// Print what the gateway says, as JSON, a line each.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

fn id(text: &str) -> Result<String, String> {
    // A whole key is not repeated.
    if is_id(text) { Ok(text.to_owned()) } else { Err("an id is tg- and 12 letters or digits".to_owned()) }
}

/// Shows every key.
pub(super) fn list(args: &ListArgs) -> ExitCode {
    let said = args.admin.ask(Method::GET, "/admin/keys", None);
    said.map_or_else(|refusal| refusal.tell(), |said| show(args.json, &said, || table(&said)))
}

/// Revokes one after the other; the first that is refused ends it.
pub(super) fn revoke(args: &RevokeArgs) -> ExitCode {
    revoked(args).map_or_else(|refusal| refusal.tell(), |()| ExitCode::SUCCESS)
}

fn revoked(args: &RevokeArgs) -> Result<(), Refusal> {
    for id in &args.ids {
        let said = args.admin.ask(Method::DELETE, &format!("/admin/keys/{id}"), None)?;
        let line = if args.json { format!("{said}\n") } else { format!("{id} is revoked\n") };
        config::print(&line);
    }
    Ok(())
}

fn table(said: &Value) -> String {
    let rows = said["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return match said["needed"].as_bool() {
            Some(true) => "There is no key, and callers need one: tidegate keys create --stored\n".to_owned(),
            _ => "There is no key: whoever reaches the gateway may use it.\n".to_owned(),
        };
    }
    let left =
        ["id", "state", "source", "tenant", "models", "priority", "created"].map(|name| (name, Align::Left));
    let mut grid = Grid::new(&left);
    rows.iter().for_each(|row| grid.row(cells(row)));
    grid.to_string()
}

fn cells(row: &Value) -> Vec<String> {
    let models: Vec<&str> =
        row["models"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let models = if models.is_empty() { "every model".to_owned() } else { models.join(", ") };
    let [id, state, source, tenant, priority, created] =
        ["id", "state", "source", "tenant", "priority", "created_at"].map(|name| text(&row[name]));
    vec![id, state, source, tenant, models, priority, created]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    #[test]
    fn each_key_has_a_line() {
        let key = json!({
            "id": "tg-AbCdEf123456", "state": "revoked", "source": "store", "tenant": "search",
            "models": ["smart", "openai/*"], "priority": "low", "created_at": "2026-01-01T00:00:00Z",
        });
        let table = table(&json!({ "needed": true, "keys": [key, { "id": "tg-BbCdEf123456" }] }));
        let lines: Vec<String> =
            table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines[1..],
            [
                "tg-AbCdEf123456 revoked store search smart, openai/* low 2026-01-01T00:00:00Z",
                "tg-BbCdEf123456 – – – every model – –",
            ]
        );
    }

    #[test]
    fn where_there_is_none_it_is_said_what_that_means() {
        assert!(table(&json!({ "needed": true, "keys": [] })).contains("callers need one"));
        assert!(table(&json!({ "needed": false, "keys": [] })).contains("may use it"));
    }
}
