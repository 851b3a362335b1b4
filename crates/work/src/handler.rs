//! What a job does: a function for each kind, and what it may answer.

use crate::context::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use store::Time;
use store::batches::LineEnd;
use store::jobs::{End, NewJob, Running};

/// Whether another attempt may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may.
    Yes,
    /// It cannot: the job is given up at once.
    No,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Failed {
    /// One of few words, which the [`backoff`](crate::backoff) and the [`stats`](crate::stats) go by.
    pub class: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// Not before so much later, as whoever was asked has said (`Retry-After`).
    pub after: Option<Duration>,
    /// Whether another attempt may help.
    pub retry: Retry,
}

impl Failed {
    /// Another attempt may help.
    pub fn passing(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { class: class.into(), message: message.into(), after: None, retry: Retry::Yes }
    }

    /// No attempt will help.
    pub fn lasting(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { retry: Retry::No, ..Self::passing(class, message) }
    }

    /// Not before so much later.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self { after: Some(pause), ..self }
    }
}

/// What is recorded in one step with the end of a job, or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra {
    /// Jobs that are added.
    pub then: Vec<NewJob>,
    /// The line of a batch that the job was.
    pub line: Option<LineEnd>,
}

/// How an attempt ended well.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done, to be recorded.
    Done {
        /// What came of it.
        result: Vec<u8>,
        /// What is recorded with it.
        extra: Extra,
    },
    /// The handler has recorded the end itself, with the lease that its [`Context`] has: whoever writes more
    /// than a result, as a workflow's step does.
    Recorded,
    /// Nothing came of it, through no fault of its own: it is put back, ready at once, and costs no attempt. For a
    /// process that is about to end; whoever says so again and again is begun again and again.
    PutBack,
    /// Nothing could be done yet: it is put back for so long and a little more, and costs no attempt. Whoever says so
    /// without end makes a job without end.
    Later(Duration),
}

impl From<Vec<u8>> for Outcome {
    fn from(result: Vec<u8>) -> Self {
        Self::Done { result, extra: Extra::default() }
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::from(Vec::new())
    }
}

/// An attempt under way.
pub type Attempt = Pin<Box<dyn Future<Output = Result<Outcome, Failed>> + Send>>;

/// What begins an attempt.
pub(crate) type Handler = Arc<dyn Fn(Context) -> Attempt + Send + Sync>;

/// Adds to the end of a job; see [`Handlers::at_end`].
pub(crate) type AtEnd = Arc<dyn Fn(&Running, &End, Time) -> Extra + Send + Sync>;

/// A function for each kind of jobs.
#[derive(Clone, Default)]
pub struct Handlers {
    kinds: HashMap<String, Handler>,
    at_end: Option<AtEnd>,
}

impl Handlers {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Jobs of this kind are done by `handler`, in place of what did them before. It may be run more than
    /// once for a job, and stopped at each of its awaits: what it does to the world outside should carry the
    /// job's [`key`](Context::key). It must not block its thread.
    #[must_use]
    pub fn on<F, A, O>(mut self, kind: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Context) -> A + Send + Sync + 'static,
        A: Future<Output = Result<O, Failed>> + Send + 'static,
        O: Into<Outcome>,
    {
        let handler: Handler = Arc::new(move |context| {
            let attempt = handler(context);
            Box::pin(async move { attempt.await.map(Into::into) })
        });
        self.kinds.insert(kind.into(), handler);
        self
    }

    /// As [`on`](Self::on), with JSON both ways. A payload that is not what the handler takes fails for good,
    /// with the class `payload`.
    #[must_use]
    pub fn on_json<F, I, A, O>(self, kind: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Context, I) -> A + Send + Sync + 'static,
        I: DeserializeOwned + Send + 'static,
        A: Future<Output = Result<O, Failed>> + Send + 'static,
        O: Serialize,
    {
        let handler = Arc::new(handler);
        self.on(kind, move |context: Context| {
            let handler = Arc::clone(&handler);
            async move {
                let input = context.json()?;
                let output = handler(context, input).await?;
                serde_json::to_vec(&output).map_err(|error| Failed::lasting("result", error.to_string()))
            }
        })
    }

    /// `extra` says what is recorded in one step with the last end of a job, be it done, dead or cancelled,
    /// beside what its handler gives: a message to whoever waits for it, say. It is told when that was.
    ///
    /// Of a job that ended in the store, cancelled before it began or with its last lease, it is asked a moment
    /// later by whichever runner comes first: what is added then is added once, and lines of batches are not.
    #[must_use]
    pub fn at_end(mut self, extra: impl Fn(&Running, &End, Time) -> Extra + Send + Sync + 'static) -> Self {
        self.at_end = Some(Arc::new(extra));
        self
    }

    /// What does jobs of this kind.
    pub(crate) fn of(&self, kind: &str) -> Option<Handler> {
        self.kinds.get(kind).cloned()
    }

    /// What is recorded with this end. Where whoever says it panics, it is nothing: the end itself counts.
    pub(crate) fn extra(&self, job: &Running, end: &End, at: Time) -> Extra {
        let is_last = !matches!(end, End::Again { .. } | End::Released | End::Later { .. });
        let Some(at_end) = self.at_end.as_ref().filter(|_| is_last) else { return Extra::default() };
        catch_unwind(AssertUnwindSafe(|| at_end(job, end, at))).unwrap_or_else(|_| {
            tracing::error!(job = job.lease.id.0, "jobs: what was to be added at the end of a job panicked");
            Extra::default()
        })
    }
}
