//! `tidegate config schema` and `tidegate config print`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::check::refused;
use crate::config::{self, Config, Sources};

/// What to show of the configuration.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The JSON schema of the configuration file, for editors.
    #[command(after_help = "Example:
  tidegate config schema > tidegate.schema.json
  # then, in tidegate.yaml:  # yaml-language-server: $schema=tidegate.schema.json")]
    Schema,
    /// The merged configuration: every key in force, secrets redacted, and who set it.
    Print(PrintArgs),
}

/// What to print, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate config print
  TIDEGATE__SERVER__LISTEN=127.0.0.1:8080 tidegate config print --format json | jq .server

Exit codes: 0 printed, 2 the configuration has faults.")]
pub(super) struct PrintArgs {
    /// The configuration file: TOML, YAML or JSON. Without it the first that is there of ./tidegate.toml,
    /// ./tidegate.yaml, ./tidegate.yml and ./tidegate.json.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The form. TOML says in comments where each value comes from.
    #[arg(long, value_enum, default_value_t = Format::Toml)]
    format: Format,
}

/// A form to print in.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// TOML with comments.
    Toml,
    /// JSON.
    Json,
}

/// Shows what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    let args = match command {
        Command::Schema => return print(&format!("{:#}\n", config::schema())),
        Command::Print(args) => args,
    };
    match (Config::load(&Sources::of_process(args.config.clone())), args.format) {
        (Ok(loaded), Format::Toml) => print(&loaded.to_toml()),
        (Ok(loaded), Format::Json) => print(&format!("{:#}\n", loaded.to_json())),
        (Err(faults), _) => refused(&faults),
    }
}

/// Writes to stdout. A reader that closes the pipe early, as `head` does, has read what it wanted.
pub(super) fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("error: cannot write to stdout: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
