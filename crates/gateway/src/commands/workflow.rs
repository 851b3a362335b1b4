//! `tidegate workflow`: definitions checked and drawn without a server, and runs of them on a running gateway.

mod check;
mod picture;
mod show;
mod source;

use std::process::ExitCode;

/// What to do with workflows.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check definitions: every fault with its place and its mend. Asks no gateway.
    Check(check::Args),
    /// Draw the graph of a definition.
    Show(show::Args),
}

/// Does what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    match command {
        Command::Check(args) => check::run(args),
        Command::Show(args) => show::run(args),
    }
}
