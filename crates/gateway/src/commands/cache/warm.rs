//! `tidegate cache warm`: asks a file of prompts, so that their answers are remembered before callers want them.
//!
//! It is a caller like any other: it speaks to the data plane, under a caller's key, and what it gets is
//! remembered for that key's tenant. Nothing is lost by a run that is stopped: what has been fetched is a hit of
//! the next one.

mod course;
mod lines;
mod prompt;
mod tally;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rig::load::units;
use tokio::runtime::Builder;
use wire::Operation;

use super::super::caller::CallerArgs;
use super::super::client::Client;
use super::super::config::print;
use super::super::progress::Progress;
use super::super::rate::Rate;
use super::super::refusal::Refusal;
use super::super::signals::Signals;
use crate::config::Environment;
use course::{Course, Ended};
use lines::Lines;
use prompt::Recipe;

/// Between two lines that tell the progress where there is no terminal.
const LINES_EVERY: Duration = Duration::from_secs(5);

/// What to ask, whom, and how fast.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate cache warm prompts.jsonl --model smart
  tidegate cache warm prompts.jsonl --model smart --rate 5/s --key-file search.key
  tidegate cache warm prompts.jsonl --model smart --temperature none
  tidegate cache warm requests.jsonl -H 'x-tidegate-tags: docs' --stream
  jq -c .body requests.log | tidegate cache warm - --json

Each line of the file is a whole request ({\"messages\": […]}, with or without a model), {\"prompt\": \"text\"} with \
whatever else the request shall say, or a text in quotes. It must ask what callers will ask, to the letter: the same \
system prompt, members, model or alias.

By default only what leaves nothing to chance is remembered, so that a line without a temperature is asked at 0. \
Where the alias has `any_temperature = true` and callers give none, say --temperature none.

Answers are remembered for the tenant whose key asks, as long as the alias says. Run it a second time to see: what \
is remembered counts as a hit. An answer that is not kept, as it was cut at its length, refused or calls a tool, is \
fetched each time.

Exit codes: 0 all asked and answered, 1 lines were bad, requests failed or it was interrupted, 2 wrong usage.")]
pub(in crate::commands) struct Args {
    /// The file of prompts, one JSON value a line; `-` reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Model or alias to ask where a line names none.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Temperature of lines that give none, as callers write it; `none` leaves it out.
    #[arg(long, value_name = "NUMBER", default_value = "0", value_parser = temperature)]
    temperature: Temperature,
    /// Ask for each answer as a stream as well; it is made from the whole one, where that was kept.
    #[arg(long)]
    stream: bool,

    #[command(flatten)]
    caller: CallerArgs,

    /// Lines asked at once.
    #[arg(long, short = 'c', value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Pace")]
    concurrency: u16,
    /// Most lines begun in a time, such as 5/s, 90/m or 1000/h. Without it: as fast as they are answered.
    #[arg(long, value_name = "RATE", help_heading = "Pace")]
    rate: Option<Rate>,
    /// The longest that one answer may take.
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = units::parse_duration, help_heading = "Pace")]
    timeout: Duration,

    /// Print the summary as JSON.
    #[arg(long, help_heading = "Report")]
    json: bool,
    /// Show the progress where stderr is no terminal, too: a line now and then.
    #[arg(long, conflicts_with = "quiet", help_heading = "Report")]
    progress: bool,
    /// Show no progress and no summary, only what goes wrong.
    #[arg(long, short = 'q', help_heading = "Report")]
    quiet: bool,
}

/// A temperature as it is written in JSON; `None`: none is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Temperature(Option<String>);

fn temperature(text: &str) -> Result<Temperature, String> {
    if text == "none" {
        return Ok(Temperature(None));
    }
    let is_number = wire::json::validate(text.as_bytes()).is_ok() && text.parse::<f64>().is_ok();
    if is_number {
        Ok(Temperature(Some(text.to_owned())))
    } else {
        Err("a temperature is a number, or none".to_owned())
    }
}

/// Asks the file's prompts.
pub(super) fn run(args: &Args) -> Result<ExitCode, Refusal> {
    let client = args.caller.client(&Environment::of_process(), args.timeout)?;
    let refuse = |why: std::io::Error| Refusal::Usage(format!("{}: {why}", args.file.display()));
    let lines = lines::open(&args.file).map_err(refuse)?;
    let failed = |error: std::io::Error| Refusal::Failed(error.to_string());
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut progress = args.progress(&lines);
    let (tally, ended) = runtime.block_on(async {
        let mut signals = Signals::catch().map_err(failed)?;
        Ok(args.course(client).run(lines, &mut progress, &mut signals).await)
    })?;
    progress.over();

    let (elapsed, interrupted) = (progress.elapsed(), matches!(ended, Ended::Interrupted));
    if let Ended::Refused(why) = &ended
        && tally.requests() == 0
    {
        return Err(Refusal::Failed(why.clone()));
    }
    if args.json {
        print(&format!("{:#}\n", tally.to_json(elapsed, interrupted)));
    } else if !args.quiet {
        print(&tally.summary(elapsed, interrupted));
    }
    match ended {
        Ended::Refused(why) => Err(Refusal::Failed(why)),
        Ended::Done if tally.is_clean() => Ok(ExitCode::SUCCESS),
        Ended::Done | Ended::Interrupted => Ok(ExitCode::FAILURE),
    }
}

impl Args {
    fn course(&self, client: Client) -> Course {
        Course {
            client: Arc::new(client),
            path: self.caller.path(Operation::ChatCompletions).into(),
            file: self.file.clone(),
            recipe: Recipe {
                model: self.model.clone(),
                temperature: self.temperature.0.clone(),
                both_forms: self.stream,
            },
            concurrency: usize::from(self.concurrency),
            rate: self.rate,
        }
    }

    fn progress(&self, lines: &Lines) -> Progress {
        if self.quiet {
            Progress::none()
        } else if std::io::stderr().is_terminal() {
            Progress::bar(lines.bytes)
        } else if self.progress {
            Progress::lines(LINES_EVERY)
        } else {
            Progress::none()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use clap::Parser;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(flags: &[&str]) -> Result<Args, clap::Error> {
        Line::try_parse_from(["warm", "prompts.jsonl"].iter().chain(flags)).map(|line| line.args)
    }

    fn course(args: &Args) -> Course {
        args.course(args.caller.client(&Environment::default(), args.timeout).unwrap())
    }

    #[test]
    fn without_flags_four_lines_are_asked_at_a_time() {
        let course = course(&parsed(&[]).unwrap());
        assert_eq!((&*course.path, course.concurrency), ("/v1/chat/completions", 4));
        assert_eq!((course.recipe.temperature.as_deref(), course.recipe.both_forms), (Some("0"), false));
        assert!(course.rate.is_none());
    }

    #[test]
    fn flags_become_a_course() {
        let flags = ["--url=http://h/v1", "--model=m", "--temperature=none", "--stream", "-c7"];
        let course = course(&parsed(&flags).unwrap());
        assert_eq!((&*course.path, course.concurrency), ("/chat/completions", 7));
        assert_eq!((course.recipe.model.as_deref(), &course.recipe.temperature), (Some("m"), &None));
        assert!(course.recipe.both_forms);
    }

    #[test]
    fn what_cannot_be_asked_for_is_wrong_usage() {
        for flags in [
            ["--concurrency=0"],
            ["--concurrency=2000"],
            ["--rate=0/s"],
            ["--temperature=hot"],
            ["--temperature=.5"],
        ] {
            assert!(parsed(&flags).is_err(), "{flags:?}");
        }
        assert!(parsed(&["--quiet", "--progress"]).is_err());
    }
}
