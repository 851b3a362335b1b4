//! `tidegate jobs`: what a running gateway does later, for every tenant; asked over its admin plane.

mod table;

use std::process::ExitCode;

use http::Method;
use serde_json::Value;
use store::jobs::State;

use super::admin::AdminArgs;
use super::refusal::Refusal;
use super::{duration, show};
use crate::admin::jobs::Which;
use crate::durable::api::state_name;

/// What to do with jobs.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show how many wait and who works, and the newest jobs.
    List(ListArgs),
    /// Show all there is to know of one.
    Show(ShowArgs),
    /// Take jobs back: at once, or where they run within moments.
    #[command(after_help = "Examples:
  tidegate jobs cancel job_5692161d100b05e5
  tidegate jobs list --state ready --json | jq -r '.jobs.data[].id' | xargs tidegate jobs cancel")]
    Cancel(IdsArgs),
    /// Do dead or cancelled jobs anew, with all their attempts.
    #[command(after_help = "Examples:
  tidegate jobs retry job_5692161d100b05e5
  tidegate jobs list --state dead --json | jq -r '.jobs.data[].id' | xargs tidegate jobs retry")]
    Retry(IdsArgs),
    /// Forget jobs that are over.
    Purge(PurgeArgs),
}

/// Which to show.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate jobs list
  tidegate jobs list --state dead --queue default
  tidegate jobs list --json | jq '.jobs.data[] | select(.attempts > 1)'")]
pub(super) struct ListArgs {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    narrow: NarrowArgs,
    /// In this state: scheduled, ready, running, done, dead or cancelled.
    #[arg(long, value_name = "STATE", value_parser = State::ALL.map(state_name), help_heading = "Which")]
    state: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 50, help_heading = "Which")]
    limit: usize,
    /// Only those added before this one.
    #[arg(long, value_name = "ID", help_heading = "Which")]
    after: Option<String>,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// Which one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate jobs show job_5692161d100b05e5
  tidegate jobs show job_5692161d100b05e5 | jq '.error'")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Its id: `job_…`.
    #[arg(value_name = "ID", value_parser = id, help_heading = "Which")]
    id: String,
}

/// Which of them.
#[derive(Debug, clap::Args)]
pub(super) struct IdsArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Their ids: `job_…`.
    #[arg(value_name = "ID", required = true, value_parser = id, help_heading = "Which")]
    ids: Vec<String>,
    /// Print what the gateway says, as JSON, a line each.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// What to forget.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate jobs purge --state dead --older-than 24h
  tidegate jobs purge --state done --queue reports")]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    narrow: NarrowArgs,
    /// In this state: done, dead or cancelled.
    #[arg(long, value_name = "STATE", value_parser = ["done", "dead", "cancelled"], help_heading = "Which")]
    state: String,
    /// Only those that were over before that, as 24h.
    #[arg(long, value_name = "AGE", value_parser = duration, help_heading = "Which")]
    older_than: Option<String>,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// Which jobs, by what does not change.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Which")]
struct NarrowArgs {
    /// In this queue.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Of this kind.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Of this tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

impl NarrowArgs {
    fn which(&self) -> Which {
        let Self { queue, kind, tenant } = self;
        Which { queue: queue.clone(), kind: kind.clone(), tenant: tenant.clone(), ..Which::default() }
    }
}

fn id(text: &str) -> Result<String, String> {
    let known = crate::durable::id::read(text);
    known
        .map(|_| text.to_owned())
        .ok_or_else(|| "write it as the gateway does: job_ and 16 digits".to_owned())
}

/// Does what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::List(args) => list(args),
        Command::Show(args) => look(args),
        Command::Cancel(args) => each(args, "cancel", |said| match said["came_to"].as_str() {
            Some("asked") => "runs, and is told to stop".to_owned(),
            Some("cancelled") => "cancelled".to_owned(),
            other => format!("is over already: {}", other.unwrap_or("?")),
        }),
        Command::Retry(args) => {
            each(args, "retry", |said| format!("is done anew as {}", table::word(&said["id"])))
        }
        Command::Purge(args) => purge(args),
    };
    done.unwrap_or_else(|refusal| refusal.tell())
}

fn list(args: &ListArgs) -> Result<ExitCode, Refusal> {
    let (state, after, limit) = (args.state.clone(), args.after.clone(), Some(args.limit));
    let which = Which { state, after, limit, ..args.narrow.which() };
    let said = args.admin.ask(Method::GET, &format!("/admin/jobs?{}", query(&which)), None)?;
    Ok(show(args.json, &said, || table::of(&said)))
}

fn look(args: &ShowArgs) -> Result<ExitCode, Refusal> {
    let said = args.admin.ask(Method::GET, &format!("/admin/jobs/{}", args.id), None)?;
    Ok(show(true, &said, String::new))
}

/// One after the other; the first that is refused ends it.
fn each(args: &IdsArgs, verb: &str, words: impl Fn(&Value) -> String) -> Result<ExitCode, Refusal> {
    for id in &args.ids {
        let said = args.admin.ask(Method::POST, &format!("/admin/jobs/{id}/{verb}"), None)?;
        let line = if args.json { format!("{said}\n") } else { format!("{id} {}\n", words(&said)) };
        super::config::print(&line);
    }
    Ok(ExitCode::SUCCESS)
}

fn purge(args: &PurgeArgs) -> Result<ExitCode, Refusal> {
    let (state, older_than) = (Some(args.state.clone()), args.older_than.clone());
    let which = serde_json::json!(Which { state, older_than, ..args.narrow.which() });
    let mut purged = 0;
    loop {
        let said = args.admin.ask(Method::POST, "/admin/jobs/purge", Some(&which))?;
        purged += said["purged"].as_u64().unwrap_or(0);
        if said["has_more"] != true {
            let said = serde_json::json!({ "purged": purged });
            return Ok(show(args.json, &said, || match purged {
                1 => "1 job forgotten\n".to_owned(),
                count => format!("{count} jobs forgotten\n"),
            }));
        }
    }
}

/// As a query: names are sent as they are, but for what would end them.
fn query(which: &Which) -> String {
    let fields = serde_json::json!(which);
    let pairs = fields.as_object().into_iter().flatten().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let encoded: String = text
            .bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect();
        format!("{name}={encoded}")
    });
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn what_is_asked_becomes_a_query() {
        let which = Which { tenant: Some("a b&c".into()), limit: Some(5), ..Which::default() };
        assert_eq!(query(&which), "limit=5&tenant=a%20b%26c");
        assert_eq!(query(&Which::default()), "");
    }

    #[test]
    fn what_cannot_be_asked_is_wrong_usage() {
        let good = crate::durable::id::show(store::jobs::JobId(1));
        for line in [
            "list",
            "list --state dead --limit 5",
            &format!("retry {good} {good}"),
            "purge --state done --older-than 24h",
        ] {
            assert!(Line::try_parse_from(["x"].into_iter().chain(line.split(' '))).is_ok(), "{line}");
        }
        for line in [
            "retry",
            "cancel 17",
            "show job_1",
            "purge",
            "purge --state ready",
            "purge --state done --older-than 24",
            "list --limit many",
            "list --state foo",
        ] {
            assert!(Line::try_parse_from(["x"].into_iter().chain(line.split(' '))).is_err(), "{line}");
        }
    }
}
