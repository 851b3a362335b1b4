//! A request of the gateway's own, and its answer: whole, or as it comes.

use crate::auth::Principal;
use crate::config::Priority;
use crate::http::body::Body;
use crate::http::{error, head};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::failure::{Failure, Kind, Retry, Source};
use wire::operation::Operation;
use wire::splice::push_json_string;

/// A request made here, on a caller's behalf.
#[derive(Clone, Debug)]
pub struct Commission {
    /// What is asked for.
    pub operation: Operation,
    /// What a caller would say in its head, and means here what it means there: `cache-control`, `x-tidegate-*`,
    /// `traceparent`, `x-request-id`. Credentials are not among them.
    pub headers: HeaderMap,
    /// The body. A `stream` in it is refused where the whole answer is asked for.
    pub body: Bytes,
    /// On whose behalf: its models, limits, tenant, as the configuration has them when the request is answered.
    pub principal: Principal,
    /// When it must be answered; beyond that it is a 504. `None`: as long as the target's time-outs allow.
    pub deadline: Option<Instant>,
    /// The largest answer taken, in bytes; a larger one is a 502. Never more than 64 MiB are read.
    pub answer_bytes_max: usize,
    /// Whom it is for, where that was decided before: of a line that may go to a provider's own batch API, or went.
    pub placed: Option<Placed>,
}

/// A request of which is known at whose place its answer is to be had: no target is drawn.
#[derive(Clone, Debug)]
pub struct Placed {
    /// `provider/model`.
    pub at: Box<str>,
    /// The answer, where that provider has given it in a batch of its own: nobody is asked then, no right and no limit
    /// is looked at, and it is counted and remembered as any other.
    pub given: Option<Bytes>,
}

impl Commission {
    /// The largest answer taken where nobody says otherwise.
    pub const ANSWER_BYTES_MAX: usize = 16 << 20;

    /// A request without headers or a deadline.
    #[must_use]
    pub fn new(operation: Operation, body: Bytes, principal: Principal) -> Self {
        let (headers, answer_bytes_max) = (HeaderMap::new(), Self::ANSWER_BYTES_MAX);
        Self { operation, headers, body, principal, deadline: None, answer_bytes_max, placed: None }
    }

    /// For this target, `provider/model`.
    #[must_use]
    pub fn placed(mut self, at: &str) -> Self {
        self.placed = Some(Placed { at: at.into(), given: None });
        self
    }

    /// With the answer that this target has given to it in a batch. What is remembered is not looked at.
    #[must_use]
    pub fn answered_in_batch(mut self, at: &str, answer: Bytes) -> Self {
        self.headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-cache"));
        self.placed = Some(Placed { at: at.into(), given: Some(answer) });
        // It is here already, and was paid for whole.
        (self.deadline, self.answer_bytes_max) = (None, usize::MAX);
        self
    }

    /// Whether the answer is here, and only to be counted.
    pub(crate) fn is_given(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| placed.given.is_some())
    }

    /// With what a caller's own head says: its headers that mean something here, and the others left out.
    #[must_use]
    pub fn with_headers_of(mut self, head: &HeaderMap) -> Self {
        head::carry_over(&mut self.headers, head);
        self
    }

    /// As urgent as `priority`, where the headers say nothing of it; never more so than the caller's key allows.
    #[must_use]
    pub fn by_default(mut self, priority: Priority) -> Self {
        head::default_priority(&mut self.headers, priority);
        self
    }

    /// How long it may take from `now` on: to its deadline, or less where the headers say so.
    ///
    /// # Errors
    /// 504 where the deadline has passed, 400 where the header cannot be read.
    pub(crate) fn timeout(&self, now: Instant) -> Result<Option<Duration>, Failure> {
        let own = head::timeout(&self.headers)?;
        let Some(deadline) = self.deadline else { return Ok(own) };
        let left = deadline.saturating_duration_since(now);
        if left.is_zero() {
            return Err(late());
        }
        Ok(Some(own.map_or(left, |own| own.min(left))))
    }
}

/// A whole answer, be it a failure.
#[derive(Clone, Debug)]
pub struct Answer {
    /// As a caller would read it.
    pub status: StatusCode,
    /// As a caller would read them: the request's id, what the cache had to do with it, who answered, what is left
    /// of the caller's limits, when to try again.
    pub headers: HeaderMap,
    /// A JSON object: the provider's own bytes or, where the gateway says no, an error in OpenAI's form.
    pub body: Bytes,
    /// Why there is no good answer, and whether to try again. `None` beside a status of 400 or more: the provider
    /// refuses the request, in its own words.
    pub failure: Option<Failure>,
}

