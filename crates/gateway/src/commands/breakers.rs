//! `tidegate breakers`: whom a running gateway leaves alone and why, and closing breakers by hand; asked over its
//! admin plane.

mod table;

use std::process::ExitCode;

use clap::ArgGroup;
use http::Method;

use super::admin::AdminArgs;
use super::refusal::Refusal;
use super::show;
use crate::admin::breakers::Reset;

/// What to do with the breakers.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show every breaker, and what failures have in common.
    List(ListArgs),
    /// Close breakers, with a clean record: their targets are asked again at once.
    Reset(ResetArgs),
}

/// How to show them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate breakers list
  tidegate breakers list --json | jq '.breakers[] | select(.state != \"closed\")'
  tidegate breakers list --admin https://gateway.internal:4001 --admin-key-file admin.key")]
pub(super) struct ListArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// Which to close.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("which").required(true).args(["target", "all"]))]
#[command(after_help = "Examples:
  tidegate breakers reset openai/gpt-4o    # of one model
  tidegate breakers reset openai           # of all that a provider has
  tidegate breakers reset 'openai/*'       # of its credential, which was refused or spent
  tidegate breakers reset --all

A breaker whose target still fails opens again.")]
pub(super) struct ResetArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// A provider, or one of its models as `provider/model`.
    #[arg(value_name = "TARGET", value_parser = target, help_heading = "Which")]
    target: Option<Target>,
    /// All there are.
    #[arg(long, help_heading = "Which")]
    all: bool,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// A provider, and perhaps a model of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    provider: String,
    model: Option<String>,
}

fn target(text: &str) -> Result<Target, String> {
    let (provider, model) = match text.split_once('/') {
        Some((provider, model)) => (provider, Some(model)),
        None => (text, None),
    };
    if provider.is_empty() || model == Some("") {
        return Err("write a provider's name, or provider/model".to_owned());
    }
    Ok(Target { provider: provider.to_owned(), model: model.map(ToOwned::to_owned) })
}

/// Does what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::List(args) => list(args),
        Command::Reset(args) => reset(args),
    };
    done.unwrap_or_else(|refusal| refusal.tell())
}

fn list(args: &ListArgs) -> Result<ExitCode, Refusal> {
    let said = args.admin.ask(Method::GET, "/admin/breakers", None)?;
    Ok(show(args.json, &said, || table::of(&said)))
}

fn reset(args: &ResetArgs) -> Result<ExitCode, Refusal> {
    let which = serde_json::json!(args.which());
    let said = args.admin.ask(Method::POST, "/admin/breakers/reset", Some(&which))?;
    Ok(show(args.json, &said, || match said["reset"].as_u64().unwrap_or(0) {
        0 => "nothing to close: no such breaker was open\n".to_owned(),
        1 => "1 breaker closed\n".to_owned(),
        count => format!("{count} breakers closed\n"),
    }))
}

impl ResetArgs {
    fn which(&self) -> Reset {
        let target = self.target.clone();
        let (provider, model) = target.map_or((None, None), |target| (Some(target.provider), target.model));
        Reset { everything: self.all, provider, model, operation: None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: ResetArgs,
    }

    fn parsed(flags: &str) -> Result<Value, clap::Error> {
        let words = ["reset"].into_iter().chain(flags.split_whitespace());
        Line::try_parse_from(words).map(|line| json!(line.args.which()))
    }

    #[test]
    fn a_target_becomes_what_is_closed() {
        for (flags, which) in [
            ("--all", json!({ "everything": true })),
            ("p", json!({ "everything": false, "provider": "p" })),
            ("p/a/b", json!({ "everything": false, "provider": "p", "model": "a/b" })),
            ("p/*", json!({ "everything": false, "provider": "p", "model": "*" })),
        ] {
            assert_eq!(parsed(flags).unwrap(), which, "{flags}");
        }
    }

    #[test]
    fn nothing_or_two_things_are_wrong_usage() {
        for flags in ["", "--json", "p --all", "p q", "/m", "p/"] {
            assert!(parsed(flags).is_err(), "{flags}");
        }
    }
}
