//! `tidegate map`: asks a model about each row of a file, and writes the answers beside the rows.
//!
//! It is a caller like any other, before any server that speaks OpenAI's protocol. It reads, asks and writes within
//! constant memory, and every row is sure to be in the output or among the errors once, however often it is stopped.

mod args;
mod plan;

mod ahead;
mod extent;
mod recipe;
mod row;
mod source;
mod template;

mod ask;
mod course;
mod pace;
mod sequence;
mod shape;
mod tally;
mod terms;
mod tries;

mod journal;
mod sink;

mod dry;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;

use super::config::print;
use super::progress::Progress;
use super::refusal::Refusal;
use super::signals::Signals;
use crate::config::Environment;
pub(super) use args::Args;
use args::SummaryForm;
use course::{Course, Ended, Outcome};
use journal::Mark;
use plan::Plan;
use sink::{OpenError, Sink, Writing};
use source::Source;
use tally::{Standing, Tally};

/// Between two lines that tell the progress where there is no terminal.
const LINES_EVERY: Duration = Duration::from_secs(10);

/// Maps the file.
pub(super) fn run(args: &Args) -> ExitCode {
    let plan = Plan::new(args);
    let done = plan.and_then(|plan| if args.dry_run { dry::run(args, &plan) } else { map(args, &plan) });
    done.unwrap_or_else(|refusal| refusal.tell())
}

fn map(args: &Args, plan: &Plan) -> Result<ExitCode, Refusal> {
    let client = args.client(&Environment::of_process())?;
    let failed = |error: std::io::Error| Refusal::Failed(error.to_string());
    let identity = plan.identity(args)?;
    let sink = Sink::open(plan.places.clone(), &identity, &plan.shape.head(), args.earlier());
    let sink = sink.map_err(|error| refusal(&error))?;
    let (before, done) = (sink.mark().tally, sink.mark().done.clone());
    let source = Source::open(&args.file, plan.format, done.low()).map_err(failed)?;

    let mut progress = args.progress(plan);
    progress.resume(before.so_far(args.limit.is_some()));
    let writing = Writing::begin(sink).map_err(failed)?;
    let rows = ahead::read(source, Arc::new(plan.recipe.clone()), done, args.limit).map_err(failed)?;
    let course = Course::new(args.terms(client, plan.shape.clone(), plan.recipe.operation), before);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::catch().map_err(failed)?;
        Ok(Box::pin(course.run(rows, &writing.messages, &mut progress, &mut signals)).await)
    })?;
    let written = writing.finish();
    progress.over();
    let mark = written.map_err(|error| {
        let output = plan.places.output.display();
        Refusal::Failed(format!("{output}: {error}; with the same command it goes on where it stopped"))
    })?;
    report(args, plan, &outcome, before, &mark)
}

/// Tells what it came to.
fn report(
    args: &Args,
    plan: &Plan,
    outcome: &Outcome,
    before: Tally,
    mark: &Mark,
) -> Result<ExitCode, Refusal> {
    let standing = Standing { all: mark.tally, before, elapsed: outcome.elapsed };
    if let Ended::Refused(why) = &outcome.ended
        && mark.tally.rows == before.rows
    {
        return Err(Refusal::Failed(why.clone()));
    }
    match args.summary {
        _ if args.quiet => {}
        SummaryForm::Json => {
            print(&format!("{:#}\n", standing.to_json(outcome.ended.name())));
        }
        SummaryForm::Text => {
            print(&standing.summary());
        }
    }
    if !args.quiet
        && let Some((line, why)) = &outcome.first_error
    {
        eprintln!("note: errors are in {}; the first: line {line}: {why}", plan.places.errors.display());
    }
    const GO_ON: &str = "with the same command it goes on where it stopped";
    match &outcome.ended {
        Ended::Done if mark.tally.failed == 0 => Ok(ExitCode::SUCCESS),
        Ended::Done => Ok(ExitCode::FAILURE),
        Ended::Interrupted => Err(Refusal::Failed(format!("interrupted; {GO_ON}"))),
        Ended::TooManyErrors => {
            Err(Refusal::Failed(format!("stopped: more rows failed than --max-errors allows; {GO_ON}")))
        }
        Ended::Refused(why) => Err(Refusal::Failed(format!("{why}; {GO_ON}"))),
        Ended::Unwritten => Err(Refusal::Failed("the output could not be written".to_owned())),
    }
}

/// Nothing can be written: wrong usage, unless the system says so.
fn refusal(error: &OpenError) -> Refusal {
    match error {
        OpenError::Io(..) | OpenError::Busy(_) => Refusal::Failed(error.to_string()),
        _ => Refusal::Usage(error.to_string()),
    }
}

impl Args {
    fn progress(&self, plan: &Plan) -> Progress {
        if self.quiet {
            Progress::none()
        } else if std::io::stderr().is_terminal() {
            Progress::bar(Some(self.limit.unwrap_or(plan.input_bytes)))
        } else {
            Progress::lines(LINES_EVERY)
        }
    }
}
