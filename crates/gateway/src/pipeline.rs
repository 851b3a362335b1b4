//! The life of one request, from top to bottom.
//!
//! ```text
//! bytes in → identify the caller → admit → plan (alias, target, cache key)
//!   → memory → join a flight, or begin one (Redis → disk → provider)
//!   → embeddings that opt in: gather, to be asked as one
//!   → for each target: lease (breaker + limiter; the only queue) → send
//!   → tee → bytes out → at the end of the body: record, store
//! ```

mod answered;
mod boarding;
mod brought;
mod look;

pub use look::{Look, look_own};

use crate::advice::{Fingerprint, fingerprint};
use crate::alarm::Alarm;
use crate::coalesce::{self, Joins};
use crate::desk::{Answer, Commission};
use crate::dispatch::Opened;
use crate::gateway::Shared;
use crate::http::body::Body;
use crate::http::compress::Coding;
use crate::http::{compress, error, head, read};
use crate::inquiry::{Inquiry, Standing};
use crate::limits::Subject;
use crate::observe::trail::Mark;
use crate::plan::Plan;
use crate::recorder::Record;
use crate::remember::question::{Form, Question};
use crate::remember::replay::Replay;
use crate::remember::status::Status;
use crate::remember::tally::Tally;
use crate::remember::{is_stale, question};
use crate::snapshot::Snapshot;
use crate::trace::Traced;
use ::http::{HeaderMap, Request, Response, StatusCode};
use answered::{Answered, Content};
use brought::Brought;
use cache::clock::Millis;
use cache::entry::Entry;
use hyper::body::Incoming;
use measure::metrics::Outcome;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::{Failure, Kind};
use wire::openai::{self, UsageChunk};
use wire::operation::Operation;

/// Answers one inference request. Never fails: a failure is an answer too.
pub async fn serve(shared: Arc<Shared>, operation: Operation, request: Request<Incoming>) -> Response<Body> {
    let snapshot = shared.snapshot();
    let (parts, body) = request.into_parts();
    let asked = Asked { operation, headers: &parts.headers, streams: true };
    let mut record = asked.record(&snapshot);
    let answered = receive(&shared, &snapshot, &asked, body, &mut record).await;
    hand_over(&snapshot, &asked, answered, record).await
}

/// Answers a request that was made here on a caller's behalf: the same steps, but for reading it.
pub async fn serve_own(shared: &Arc<Shared>, commission: &Commission) -> Answer {
    let (response, failure) = own(shared, commission, false).await;
    Answer::new(response, failure, commission.answer_bytes_max)
}

/// The same, where the answer may be a stream.
pub async fn begin_own(shared: &Arc<Shared>, commission: &Commission) -> Response<Body> {
    own(shared, commission, true).await.0
}

async fn own(
    shared: &Arc<Shared>,
    commission: &Commission,
    streams: bool,
) -> (Response<Body>, Option<Failure>) {
    let snapshot = shared.snapshot();
    let asked = Asked { operation: commission.operation, headers: &commission.headers, streams };
    let mut record = asked.record(&snapshot);
    let answered = undertake(shared, &snapshot, &asked, commission, &mut record).await;
    let failure = answered.as_ref().err().cloned();
    (hand_over(&snapshot, &asked, answered, record).await, failure)
}

/// What the pipeline is asked, but for the body.
struct Asked<'a> {
    operation: Operation,
    headers: &'a HeaderMap,
    /// Whether the answer may come as a stream.
    streams: bool,
}

impl Asked<'_> {
    fn record(&self, snapshot: &Snapshot) -> Box<Record> {
        let (id, now) = (head::request_id(self.headers), Instant::now());
        let traced = snapshot.tracer.as_ref().map(|tracer| Traced::begin(tracer, self.headers));
        Record::begin(id, self.operation, Arc::clone(snapshot.routes.other()), traced, now)
    }
}

/// A caller's request, from its first bytes on.
async fn receive(
    shared: &Arc<Shared>,
    snapshot: &Arc<Snapshot>,
    asked: &Asked<'_>,
    body: Incoming,
    record: &mut Record,
) -> Result<Answered, Failure> {
    let mut alarm = Alarm::default();
    let caller = snapshot.callers.identify(asked.headers)?;
    record.identified(&caller, Instant::now());
    let timeout = head::timeout(asked.headers)?;
    let body = read::whole(asked.headers, body, &snapshot.server, record.started(), &mut alarm).await?;
    record.passes(Mark::Read, Instant::now());
    exchange(shared, snapshot, asked, &Brought { caller, timeout, body, placed: None }, alarm, record).await
}

