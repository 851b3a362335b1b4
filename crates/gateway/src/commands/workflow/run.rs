//! `tidegate workflow run`: a definition handed to a gateway, started there, and followed to its end.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use work::workflow::Format;

use super::follow::{View, follow};
use super::picture::{Look, on_terminal};
use super::remote::Remote;
use super::source::Source;
use crate::commands::caller::CallerArgs;
use crate::commands::config::print;
use crate::commands::refusal::Refusal;

/// What to run, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate workflow run digest.toml --input '{\"url\": \"https://example.com\", \"to\": \"me@example.com\"}'
  tidegate workflow run digest.toml --input @input.json | jq .digest
  tidegate workflow run approval.toml --input '{\"question\": \"…\", \"amount\": 5}' --detach

What it draws goes to stderr, and the output alone to stdout. Interrupting it does not end the run.

Exit codes: 0 done, 1 failed or cancelled, 2 the definition has faults.")]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    caller: CallerArgs,
    /// A definition, in TOML or JSON; `-` is stdin. The gateway keeps it as a new version if it has changed.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to start it with: JSON, or @FILE.
    #[arg(long, value_name = "JSON", default_value = "{}", help_heading = "Run")]
    input: String,
    /// Makes a second start with the same key harmless: it follows the run that there is.
    #[arg(long, value_name = "KEY", help_heading = "Run")]
    idempotency_key: Option<String>,
    /// Start it, print its id, and do not wait.
    #[arg(long, help_heading = "Run")]
    detach: bool,
    /// Show nothing while it runs.
    #[arg(short, long, help_heading = "Report")]
    quiet: bool,
    #[command(flatten)]
    look: Look,
}

/// Runs it.
pub(super) fn run(args: &Args) -> ExitCode {
    done(args).unwrap_or_else(|refusal| refusal.tell())
}

fn done(args: &Args) -> Result<ExitCode, Refusal> {
    let input = json_of("--input", &args.input)?;
    let source = Source::read(&args.file)?;
    let definition = match source.definition() {
        Ok(definition) => definition,
        Err(faults) => {
            eprint!("{}", source.render(&faults, on_terminal(&std::io::stderr())));
            return Ok(ExitCode::from(2));
        }
    };
    let mut remote = Remote::new(&args.caller, args.idempotency_key.as_deref())?;
    let name = definition.name();
    let is_json = Format::of(source.text()) == Format::Json;
    let version = remote.define(name, source.text(), is_json)?["version"].clone();
    let started = remote.post(&format!("/{name}/runs"), &json!({ "input": input, "version": version }))?;
    let id = started["id"].as_str().unwrap_or_default().to_owned();
    if args.detach {
        return Ok(print(&format!("{id}\n")));
    }
    if !args.quiet {
        eprintln!("{id}  {name}, version {version}\n");
    }
    let run = follow(&mut remote, &id, View::new(&definition, args.look, args.quiet))?;
    match run["state"].as_str() {
        Some("done") => Ok(print(&format!("{:#}\n", run["output"]))),
        state => {
            let why = run["error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
            Err(Refusal::Failed(format!("{id} is {}{why}", state.unwrap_or("?"))))
        }
    }
}

/// JSON that stands on the command line, or in the file that is named there behind an `@`.
///
/// # Errors
/// Wrong usage: no such file, or no JSON.
pub(super) fn json_of(flag: &str, text: &str) -> Result<Value, Refusal> {
    let refuse = |why: &dyn std::fmt::Display| Refusal::Usage(format!("{flag}: {why}"));
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| refuse(&format!("{path}: {error}")))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text).map_err(|error| refuse(&format!("this is no JSON: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn json_is_written_or_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[1]").unwrap();
        let named = format!("@{}", file.path().display());
        assert_eq!(json_of("--input", "{\"a\":1}").unwrap(), json!({ "a": 1 }));
        assert_eq!(json_of("--input", &named).unwrap(), json!([1]));
        for text in ["", "{", "a", "@/no/such/file"] {
            assert!(matches!(json_of("--input", text), Err(Refusal::Usage(_))), "{text}");
        }
    }
}
