//! `tidegate workflow show`: the graph of a workflow, drawn for a terminal.

use std::path::PathBuf;
use std::process::ExitCode;

use work::workflow::Definition;

use super::picture::{Look, on_terminal};
use super::source::Source;
use crate::commands::config::print;
use crate::commands::refusal::Refusal;

/// Draw the graph of a definition.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate workflow show digest.toml
  tidegate workflow show --ascii digest.toml

Exit codes: 0 drawn, 2 the definition has faults.")]
pub(in crate::commands) struct Args {
    /// A definition, in TOML or JSON; `-` is stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    look: Look,
}

/// Draws what was asked for.
pub(super) fn run(args: &Args) -> ExitCode {
    drawn(args).unwrap_or_else(|refusal| refusal.tell())
}

fn drawn(args: &Args) -> Result<ExitCode, Refusal> {
    let source = Source::read(&args.file)?;
    let definition = match source.definition() {
        Ok(definition) => definition,
        Err(faults) => {
            eprint!("{}", source.render(&faults, on_terminal(&std::io::stderr())));
            return Ok(ExitCode::from(2));
        }
    };
    let drawing = args.look.draw(&definition, None, on_terminal(&std::io::stdout()));
    Ok(print(&(headline(&definition) + &drawing)))
}

/// What the workflow is called, and what it says of itself.
pub(super) fn headline(definition: &Definition) -> String {
    match definition.description() {
        Some(description) => format!("{}: {description}\n\n", definition.name()),
        None => format!("{}\n\n", definition.name()),
    }
}
