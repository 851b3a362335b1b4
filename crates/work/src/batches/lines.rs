//! What does the job of a line: asks, and writes the answer in one step with the job's end.

use super::ask::{Ask, Reply};
use super::task::Task;
use super::{Rows, text, tries};
use crate::Clock;
use crate::context::Context;
use crate::handler::{Extra, Failed, Outcome};
use store::batches::LineEnd;

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
            return Ok(ended(text::failed(&task, text::EXPIRED)));
        }
        if let Some(end) = self.spent(&context, &task).await? {
            return Ok(ended(end));
        }
        let reply = tokio::select! {
            biased;
            reply = (self.ask)(task.question(context.tenant())) => reply,
            () = tokio::time::sleep(left) => return Ok(ended(text::failed(&task, text::EXPIRED))),
            // Dropped, so that the provider's call ends too. Why it stops decides what becomes of the job.
            why = context.cancelled() => return Err(Failed::passing("stopped", format!("{why:?}"))),
        };
        self.judge(&context, &task, &reply).await
    }

    /// How the line ends, or when it is asked again.
    async fn judge(&self, context: &Context, task: &Task<'_>, reply: &Reply) -> Result<Outcome, Failed> {
        let (status, request_id, body, after) = match reply {
            Reply::Busy { message, after } => return Err(tries::busy(message, *after)),
            Reply::Answered { status, request_id, body, after } => (*status, request_id, body, *after),
        };
        if let Some(failed) = tries::again(status, after)
            && !self.are_spent(context, Some(&failed.class)).await?
        {
            return Err(failed);
        }
        Ok(ended(text::answered(task, status, request_id, body)))
    }

    /// How the line ends where it was tried often enough without an answer: by panics, or processes that died.
    async fn spent(&self, context: &Context, task: &Task<'_>) -> Result<Option<LineEnd>, Failed> {
        if !self.are_spent(context, None).await? {
            return Ok(None);
        }
        let faults = self.rows.jobs.faults(context.id()).await.map_err(|error| away(&error))?;
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
        let faults = self.rows.jobs.faults(context.id()).await.map_err(|error| away(&error))?;
        Ok(tries::are_spent(&faults, last))
    }
}

/// A line's end is recorded with its job's.
fn ended(line: LineEnd) -> Outcome {
    Outcome::Done { result: Vec::new(), extra: Extra { then: Vec::new(), line: Some(line) } }
}

/// The store does not say how often it was tried: that is no fault of the line.
fn away(error: &store::Error) -> Failed {
    tries::busy(&error.to_string(), None)
}