/// A request that was made here, on behalf of a caller who is looked up as it is now.
async fn undertake(
    shared: &Arc<Shared>,
    snapshot: &Arc<Snapshot>,
    asked: &Asked<'_>,
    commission: &Commission,
    record: &mut Record,
) -> Result<Answered, Failure> {
    let caller = match commission.is_given() {
        true => snapshot.callers.owner(&commission.principal),
        false => snapshot.callers.on_behalf_of(&commission.principal)?,
    };
    record.identified(&caller, Instant::now());
    let timeout = commission.timeout(record.started())?;
    let (body, placed) = (commission.body.clone(), commission.placed.clone());
    let brought = Brought { caller, timeout, body, placed };
    exchange(shared, snapshot, asked, &brought, Alarm::default(), record).await
}

/// Completes an answer's head and hands it over; a stream takes the record along.
async fn hand_over(
    snapshot: &Snapshot,
    asked: &Asked<'_>,
    mut answered: Result<Answered, Failure>,
    mut record: Box<Record>,
) -> Response<Body> {
    let mut headers = HeaderMap::with_capacity(12);
    if let Ok(answered) = &mut answered {
        answered.prepare(snapshot.server.compress_above, asked.headers, &mut headers).await;
    }
    let now = Instant::now();
    if let Ok(answered) = &answered {
        record.answered_by(&answered.target);
    }
    if let Some(levels) = record.levels() {
        levels.write(&mut headers);
    }
    head::timings(&mut headers, record.attempts(), record.overhead(now), record.total(now));
    head::identify(&mut headers, record.id().clone());
    match answered {
        Ok(answered) => answered.into_response(headers, record, now),
        Err(failure) => {
            let tried = record.attempts() > 1;
            record.fail(&failure, now);
            error::respond(headers, &failure, tried)
        }
    }
}

/// A request that has been read and planned.
struct Ready<'a> {
    shared: &'a Arc<Shared>,
    snapshot: &'a Arc<Snapshot>,
    asked: &'a Asked<'a>,
    brought: &'a Brought,
    ask: &'a openai::Request<'a>,
    plan: &'a Plan,
    /// Where it stands among others that wait.
    standing: Standing,
    /// Whether it may be asked twice at once.
    hedges: bool,
}

/// The request's way through the gateway.
async fn exchange(
    shared: &Arc<Shared>,
    snapshot: &Arc<Snapshot>,
    asked: &Asked<'_>,
    brought: &Brought,
    alarm: Alarm,
    record: &mut Record,
) -> Result<Answered, Failure> {
    let _held = brought.hold(&shared.gateway.pressure)?;

    let ask = openai::Request::parse(asked.operation, &brought.body)?;
    if ask.stream && !asked.streams {
        return Err(no_stream());
    }
    let plan = brought.plan(snapshot, asked, &ask, record.started());
    let plan = plan.inspect_err(|_| record.asked_in_vain(&ask.model))?;
    record.planned(&plan, ask.stream);

    let standing = Standing::of(asked.headers, &brought.caller, &ask)?;
    let hedges = match &plan.alias {
        Some(alias) => alias.hedge,
        None => snapshot.config.guard.hedge.enabled,
    };
    let ready = Ready { shared, snapshot, asked, brought, ask: &ask, plan: &plan, standing, hedges };
    let tally = ready.tally();
    let question = snapshot.remembered.question(&ready.to_remember(), &tally)?;
    // Whether questions come again is asked of aliases alone.
    if plan.alias.is_some() && snapshot.config.advice.enabled && record.is_seen() {
        record.asks(Fingerprint::of(&ready.to_tell_apart(), &question), standing.tokens_max);
    }
    record.passes(Mark::Planned, Instant::now());
    let question = match question {
        Ok(question) => question,
        Err(bypass) => {
            tally.bypassed();
            ready.admit(record).await?;
            return ready.ask_directly(Status::Bypass(bypass), alarm, record).await;
        }
    };
    if let Some(answered) = ready.recall(&question, record)? {
        return Ok(answered);
    }
    tally.memory_missed();
    ready.admit(record).await?;
    // Boxed, as it is large and a hit has no need of it.
    Box::pin(ready.board(&question, alarm, record)).await
}

