//! What does the job of a line: asks, and writes the answer in one step with the job's end.

use super::ask::{Answer, Ask, Reply};
use super::task::Task;
use super::{Rows, text, tries};
use crate::Clock;
use crate::context::Context;
use crate::handler::{Extra, Failed, Outcome};
use std::time::Duration;
use store::batches::LineEnd;

/// How long a line waits in a worker's place while nobody may be asked.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// When to look again where nobody says.
const PAUSE: Duration = Duration::from_secs(2);

/// The handler of lines.
#[derive(Clone)]
pub(super) struct Asks {
    pub rows: Rows,
    pub ask: Ask,
    pub clock: Clock,
}

impl Asks {
    /// One attempt at a line.
    pub async fn attempt(self, context: Context) -> Result<Outcome, Failed> {
        let Some(task) = Task::read(context.payload()) else {
            return Err(Failed::lasting("payload", "this is no line of a batch"));
        };
        let left = task.expires().since(self.clock.now());
        if left.is_zero() {
            return Ok(self.ended(text::failed(&task, text::EXPIRED)));
        }
        if let Some(end) = self.spent(&context, &task).await? {
            return Ok(self.ended(end));
        }
        tokio::select! {
            biased;
            asked = self.ask(&context, &task) => asked,
            () = tokio::time::sleep(left) => Ok(self.ended(text::failed(&task, text::EXPIRED))),
            // Dropped, so that the provider's call ends too. Why it stops decides what becomes of the job.
            _ = context.cancelled() => Ok(Outcome::PutBack),
        }
    }

    /// Asks, and waits a little where nobody may be asked: who has waited here need not be claimed anew, and while
    /// all workers wait nobody turns thousands of lines over in vain.
    async fn ask(&self, context: &Context, task: &Task<'_>) -> Result<Outcome, Failed> {
        let until = tokio::time::Instant::now() + WAIT_MAX;
        loop {
            let pause = match (self.ask)(task.question(context.tenant())).await {
                Reply::Answered(answer) => return self.judge(context, task, &answer).await,
                Reply::Leaving => return Ok(Outcome::PutBack),
                Reply::Busy { after } => after.unwrap_or(PAUSE),
            };
            let again = tokio::time::Instant::now() + pause;
            tokio::time::sleep_until(again.min(until)).await;
            if again > until {
                return Ok(Outcome::Later(again - until));
            }
        }
    }

    /// How an answered line ends, or when it is asked again.
    async fn judge(&self, context: &Context, task: &Task<'_>, answer: &Answer) -> Result<Outcome, Failed> {
        if let Some(failed) = tries::again(answer.status, answer.after)
            && !self.are_spent(context, Some(&failed.class)).await?
        {
            return Err(failed);
        }
        Ok(self.ended(text::answered(task, answer)))
    }

    /// How the line ends where it was tried often enough without an answer: by panics, or processes that died.
    async fn spent(&self, context: &Context, task: &Task<'_>) -> Result<Option<LineEnd>, Failed> {
        if !self.are_spent(context, None).await? {
            return Ok(None);
        }
        let faults = self.rows.jobs.faults(context.id()).await.map_err(|error| tries::away(&error))?;
        Ok(faults.last().map(|last| {
            let why = text::Why { code: &last.fault.class, message: &last.fault.message };
            text::failed(task, why)
        }))
    }

    async fn are_spent(&self, context: &Context, last: Option<&str>) -> Result<bool, Failed> {
        // Whoever has not even begun so often need not be looked up.
        if context.attempt() < tries::TRIES_MAX {
            return Ok(false);
        }
        let faults = self.rows.jobs.faults(context.id()).await.map_err(|error| tries::away(&error))?;
        Ok(tries::are_spent(&faults, last))
    }

    /// A line's end is recorded with its job's.
    fn ended(&self, line: LineEnd) -> Outcome {
        self.rows.stats.ended(line.good, 1);
        Outcome::Done { result: Vec::new(), extra: Extra { then: Vec::new(), line: Some(line) } }
    }
}
