//! A run under way, as it is shown on stderr: its drawing, drawn anew with each change, on a terminal; a line for each
//! step that has changed elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use work::workflow::Definition;

use super::picture::{Look, on_terminal};
use super::remote::Remote;
use super::told;
use crate::commands::refusal::Refusal;

/// How soon it is looked again: at first, and at most, as the pauses grow while nothing changes.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// For so long a gateway may be away before nobody waits for it any more.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// How a run is shown.
pub(super) struct View<'d> {
    definition: &'d Definition,
    look: Look,
    way: Way,
    began: Instant,
}

enum Way {
    Nothing,
    /// A bar that has no bar: it knows how to draw over what it has drawn.
    Drawing(ProgressBar),
    /// What was said of each step last.
    Lines(BTreeMap<String, String>),
}

impl<'d> View<'d> {
    /// On stderr, unless nothing is to be shown.
    pub(super) fn new(definition: &'d Definition, look: Look, quiet: bool) -> Self {
        let way = if quiet {
            Way::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let plain = ProgressStyle::with_template("{msg}");
            bar.set_style(plain.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            Way::Drawing(bar)
        } else {
            Way::Lines(BTreeMap::new())
        };
        Self { definition, look, way, began: Instant::now() }
    }

    fn show(&mut self, run: &Value) {
        let elapsed = self.began.elapsed().as_secs_f64();
        match &mut self.way {
            Way::Nothing => {}
            Way::Drawing(bar) => {
                let status = told::status(run, self.definition);
                let colour = on_terminal(&std::io::stderr());
                let drawing = self.look.draw(self.definition, Some(&status), colour);
                bar.set_message(format!(
                    "{drawing}\n{} {elapsed:.0} s",
                    run["state"].as_str().unwrap_or("?")
                ));
            }
            Way::Lines(said) => {
                for (id, line) in lines(run) {
                    if said.get(&id) != Some(&line) {
                        eprintln!("{elapsed:8.2} s  {id}  {line}");
                        said.insert(id, line);
                    }
                }
            }
        }
    }

    /// Nothing changes any more: what was drawn stays.
    fn finish(&self, run: &Value) {
        if let Way::Drawing(bar) = &self.way {
            bar.finish_and_clear();
            let status = told::status(run, self.definition);
            eprint!("{}", self.look.draw(self.definition, Some(&status), on_terminal(&std::io::stderr())));
        }
    }
}

/// What is said of each step that has begun.
fn lines(run: &Value) -> Vec<(String, String)> {
    let steps = run["steps"].as_array().into_iter().flatten();
    let begun = steps.filter(|step| step["state"] != "waiting");
    let line = |step: &Value| {
        let state = step["state"].as_str().unwrap_or("?");
        let items = match &step["items"] {
            Value::Object(items) => format!(" {}/{}", items["done"], items["total"]),
            _ => String::new(),
        };
        let error = step["error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
        let line: String = format!("{state}{items}{error}").chars().filter(|c| !c.is_control()).collect();
        (step["id"].as_str().unwrap_or("?").to_owned(), line)
    };
    begun.map(line).collect()
}

/// Shows a run until it is over; the run as it stands then. A gateway that is started anew meanwhile is waited for.
///
/// # Errors
/// The gateway does not know the run, or is away for long.
pub(super) fn follow(remote: &mut Remote, id: &str, mut view: View<'_>) -> Result<Value, Refusal> {
    let (mut seen, mut pause, mut heard) = (Value::Null, LOOK.0, Instant::now());
    loop {
        match remote.glance(&format!("/runs/{id}?outputs=false"))? {
            Some(run) => {
                heard = Instant::now();
                pause = if run == seen { (pause * 2).min(LOOK.1) } else { LOOK.0 };
                view.show(&run);
                if told::is_over(&run) {
                    view.finish(&run);
                    return Ok(run);
                }
                seen = run;
            }
            None if heard.elapsed() > AWAY_MAX => {
                let why = format!("the gateway is away; {id} goes on when it is there again");
                return Err(Refusal::Failed(why));
            }
            None => pause = LOOK.1,
        }
        remote.wait(pause);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_where_a_step_stands_and_why() {
        let run = json!({ "steps": [
            { "id": "a", "state": "done" },
            { "id": "b", "state": "spread", "items": { "total": 3, "done": 1, "failed": 0 } },
            { "id": "c", "state": "failed", "error": "no\u{1b}[31m answer" },
            { "id": "d", "state": "waiting" },
        ] });
        let line = |id: &str, line: &str| (id.to_owned(), line.to_owned());
        let expected = [line("a", "done"), line("b", "spread 1/3"), line("c", "failed: no[31m answer")];
        assert_eq!(lines(&run), expected);
    }
}
