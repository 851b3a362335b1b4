//! The life of one request, from top to bottom.
//!
//! ```text
//! bytes in → identify the caller → admit → plan (alias, target)
//!   → [memory → Redis → disk → semantic → join a flight]      come with the cache
//!   → [for each target: lease (breaker + limiter)] → send     come with the breaker and the limiter
//!   → tee → bytes out → at the end of the body: record
//! ```

use crate::alarm::{Alarm, Late};
use crate::gateway::Shared;
use crate::http::body::Body;
use crate::http::{compress, error, head, read};
use crate::judge::{self, Verdict};
use crate::plan::Target;
use crate::recorder::{Record, outcome_of};
use crate::relay::{Patience, Relayed};
use crate::snapshot::Snapshot;
use crate::upstream::{Answer, Call};
use ::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use hyper::body::Incoming;
use measure::metrics::{AttemptResult, Outcome};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use wire::failure::Failure;
use wire::openai::{self, Relay, RelayOptions, UsageChunk};
use wire::operation::Operation;
use wire::splice::splice;

/// Answers one inference request. Never fails: a failure is an answer too.
pub async fn serve(shared: Arc<Shared>, operation: Operation, request: Request<Incoming>) -> Response<Body> {
    let snapshot = shared.snapshot();
    let (parts, body) = request.into_parts();
    let asked = Asked { operation, headers: &parts.headers };
    let id = head::request_id(&parts.headers);
    let mut record = Record::begin(id, operation, Arc::clone(snapshot.routes.other()), Instant::now());
    let mut answered = exchange(&shared, &snapshot, &asked, body, &mut record).await;

    let mut headers = HeaderMap::with_capacity(12);
    if let Ok(answered) = &mut answered {
        answered.prepare(snapshot.server.compress_above, asked.headers, &mut headers).await;
    }
    let now = Instant::now();
    head::timings(&mut headers, record.attempts(), record.overhead(now), record.total(now));
    head::identify(&mut headers, record.id.clone());
    match answered {
        Ok(answered) => answered.into_response(headers, record, now),
        Err(failure) => {
            record.end(outcome_of(&failure), now);
            error::respond(headers, &failure)
        }
    }
}

/// What the pipeline is asked, but for the body.
struct Asked<'a> {
    operation: Operation,
    headers: &'a HeaderMap,
}

/// What the pipeline answers.
struct Answered {
    status: StatusCode,
    /// The provider's own head.
    provider: HeaderMap,
    target: Arc<Target>,
    content: Content,
}

enum Content {
    Whole(Bytes, Outcome),
    Stream(Box<Relayed>),
}

/// One try at one target.
struct Attempt {
    target: Arc<Target>,
    stream: bool,
    relay: RelayOptions,
    patience: Patience,
}

/// The request's way through the gateway.
async fn exchange(
    shared: &Shared,
    snapshot: &Snapshot,
    asked: &Asked<'_>,
    body: Incoming,
    record: &mut Record,
) -> Result<Answered, Failure> {
    let mut alarm = Alarm::default();
    let caller = snapshot.callers.identify(asked.headers)?;
    let timeout = head::timeout(asked.headers)?;
    let body = read::whole(asked.headers, body, &snapshot.server, record.started(), &mut alarm).await?;

    let ask = openai::Request::parse(asked.operation, &body)?;
    caller.may_use(&ask.model)?;
    let plan = snapshot.routes.plan(asked.operation, &ask.model, fastrand::u64(..))?;
    record.planned(&plan);

    let settings = plan.target.upstream.settings();
    let quirks = &settings.preset.quirks;
    let call = Call {
        operation: asked.operation,
        body: splice(&body, &ask.edits(Some(&plan.target.model), quirks.stream_options)),
        request_id: record.id.clone(),
        traceparent: asked.headers.get("traceparent").cloned(),
    };
    let attempt = Attempt {
        stream: ask.stream,
        relay: RelayOptions {
            usage_chunk: if ask.usage_to_caller { UsageChunk::Pass } else { UsageChunk::Drop },
            done_marker: quirks.done_marker,
        },
        patience: Patience::new(&settings.timeouts, timeout, record.started(), Instant::now()),
        target: plan.target,
    };
    match send(shared, &attempt, call, &mut alarm, record).await? {
        Sent::Refusal(status, bytes) => Ok(Answered {
            status,
            provider: HeaderMap::new(),
            target: attempt.target,
            content: Content::Whole(bytes, Outcome::CallerError),
        }),
        Sent::Answer(answer) if attempt.stream => relay(shared, attempt, answer, alarm, record).await,
        Sent::Answer(answer) => whole(attempt, answer, alarm, record).await,
    }
}

/// What a provider answered, once its head is judged.
enum Sent {
    /// A success, its body still to come.
    Answer(Response<Answer>),
    /// A fault of the request, in the provider's own words.
    Refusal(StatusCode, Bytes),
}

