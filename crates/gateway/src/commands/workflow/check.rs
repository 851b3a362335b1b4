//! `tidegate workflow check`: says whether definitions would be accepted. It asks no gateway: whether the models
//! and the other workflows that they name are there, only a gateway can tell.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use work::workflow::{Definition, Faults};

use super::picture::on_terminal;
use super::source::Source;
use crate::commands::config::print;

/// Check definitions: every fault with its place and its mend.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate workflow check digest.toml
  tidegate workflow check workflows/*.toml
  tidegate workflow check --json digest.toml | jq '.files[].faults[].message'

Exit codes: 0 all of them would be accepted, 2 some would not.")]
pub(in crate::commands) struct Args {
    /// Definitions, in TOML or JSON; `-` is stdin.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Tell it as one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// Checks each file.
pub(super) fn run(args: &Args) -> ExitCode {
    let mut files = Vec::new();
    for path in &args.files {
        match Source::read(path) {
            Ok(source) => files.push(source),
            Err(refusal) => return refusal.tell(),
        }
    }
    let mut sound = true;
    let mut report = Vec::new();
    for source in &files {
        let checked = source.definition();
        sound &= checked.is_ok();
        match (checked, args.json) {
            (checked, true) => report.push(entry(source, checked.as_ref())),
            (Ok(definition), false) => {
                print(&format!("{} is sound: {}\n", source.name(), summary(&definition)));
            }
            (Err(faults), false) => eprint!("{}", source.render(&faults, on_terminal(&std::io::stderr()))),
        }
    }
    if args.json {
        print(&format!("{:#}\n", json!({ "ok": sound, "files": report })));
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

fn entry(source: &Source, checked: Result<&Definition, &Faults>) -> Value {
    json!({
        "file": source.name(),
        "ok": checked.is_ok(),
        "name": checked.ok().map(Definition::name),
        "steps": checked.ok().map(|definition| definition.steps().len()),
        "faults": checked.err().map_or_else(|| json!([]), Faults::to_json),
    })
}

/// `digest, 6 steps, starts the workflow refusal`.
fn summary(definition: &Definition) -> String {
    let steps = match definition.steps().len() {
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
    };
    let mut children: Vec<&str> = definition.children().collect();
    children.sort_unstable();
    children.dedup();
    let starts = match children.len() {
        0 => String::new(),
        1 => format!(", starts the workflow {}", children.join(", ")),
        _ => format!(", starts the workflows {}", children.join(", ")),
    };
    format!("{}, {steps}{starts}", definition.name())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn source(text: &str) -> Source {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Source::read(file.path()).unwrap()
    }

    const SOUND: &str = "name = 'a'\n[[steps]]\nid = 'x'\nkind = 'sleep'\nfor = '1s'\n\
                         [[steps]]\nid = 'y'\nkind = 'workflow'\nworkflow = 'b'\nneeds = ['x']\n";

    #[test]
    fn a_sound_definition_is_summed_up() {
        let source = source(SOUND);
        let definition = source.definition().unwrap();
        assert_eq!(summary(&definition), "a, 2 steps, starts the workflow b");
        let entry = entry(&source, Ok(&definition));
        assert_eq!((&entry["ok"], &entry["steps"], &entry["faults"]), (&json!(true), &json!(2), &json!([])));
    }

    #[test]
    fn every_fault_is_drawn_under_its_line_and_told_with_its_pointer() {
        let source = source(&SOUND.replace("'sleep'", "'slep'").replace("['x']", "['z']"));
        let faults = source.definition().unwrap_err();
        let drawn = source.render(&faults, false);
        for part in
            ["kind = 'slep'", "needs = ['z']", ":4:8]", ":10:10]", "did you mean `sleep`?", "2 faults"]
        {
            assert!(drawn.contains(part), "{part} is not in\n{drawn}");
        }
        let entry = entry(&source, Err(&faults));
        assert_eq!(entry["faults"][0]["pointer"], "/steps/0/kind");
        assert_eq!(entry["faults"][1]["pointer"], "/steps/1/needs/0");
    }
}
