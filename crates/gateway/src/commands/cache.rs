//! `tidegate cache`: what a running gateway remembers, asked over its admin plane, and filled beforehand over its
//! data plane.

mod table;
mod warm;

use std::process::ExitCode;

use cache::key::Key;
use clap::ArgGroup;
use http::Method;

use super::admin::AdminArgs;
use super::refusal::Refusal;
use super::show;
use crate::admin::cache::Invalidation;

/// What to do with what is remembered.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what is remembered, and what came of it in the last hour.
    Stats(StatsArgs),
    /// Take answers back: from then on they are not served, here and on every replica.
    // Boxed: it has many more flags than its siblings.
    Invalidate(Box<InvalidateArgs>),
    /// Forget what is beyond its time, which frees its memory now and not when its place is needed.
    ClearExpired(ClearExpiredArgs),
    /// Ask a file of prompts, so that their answers are remembered before callers want them.
    Warm(Box<warm::Args>),
}

/// How to show it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate cache stats
  tidegate cache stats --json | jq .last_hour.hit_rate
  tidegate cache stats --admin https://gateway.internal:4001 --admin-key-file admin.key")]
pub(super) struct StatsArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// What to take back: one thing.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true)
    .args(["everything", "key", "tag", "dependency", "tenant", "provider"]))]
#[command(after_help = "Examples:
  tidegate cache invalidate --tag docs --tenant search        # x-tidegate-tags: docs
  tidegate cache invalidate --dependency manual               # x-tidegate-tags: dep:manual, without keys
  tidegate cache invalidate --tenant search
  tidegate cache invalidate --provider openai --model gpt-4o --operation chat
  tidegate cache invalidate --everything

Nothing is searched: it takes the same time however much is remembered, and nobody can say how much it reached. It \
holds in this gateway when the command returns; where a tier could not be told yet, a warning says so.

Tags and dependencies are a tenant's own: where callers have keys, the tenant must be named, which is the key's id if \
the key has none.")]
pub(super) struct InvalidateArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Everything that is remembered.
    #[arg(long, conflicts_with_all = ["key", "tag", "dependency", "tenant", "provider"], help_heading = "What")]
    everything: bool,
    /// One answer, by its key: 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = key, conflicts_with_all = ["tag", "dependency", "tenant", "provider"], help_heading = "What")]
    key: Option<String>,
    /// Answers to requests with this name in `x-tidegate-tags`.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["dependency", "provider"], help_heading = "What")]
    tag: Option<String>,
    /// Answers to requests with `dep:NAME` in `x-tidegate-tags`.
    #[arg(long, value_name = "NAME", conflicts_with = "provider", help_heading = "What")]
    dependency: Option<String>,
    /// One tenant's: all of its answers, or those of its tag, dependency or provider.
    #[arg(long, value_name = "NAME", help_heading = "What")]
    tenant: Option<String>,
    /// Answers of this provider, to any tenant or to the one named.
    #[arg(long, value_name = "NAME", help_heading = "What")]
    provider: Option<String>,
    /// Answers of this model, as its provider calls it.
    #[arg(long, value_name = "NAME", requires = "provider", help_heading = "What")]
    model: Option<String>,
    /// Answers to this operation.
    #[arg(long, value_name = "NAME", requires = "model", value_parser = ["chat", "text_completion", "embeddings"], help_heading = "What")]
    operation: Option<String>,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

/// Where to do it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  tidegate cache clear-expired")]
pub(super) struct ClearExpiredArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
}

fn key(text: &str) -> Result<String, String> {
    Key::from_hex(text).map(|_| text.to_owned()).ok_or_else(|| "a key is 64 hexadecimal digits".to_owned())
}

/// Does what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::Stats(args) => stats(args),
        Command::Invalidate(args) => invalidate(args),
        Command::ClearExpired(args) => clear_expired(args),
        Command::Warm(args) => warm::run(args),
    };
    done.unwrap_or_else(|refusal| refusal.tell())
}

fn stats(args: &StatsArgs) -> Result<ExitCode, Refusal> {
    let said = args.admin.ask(Method::GET, "/admin/cache", None)?;
    Ok(show(args.json, &said, || table::of(&said)))
}

fn invalidate(args: &InvalidateArgs) -> Result<ExitCode, Refusal> {
    let what = serde_json::json!(args.what());
    let said = args.admin.ask(Method::POST, "/admin/cache/invalidate", Some(&what))?;
    let code = show(args.json, &said, || match said["number"].as_u64() {
        Some(number) => format!("invalidated, as number {number}\n"),
        None => "invalidated\n".to_owned(),
    });
    for (who, why) in said["not_yet_told"].as_object().into_iter().flatten() {
        let why = why.as_str().unwrap_or_default();
        eprintln!("warning: it holds in this gateway, but {who} could not be told yet: {why}");
    }
    Ok(code)
}

fn clear_expired(args: &ClearExpiredArgs) -> Result<ExitCode, Refusal> {
    let said = args.admin.ask(Method::POST, "/admin/cache/clear-expired", None)?;
    Ok(show(args.json, &said, || {
        let (cleared, entries) = (table::count(&said["cleared"]), table::count(&said["entries"]));
        format!("{cleared} expired cleared, {entries} left in memory\n")
    }))
}

impl InvalidateArgs {
    fn what(&self) -> Invalidation {
        Invalidation {
            everything: self.everything,
            key: self.key.clone(),
            tag: self.tag.clone(),
            dependency: self.dependency.clone(),
            tenant: self.tenant.clone(),
            provider: self.provider.clone(),
            model: self.model.clone(),
            operation: self.operation.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use clap::Parser;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: InvalidateArgs,
    }

    const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn flags_become_the_one_thing_that_is_taken_back() {
        let check = |flags: &str, what: &str| {
            let line = Line::try_parse_from(["invalidate"].into_iter().chain(flags.split(' ')));
            let mut told = serde_json::json!(line.expect(flags).args.what());
            told.as_object_mut().unwrap().retain(|_, value| !value.is_null() && *value != false);
            assert_eq!(told, serde_json::from_str::<Value>(what).unwrap(), "{flags}");
        };
        check("--everything", r#"{"everything":true}"#);
        check(&format!("--key {KEY}"), &format!(r#"{{"key":"{KEY}"}}"#));
        check("--tag docs", r#"{"tag":"docs"}"#);
        check("--tag docs --tenant t", r#"{"tag":"docs","tenant":"t"}"#);
        check("--dependency d --tenant t", r#"{"dependency":"d","tenant":"t"}"#);
        check("--tenant t", r#"{"tenant":"t"}"#);
        check("--provider p", r#"{"provider":"p"}"#);
        check(
            "--tenant t --provider p --model m/n --operation chat",
            r#"{"tenant":"t","provider":"p","model":"m/n","operation":"chat"}"#,
        );
    }

    #[test]
    fn nothing_or_two_things_are_wrong_usage() {
        for flags in [
            "",
            "--everything --tag x",
            "--everything --tenant t",
            "--key 12",
            &format!("--key {KEY} --tag x"),
            "--tag x --dependency y",
            "--tag x --provider p",
            "--model m",
            "--provider p --operation chat",
            "--provider p --model m --operation sing",
            "--json",
        ] {
            let line = ["invalidate"].into_iter().chain(flags.split(' ').filter(|flag| !flag.is_empty()));
            assert!(Line::try_parse_from(line).is_err(), "{flags}");
        }
    }
}
