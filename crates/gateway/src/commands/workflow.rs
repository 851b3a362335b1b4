//! `tidegate workflow`: definitions checked and drawn without a server, and runs of them on a running gateway.

mod check;
mod command;
mod follow;
mod list;
mod picture;
mod remote;
mod run;
mod show;
mod source;
mod told;

use std::process::ExitCode;

/// What to do with workflows.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check definitions: every fault with its place and its mend. Asks no gateway.
    Check(check::Args),
    /// Draw the graph of a definition, or where a run stands.
    Show(show::Args),
    /// Run a definition on the gateway, follow it, and print its output.
    Run(run::Args),
    /// List runs, or workflows.
    List(list::Args),
    /// Send a signal to a run that waits for it.
    Signal(command::SignalArgs),
    /// End a run at once. What was done stays done.
    #[command(after_help = "Examples:
  tidegate workflow cancel run-4az1n6yrktjedg43w6wfa27t")]
    Cancel(command::RunArgs),
    /// Begin nothing more of a run, until it is resumed.
    #[command(after_help = "Examples:
  tidegate workflow pause run-4az1n6yrktjedg43w6wfa27t")]
    Pause(command::RunArgs),
    /// Let a paused run go on.
    #[command(after_help = "Examples:
  tidegate workflow resume run-4az1n6yrktjedg43w6wfa27t")]
    Resume(command::RunArgs),
    /// Do a step of a run anew, and all that follow it.
    #[command(after_help = "Examples:
  tidegate workflow retry run-4az1n6yrktjedg43w6wfa27t summarise")]
    Retry(command::RetryArgs),
}

/// Does what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    match command {
        Command::Check(args) => check::run(args),
        Command::Show(args) => show::run(args),
        Command::Run(args) => run::run(args),
        Command::List(args) => list::run(args),
        Command::Signal(args) => args.send(),
        Command::Cancel(args) => args.say("cancel"),
        Command::Pause(args) => args.say("pause"),
        Command::Resume(args) => args.say("resume"),
        Command::Retry(args) => args.ask(),
    }
}
