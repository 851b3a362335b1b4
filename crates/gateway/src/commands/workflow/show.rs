//! `tidegate workflow show`: the graph of a workflow, drawn for a terminal; and of a run, where it stands.

use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;
use work::workflow::Definition;

use super::list::word;
use super::picture::{Look, on_terminal};
use super::remote::Remote;
use super::source::Source;
use super::told;
use crate::commands::caller::CallerArgs;
use crate::commands::config::print;
use crate::commands::refusal::Refusal;

/// What to draw, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate workflow show digest.toml
  tidegate workflow show --ascii digest.toml
  tidegate workflow show run-4az1n6yrktjedg43w6wfa27t
  tidegate workflow show --json run-4az1n6yrktjedg43w6wfa27t | jq .output

Exit codes: 0 drawn, 1 there is no such run, 2 the definition has faults.")]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    caller: CallerArgs,
    /// A definition, in TOML or JSON, for which no gateway is asked; `-` is stdin. Or a run: `run-…`.
    #[arg(value_name = "FILE|RUN")]
    what: String,
    /// Of a run, print what the gateway says, as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
    #[command(flatten)]
    look: Look,
}

/// Draws what was asked for.
pub(super) fn run(args: &Args) -> ExitCode {
    let path = Path::new(&args.what);
    let is_run = args.what.starts_with("run-") && word(&args.what).is_ok() && !path.exists();
    let drawn = if is_run { args.draw_run() } else { args.draw_file(path) };
    drawn.unwrap_or_else(|refusal| refusal.tell())
}

impl Args {
    fn draw_file(&self, path: &Path) -> Result<ExitCode, Refusal> {
        let source = Source::read(path)?;
        let definition = match source.definition() {
            Ok(definition) => definition,
            Err(faults) => {
                eprint!("{}", source.render(&faults, on_terminal(&std::io::stderr())));
                return Ok(ExitCode::from(2));
            }
        };
        let drawing = self.look.draw(&definition, None, on_terminal(&std::io::stdout()));
        Ok(print(&format!("{}\n\n{drawing}", headline(&definition))))
    }

    fn draw_run(&self) -> Result<ExitCode, Refusal> {
        let mut remote = Remote::new(&self.caller, None)?;
        let run = remote.get(&format!("/runs/{}", self.what))?;
        if self.json {
            return Ok(print(&format!("{run:#}\n")));
        }
        let definition = told::definition(&mut remote, &run)?;
        let status = told::status(&run, &definition);
        let drawing = self.look.draw(&definition, Some(&status), on_terminal(&std::io::stdout()));
        let outcome = outcome(&run);
        Ok(print(&format!("{}\n\n{drawing}\n{} is {outcome}", headline(&definition), self.what)))
    }
}

/// What the workflow is called, and what it says of itself. It may be a stranger's words: they move no cursor.
fn headline(definition: &Definition) -> String {
    let description = definition.description().map(|text| format!(": {text}")).unwrap_or_default();
    format!("{}{description}", definition.name()).chars().filter(|c| !c.is_control()).collect()
}

/// How the run stands, and what it has come to.
fn outcome(run: &Value) -> String {
    let state = run["state"].as_str().unwrap_or("?");
    let error = run["error"].as_str().unwrap_or_default();
    match (state, error) {
        ("done", _) => format!("{state}\n{:#}\n", run["output"]),
        (_, "") => format!("{state}\n"),
        (_, error) => {
            let error: String = error.chars().filter(|c| !c.is_control()).collect();
            format!("{state}: {error}\n")
        }
    }
}
