//! `tidegate workflow list`: a tenant's runs, or its workflows.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use rig::load::units;
use serde_json::Value;

use super::remote::Remote;
use crate::commands::caller::CallerArgs;
use crate::commands::grid::{Align, Grid, text};
use crate::commands::refusal::Refusal;
use crate::commands::show;

/// What to list.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate workflow list
  tidegate workflow list --workflow digest --state failed
  tidegate workflow list --definitions
  tidegate workflow list --json | jq -r '.data[].id'")]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    caller: CallerArgs,
    /// The workflows themselves, and not their runs.
    #[arg(long, conflicts_with_all = ["workflow", "state", "after"], help_heading = "Which")]
    definitions: bool,
    /// Runs of this workflow.
    #[arg(long, value_name = "NAME", value_parser = word, help_heading = "Which")]
    workflow: Option<String>,
    /// Runs in this state.
    #[arg(
        long, value_name = "STATE", help_heading = "Which",
        value_parser = ["running", "paused", "compensating", "done", "failed", "cancelled"]
    )]
    state: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=100), help_heading = "Which")]
    limit: u8,
    /// Runs older than this one.
    #[arg(long, value_name = "RUN", value_parser = word, help_heading = "Which")]
    after: Option<String>,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// Text that may stand in an address as it is: names of workflows, steps and signals, and ids of runs.
pub(super) fn word(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    match !text.is_empty() && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("this is not a name: letters, digits and - _ . are".to_owned()),
    }
}

/// Shows the list.
pub(super) fn run(args: &Args) -> ExitCode {
    listed(args).unwrap_or_else(|refusal| refusal.tell())
}

fn listed(args: &Args) -> Result<ExitCode, Refusal> {
    let mut remote = Remote::new(&args.caller, None)?;
    if args.definitions {
        let said = remote.get("")?;
        return Ok(show(args.json, &said, || definitions(&said)));
    }
    let said = remote.get(&args.path())?;
    Ok(show(args.json, &said, || runs(&said)))
}

impl Args {
    fn path(&self) -> String {
        let named = [("workflow", &self.workflow), ("state", &self.state), ("after", &self.after)];
        let named = named.iter().filter_map(|(name, value)| Some(format!("&{name}={}", value.as_ref()?)));
        format!("/runs?limit={}{}", self.limit, named.collect::<String>())
    }
}

fn definitions(said: &Value) -> String {
    let mut grid = Grid::new(&[("WORKFLOW", Align::Left), ("VERSION", Align::Right), ("SINCE", Align::Left)]);
    let rows = said["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "There are no workflows yet.\n".to_owned();
    }
    for row in rows {
        grid.row(vec![text(&row["name"]), text(&row["version"]), moment(&row["created_at"])]);
    }
    grid.to_string()
}

fn runs(said: &Value) -> String {
    let mut grid = Grid::new(&[
        ("RUN", Align::Left),
        ("WORKFLOW", Align::Left),
        ("VERSION", Align::Right),
        ("STATE", Align::Left),
        ("STARTED", Align::Left),
        ("ENDED", Align::Left),
    ]);
    let rows = said["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "There are no such runs.\n".to_owned();
    }
    for row in rows {
        let cells = [&row["id"], &row["workflow"], &row["version"], &row["state"]].map(text);
        let moments = [&row["created_at"], &row["ended_at"]].map(moment);
        grid.row(cells.into_iter().chain(moments).collect());
    }
    let more = match (&said["has_more"], said["last_id"].as_str()) {
        (Value::Bool(true), Some(last)) => format!("… and more: --after {last}\n"),
        _ => String::new(),
    };
    grid.to_string() + &more
}

/// Seconds since 1970, for people.
fn moment(value: &Value) -> String {
    match value.as_u64() {
        Some(seconds) => units::rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
        None => text(&Value::Null),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn path(flags: &str) -> Result<String, clap::Error> {
        let words = ["list"].into_iter().chain(flags.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args.path())
    }

    #[test]
    fn flags_become_a_query_and_what_cannot_stand_there_is_wrong_usage() {
        assert_eq!(path("").unwrap(), "/runs?limit=20");
        let all = "--workflow digest --state failed --after run-1 --limit 5";
        assert_eq!(path(all).unwrap(), "/runs?limit=5&workflow=digest&state=failed&after=run-1");
        for flags in
            ["--workflow a&b", "--state over", "--limit 0", "--limit 101", "--definitions --state done"]
        {
            assert!(path(flags).is_err(), "{flags}");
        }
    }

    #[test]
    fn runs_stand_in_a_table() {
        let row = json!({ "id": "run-1", "workflow": "w", "version": 2, "state": "done", "created_at": 0 });
        let table = runs(&json!({ "data": [row], "has_more": true, "last_id": "run-1" }));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1], "run-1  w               2  done   1970-01-01T00:00:00Z  –");
        assert_eq!(lines[2], "… and more: --after run-1");
        assert_eq!(runs(&json!({ "data": [] })), "There are no such runs.\n");
    }
}