impl Ready<'_> {
    fn to_remember(&self) -> question::Asked<'_> {
        question::Asked {
            headers: self.asked.headers,
            tenant: self.brought.caller.tenant(),
            request: self.ask,
            plan: self.plan,
        }
    }

    fn to_tell_apart(&self) -> fingerprint::Asked<'_> {
        fingerprint::Asked {
            headers: self.asked.headers,
            tenant: self.brought.caller.tenant(),
            request: self.ask,
            target: self.plan.target.id,
        }
    }

    fn tally(&self) -> Tally<'_> {
        Tally { metrics: &self.snapshot.cache_metrics, stats: &self.plan.hour }
    }

    fn replay(&self, entry: &Entry, form: Form) -> Option<Replay> {
        let reads_zstd = || compress::accepts(self.asked.headers, Coding::Zstd);
        Replay::of(entry, form, self.ask.usage_to_caller, reads_zstd)
    }

    /// The answer from memory, where there is one; one that is stale is fetched anew behind the caller's back.
    fn recall(&self, question: &Question<'_>, record: &mut Record) -> Result<Option<Answered>, Failure> {
        let (remembered, now) = (&self.snapshot.remembered, Millis::now());
        let found = match question.terms.no_cache {
            true => None,
            false => remembered.peek(question, now),
        };
        record.passes(Mark::Remembered, Instant::now());
        let Some(found) = found else { return Ok(None) };
        let Some(replay) = self.replay(&found.entry, question.form) else { return Ok(None) };
        self.tally().remembered(is_stale(&found), &replay, now);
        remembered.note_hit(&question.key, &replay.notes);
        self.shared.gateway.limits.note(&self.subject(), record.started());
        if is_stale(&found) {
            self.refresh(question, record)?;
        }
        Ok(Some(Answered::remembered(replay, Status::Hit(found.tier), found.age)))
    }

    /// Whose limits the request counts against.
    fn subject(&self) -> Subject<'_> {
        let alias = self.plan.alias.as_ref().and_then(|alias| alias.account.as_ref());
        Subject { alias, stream: self.ask.stream, ..self.brought.caller.subject() }
    }

    /// Lets the request go on to a provider, or turns it away at the door: nobody waits here.
    async fn admit(&self, record: &mut Record) -> Result<(), Failure> {
        if self.brought.given().is_some() {
            return Ok(());
        }
        self.shared.gateway.pressure.admit(self.standing.band)?;
        let subject = self.subject();
        if subject.is_unlimited() {
            return Ok(());
        }
        let limits = &self.shared.gateway.limits;
        match limits.admit(&subject, self.standing.tokens, Instant::now()).await {
            Ok(granted) => {
                record.granted(granted);
                record.passes(Mark::Admitted, Instant::now());
                Ok(())
            }
            Err(denied) => Err(record.denied(&denied)),
        }
    }

    /// What is asked of whoever can answer it.
    fn inquiry(&self, usage_chunk: UsageChunk, timeout: Option<Duration>, record: &Record) -> Inquiry {
        let plan = self.plan.clone();
        let given = self.brought.given().cloned();
        let joins = match given {
            None => Joins::of(self.ask, self.brought.caller.tenant(), &plan.target),
            Some(_) => None,
        };
        Inquiry {
            operation: self.asked.operation,
            first: Inquiry::spliced(self.ask, &self.brought.body, &plan.target),
            tools: self.hedges && self.ask.traits().tools,
            plan,
            body: self.brought.body.clone(),
            stream: self.ask.stream,
            usage_chunk,
            timeout,
            arrived: record.started(),
            standing: self.standing,
            request_id: record.id().clone(),
            carried: record.carried(self.asked.headers),
            joins,
            given,
        }
    }

    /// One request, one call: nothing is looked up, shared or kept.
    async fn ask_directly(
        &self,
        cache: Status,
        alarm: Alarm,
        record: &mut Record,
    ) -> Result<Answered, Failure> {
        let usage = if self.ask.usage_to_caller { UsageChunk::Pass } else { UsageChunk::Drop };
        let inquiry = self.inquiry(usage, self.brought.timeout, record);
        let reached = coalesce::open(self.shared, self.snapshot, &inquiry, alarm, record).await?;
        let mut cost = None;
        let (status, provider, content) = match reached.opened {
            Opened::Refusal(status, bytes) => {
                (status, HeaderMap::new(), Content::Whole(bytes, Outcome::CallerError))
            }
            Opened::Stream(provider, stream) => (StatusCode::OK, provider, Content::Stream(stream)),
            Opened::Whole(whole) => {
                cost = reached.target.cost(whole.usage.as_ref());
                (StatusCode::OK, whole.head, Content::Whole(whole.body, Outcome::Ok))
            }
        };
        let target = reached.target.header.clone();
        Ok(Answered { status, provider, target, cache, age: None, cost, content })
    }
}

/// A stream is for somebody who listens.
fn no_stream() -> Failure {
    Failure::new(
        Kind::InvalidRequest,
        "The answer cannot be streamed here: leave 'stream' out or set it to false.",
    )
    .with_param("stream")
    .with_code("stream_not_supported")
}
