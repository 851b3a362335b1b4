//! One attempt at a job: its handler, until it ends or has to stop.

use super::Shared;
use super::settle::Ended;
use crate::context::{Context, Stop};
use crate::handler::{Attempt, Failed, Handler, Outcome};
use crate::verdict::{self, PANIC, UNKNOWN_KIND, Went};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Attempts the job, and tells how it ended.
pub(super) async fn attempt(shared: Arc<Shared>, context: Context, queue: usize, ended: mpsc::Sender<Ended>) {
    let began = Instant::now();
    let went = drive(&shared, &context, shared.options.queues[queue].attempt_max).await;
    let (options, dice) = (&shared.options, fastrand::u64(..));
    let (now, stop) = (options.clock.now(), context.stopped());
    let end = verdict::end(context.job(), went, stop, &options.backoffs, now, dice);
    // Nobody listens where everything is being dropped.
    let _ = ended.send(Ended::new(context, queue, end, began.elapsed())).await;
}

/// Drives the handler to its end, or until it was told to stop and has not for a while.
async fn drive(shared: &Shared, context: &Context, attempt_max: Duration) -> Went {
    let kind = &context.job().kind;
    let Some(handler) = shared.handlers.of(kind) else {
        let message = format!("nobody here does jobs of the kind `{kind}`");
        return Went::Ended(Err(Failed::passing(UNKNOWN_KIND, message)));
    };
    let mut handler = Guarded::begin(&handler, context.clone());
    tokio::select! {
        biased;
        ended = &mut handler => return Went::Ended(ended),
        () = context.token().cancelled() => {}
        why = time_out(shared, context, attempt_max) => context.stop(why),
    }
    match tokio::time::timeout(shared.options.courtesy, &mut handler).await {
        Ok(ended) => Went::Ended(ended),
        Err(_) => Went::Stopped,
    }
}

/// Waits until the attempt has taken too long.
async fn time_out(shared: &Shared, context: &Context, attempt_max: Duration) -> Stop {
    let left = context.deadline().map(|deadline| deadline.since(shared.options.clock.now()));
    let (limit, why) = match left {
        Some(left) if left <= attempt_max => (left, Stop::Deadline),
        _ => (attempt_max, Stop::TooLong),
    };
    tokio::time::sleep(limit).await;
    why
}

/// A handler at work, whose panics are failures.
struct Guarded(Option<Attempt>);

impl Guarded {
    fn begin(handler: &Handler, context: Context) -> Self {
        let begun = catch_unwind(AssertUnwindSafe(|| handler(context)));
        Self(Some(begun.unwrap_or_else(|payload| {
            let failed = panicked(payload);
            Box::pin(std::future::ready(Err(failed)))
        })))
    }
}

impl Future for Guarded {
    type Output = Result<Outcome, Failed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let Some(attempt) = &mut self.0 else { return Poll::Pending };
        let polled = catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(context)));
        let ended = match polled {
            Ok(poll) => ready!(poll),
            Err(payload) => Err(panicked(payload)),
        };
        discard(self.0.take());
        Poll::Ready(ended)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        discard(self.0.take());
    }
}

/// What a panic says of itself.
fn panicked(payload: Box<dyn Any + Send>) -> Failed {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    discard(payload);
    Failed::passing(PANIC, text.unwrap_or_else(|| "the handler panicked".to_owned()))
}

/// Drops what is somebody else's, whose drop may panic as well.
fn discard<T>(foreign: T) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(foreign)));
    // A payload whose drop panics once more is given up on.
    dropped.unwrap_or_else(std::mem::forget);
}
