//! The command line: what there is to say, and which command says it.

mod admin;
mod advice;
mod alerts;
mod bench;
mod breakers;
mod cache;
mod caller;
mod check;
mod client;
mod config;
mod dashboard;
mod grid;
mod jobs;
mod keys;
mod lines;
mod manual;
mod map;
mod mock;
mod progress;
mod rate;
mod refusal;
mod serve;
mod signals;
mod targets;
mod top;
mod usage;
mod workflow;

use clap::{Parser, Subcommand};
use rig::load::units;
use serde_json::Value;
use std::process::ExitCode;

/// A gateway between applications and language-model providers.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Start here:  tidegate serve\n\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration, 99 a benchmark's threshold was missed."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(serve::Args),
    /// Validate the configuration: every fault with its place and its mend.
    Check(check::Args),
    /// Show the configuration's schema, or the merged configuration with secrets redacted.
    #[command(subcommand)]
    Config(config::Command),
    /// Callers' keys: for the file, or in the store of the running gateway.
    #[command(subcommand)]
    Keys(keys::Command),
    /// What the running gateway remembers: look at it, take it back, fill it beforehand.
    #[command(subcommand)]
    Cache(cache::Command),
    /// Ask a model about each row of a file, and write the answers beside the rows.
    // Boxed: it has many more flags than its siblings.
    Map(Box<map::Args>),
    /// Workflows: check and draw definitions, run them on a gateway, and follow what becomes of them.
    #[command(subcommand)]
    Workflow(workflow::Command),
    /// How the targets of the running gateway are: their health, how busy and how fast they are.
    Targets(targets::Args),
    /// How the running gateway does, as it goes: rates, percentiles, routes, targets, the latest requests.
    Top(top::Args),
    /// Whom the running gateway leaves alone and why; closing breakers by hand.
    #[command(subcommand)]
    Breakers(breakers::Command),
    /// What fires on the running gateway; silences, and a test of who is told.
    #[command(subcommand)]
    Alerts(alerts::Command),
    /// What might be changed on the running gateway and what for; apply it, and take it back.
    #[command(subcommand)]
    Advice(advice::Command),
    /// What the running gateway does later: list, inspect, retry, cancel, forget.
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// Dashboards and rules for others' tools.
    #[command(subcommand)]
    Dashboard(dashboard::Command),
    /// What callers have used and what it cost, by day, key, tenant and model.
    Usage(usage::Args),
    /// Run the simulated provider as a server of its own.
    Mock(mock::Args),
    /// Load-test any OpenAI-compatible URL.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Print completions for a shell.
    Completions(manual::CompletionsArgs),
    /// Print the manual page, in roff: `tidegate man | man -l -`.
    Man,
}

/// Runs what the command line says.
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Config(command) => config::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Cache(command) => cache::run(&command),
        Command::Map(args) => map::run(&args),
        Command::Workflow(command) => workflow::run(&command),
        Command::Targets(args) => targets::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Breakers(command) => breakers::run(&command),
        Command::Alerts(command) => alerts::run(&command),
        Command::Advice(command) => advice::run(&command),
        Command::Jobs(command) => jobs::run(&command),
        Command::Dashboard(command) => dashboard::run(&command),
        Command::Usage(args) => usage::run(&args),
        Command::Mock(args) => mock::run(&args),
        Command::Bench(command) => bench::run(&command),
        Command::Completions(args) => manual::completions(&args),
        Command::Man => manual::man(),
    }
}

/// A duration, to be sent as it was written.
fn duration(text: &str) -> Result<String, String> {
    units::parse_duration(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Prints what a gateway said, as it was or in words.
fn show(json: bool, said: &Value, words: impl FnOnce() -> String) -> ExitCode {
    config::print(&if json { format!("{said:#}\n") } else { words() })
}
