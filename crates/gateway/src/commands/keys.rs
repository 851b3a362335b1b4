//! `tidegate keys`: callers' keys, for the configuration file or in the store of a running gateway.

mod create;
mod stored;

use std::process::ExitCode;

/// What to do with callers' keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key: shown once, with the block for the configuration file; or with --stored on a running gateway.
    Create(create::Args),
    /// List the keys of a running gateway: the file's and the stored ones.
    List(stored::ListArgs),
    /// Revoke stored keys: they are valid no more.
    Revoke(stored::RevokeArgs),
}

/// Does what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    match command {
        Command::Create(args) => create::run(args),
        Command::List(args) => stored::list(args),
        Command::Revoke(args) => stored::revoke(args),
    }
}