impl Answer {
    /// The answer that the pipeline gave.
    pub(crate) fn new(response: Response<Body>, failure: Option<Failure>, bytes_max: usize) -> Self {
        let (parts, body) = response.into_parts();
        match body.into_whole() {
            Some(body) => {
                Self { status: parts.status, headers: parts.headers, body, failure }.within(bytes_max)
            }
            // A stream is refused before it is asked for.
            None => Self::failed(Failure::new(Kind::Internal, "The answer came as a stream.")),
        }
    }

    /// The same answer, where it has no more bytes than this.
    pub(crate) fn within(self, bytes_max: usize) -> Self {
        if self.body.len() <= bytes_max || self.failure.is_some() {
            return self;
        }
        let fault = too_large(self.body.len(), bytes_max);
        Self::failed_with(self.headers, fault)
    }

    /// A failure that the pipeline never saw.
    pub(crate) fn failed(failure: Failure) -> Self {
        Self::failed_with(HeaderMap::new(), failure)
    }

    /// Whoever was to answer is gone; the work may have been done.
    pub(crate) fn lost() -> Self {
        let public = "The gateway's worker was gone before it had answered.";
        Self::failed(Failure::new(Kind::Internal, public).with_code("answer_lost"))
    }

    fn failed_with(headers: HeaderMap, failure: Failure) -> Self {
        let (parts, body) = error::respond(headers, &failure, false).into_parts();
        let body = body.into_whole().unwrap_or_default();
        Self { status: parts.status, headers: parts.headers, body, failure: Some(failure) }
    }

    /// As one JSON object: `{"status_code":…,"request_id":…,"cache":…,"target":…,"body":{…}}`. What went wrong is in
    /// the body, as it is where the request comes alone.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!(r#"{{"status_code":{}"#, self.status.as_u16()).as_bytes());
        for (name, header) in [
            ("request_id", "x-request-id"),
            ("cache", "x-tidegate-cache"),
            ("target", "x-tidegate-target"),
            ("cost_usd", "x-tidegate-cost-usd"),
            ("retry_after_ms", "retry-after-ms"),
        ] {
            if let Some(text) = self.headers.get(header).and_then(|value| value.to_str().ok()) {
                out.extend_from_slice(format!(r#","{name}":"#).as_bytes());
                push_json_string(out, text);
            }
        }
        out.extend_from_slice(br#","body":"#);
        out.extend_from_slice(&self.body);
        out.push(b'}');
    }

    /// Whether it is what was asked for.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.status.is_success()
    }
}

/// Frames of a stream that wait for a reader; then the provider waits.
const FRAMES_MAX: usize = 16;

/// An answer whose head is made, and what comes of its body.
#[derive(Debug)]
pub struct Begun {
    /// As a caller would read it.
    pub status: StatusCode,
    /// The same.
    pub headers: HeaderMap,
    /// The body, until its end; a stream that fails ends with an error event, as it does for a caller.
    pub body: mpsc::Receiver<Bytes>,
}

/// The worker's end of a [`Begun`].
pub(super) struct Frames {
    body: Body,
    reader: mpsc::Sender<Bytes>,
}

impl Begun {
    pub(super) fn new(response: Response<Body>) -> (Self, Frames) {
        let (parts, body) = response.into_parts();
        let (reader, frames) = mpsc::channel(FRAMES_MAX);
        (Self { status: parts.status, headers: parts.headers, body: frames }, Frames { body, reader })
    }
}

impl From<Answer> for Begun {
    fn from(answer: Answer) -> Self {
        let (reader, body) = mpsc::channel(1);
        // There is room: it is the first.
        let _ = reader.try_send(answer.body);
        Self { status: answer.status, headers: answer.headers, body }
    }
}

impl Frames {
    /// To the end, or until nobody reads any more: the body is dropped then, and the provider's call with it.
    pub(super) async fn pass_on(mut self) {
        loop {
            let frame = tokio::select! {
                frame = self.body.frame() => frame,
                () = self.reader.closed() => return,
            };
            let Some(Ok(frame)) = frame else { return };
            let Ok(bytes) = frame.into_data() else { continue };
            if self.reader.send(bytes).await.is_err() {
                return;
            }
        }
    }
}

/// The deadline passed before anything was begun.
pub(crate) fn late() -> Failure {
    Failure::new(Kind::ProviderTimeout, "The deadline passed before the request was begun.")
        .with_code("deadline_passed")
        .with_source(Source::Caller)
        .with_retry(Retry::Soon)
}

fn too_large(bytes: usize, bytes_max: usize) -> Failure {
    let public = format!("The answer has {bytes} bytes, and no more than {bytes_max} are taken here.");
    Failure::new(Kind::Provider, public).with_code("answer_too_large").with_retry(Retry::Never)
}