/// Asks the target and judges the head of its answer.
async fn send(
    shared: &Shared,
    attempt: &Attempt,
    call: Call,
    alarm: &mut Alarm,
    record: &mut Record,
) -> Result<Sent, Failure> {
    let upstream = &attempt.target.upstream;
    let due = if attempt.stream { attempt.patience.first_token_due() } else { attempt.patience.deadline };
    record.attempt_begins(attempt.patience.began);
    let sent = alarm.within(due, pin!(upstream.send(&shared.worker, call))).await;
    let (result, failure) = match sent {
        Ok(Ok(response)) if response.status().is_success() => {
            match judge::media_type(&response, attempt.stream) {
                None => return Ok(Sent::Answer(response)),
                Some(what) => (AttemptResult::Failed, judge::nonsense(upstream.name(), what)),
            }
        }
        Ok(Ok(response)) => {
            let result = judge::result(response.status());
            // Boxed, as it is large and seldom.
            let mut refused = Box::pin(judge::refused(upstream.settings(), response));
            match alarm.within(due, refused.as_mut()).await {
                Ok(Verdict::PassOn(status, bytes)) => {
                    record.attempt_ends(result, Instant::now());
                    return Ok(Sent::Refusal(status, bytes));
                }
                Ok(Verdict::Fail(failure)) => (result, failure),
                Err(Late) => (AttemptResult::TimedOut, judge::late(upstream.name())),
            }
        }
        Ok(Err(error)) => (judge::unsent(&error), error.failure(upstream.name())),
        Err(Late) => (AttemptResult::TimedOut, judge::late(upstream.name())),
    };
    record.attempt_ends(result, Instant::now());
    Err(failure)
}

/// A stream: its head is sent with its first frame, so that what fails before has a status.
async fn relay(
    shared: &Shared,
    attempt: Attempt,
    answer: Response<Answer>,
    alarm: Alarm,
    record: &mut Record,
) -> Result<Answered, Failure> {
    let (parts, answer) = answer.into_parts();
    let name = attempt.target.upstream.name();
    let tasks = &shared.worker.background;
    let mut stream = Relayed::new(name, tasks, answer, Relay::new(attempt.relay), attempt.patience, alarm);
    stream.prime(record).await?;
    Ok(Answered {
        status: StatusCode::OK,
        provider: parts.headers,
        target: attempt.target,
        content: Content::Stream(Box::new(stream)),
    })
}

/// A whole answer: read to its end and checked before a byte of it is sent, so that a broken one
/// is a 502 and not half a 200.
async fn whole(
    attempt: Attempt,
    answer: Response<Answer>,
    mut alarm: Alarm,
    record: &mut Record,
) -> Result<Answered, Failure> {
    let (parts, answer) = answer.into_parts();
    let name = attempt.target.upstream.name();
    let collected =
        alarm.within(attempt.patience.deadline, pin!(answer.collect(judge::ANSWER_BYTES_MAX))).await;
    let (result, failure) = match collected {
        Ok(Ok(bytes)) => match openai::usage_of(&bytes) {
            Ok(usage) => {
                if let Some(usage) = &usage {
                    record.used(usage);
                }
                record.attempt_ends(AttemptResult::Ok, Instant::now());
                return Ok(Answered {
                    status: StatusCode::OK,
                    provider: parts.headers,
                    target: attempt.target,
                    content: Content::Whole(bytes, Outcome::Ok),
                });
            }
            Err(fault) => {
                (AttemptResult::Failed, judge::nonsense(name, &format!("what is not JSON: {fault}")))
            }
        },
        Ok(Err(error)) => (judge::unsent(&error), error.failure(name)),
        Err(Late) => (AttemptResult::TimedOut, judge::late(name)),
    };
    record.attempt_ends(result, Instant::now());
    Err(failure)
}

impl Answered {
    /// Begins `headers` and makes a good whole answer smaller for a caller who accepts that; it counts as
    /// our own time.
    async fn prepare(&mut self, compress_above: Option<usize>, asked: &HeaderMap, headers: &mut HeaderMap) {
        head::answered(headers, &self.provider, &self.target);
        if let Content::Whole(bytes, Outcome::Ok) = &mut self.content {
            compress::answer(compress_above, asked, headers, bytes).await;
        }
    }

    /// Completes `headers`. A whole answer is over once it is handed over here; a stream takes the
    /// record along, to be closed at its end or its drop.
    fn into_response(self, mut headers: HeaderMap, mut record: Box<Record>, now: Instant) -> Response<Body> {
        let body = match self.content {
            Content::Whole(bytes, outcome) => {
                record.end(outcome, now);
                Body::whole(bytes)
            }
            Content::Stream(relayed) => {
                head::stream(&mut headers);
                Body::stream(relayed, record)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}
