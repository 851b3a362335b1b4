//! The life of one request, from top to bottom.
//!
//! ```text
//! bytes in → identify the caller → admit → plan (alias, target, cache key)
//!   → memory → join a flight, or begin one (Redis → disk → provider)
//!   → for each target: lease (breaker + limiter; the only queue) → send
//!   → tee → bytes out → at the end of the body: record, store
//! ```

use crate::alarm::Alarm;
use crate::auth::Caller;
use crate::dispatch::{Dispatch, Opened};
use crate::gateway::Shared;
use crate::http::body::Body;
use crate::http::compress::Coding;
use crate::http::{compress, error, head, read};
use crate::inquiry::{Inquiry, Standing};
use crate::limits::Subject;
use crate::plan::{Draw, Plan, affinity};
use crate::recorder::{Record, outcome_of};
use crate::relay::Relayed;
use crate::remember::flight::{Job, fly};
use crate::remember::part::Part;
use crate::remember::question::{Form, Question};
use crate::remember::replay::Replay;
use crate::remember::ride::{Lost, Ride, gone};
use crate::remember::tally::Tally;
use crate::remember::{is_stale, question, status};
use crate::snapshot::Snapshot;
use ::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use bytes::Bytes;
use cache::clock::Millis;
use cache::entry::Entry;
use guard::flight::Boarded;
use hyper::body::Incoming;
use measure::metrics::Outcome;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::Failure;
use wire::openai::{self, UsageChunk};
use wire::operation::Operation;

/// Flights that are boarded for one request before it gives up: one that is lost is seldom, two are a
/// fault of ours.
const BOARDINGS_MAX: u32 = 3;

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
    if let Some(levels) = record.levels() {
        levels.write(&mut headers);
    }
    head::timings(&mut headers, record.attempts(), record.overhead(now), record.total(now));
    head::identify(&mut headers, record.id.clone());
    match answered {
        Ok(answered) => answered.into_response(headers, record, now),
        Err(failure) => {
            record.end(outcome_of(&failure), now);
            error::respond(headers, &failure, record.attempts() > 1)
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
    /// Who answered.
    target: HeaderValue,
    /// What the cache had to do with it.
    cache: HeaderValue,
    /// How old it is, if it was remembered.
    age: Option<Duration>,
    /// What it cost, in millionths of a US dollar, where that is known by now.
    cost: Option<u64>,
    content: Content,
}

enum Content {
    Whole(Bytes, Outcome),
    Stream(Box<Relayed>),
    Replay(Replay),
    Ride(Box<Ride>),
}

/// A request that has been read and planned.
struct Ready<'a> {
    asked: &'a Asked<'a>,
    caller: &'a Caller,
    ask: &'a openai::Request<'a>,
    body: &'a Bytes,
    plan: &'a Plan,
    /// The caller's own limit to the whole.
    timeout: Option<Duration>,
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
    body: Incoming,
    record: &mut Record,
) -> Result<Answered, Failure> {
    let mut alarm = Alarm::default();
    let caller = snapshot.callers.identify(asked.headers)?;
    let timeout = head::timeout(asked.headers)?;
    let body = read::whole(asked.headers, body, &snapshot.server, record.started(), &mut alarm).await?;

    let _held = shared.gateway.pressure.hold(body.len())?;

    let ask = openai::Request::parse(asked.operation, &body)?;
    caller.may_use(&ask.model)?;
    let draw = Draw { affinity: None, dice: fastrand::u64(..), at: record.started() };
    let affinity = || affinity::of(asked.headers, caller.tenant(), &ask);
    let plan = snapshot.routes.plan(asked.operation, &ask.model, draw, affinity)?;
    record.planned(&plan);

    let standing = Standing::of(asked.headers, &caller, &ask)?;
    let hedges = match &plan.alias {
        Some(alias) => alias.hedge,
        None => snapshot.config.guard.hedge.enabled,
    };
    let ready =
        Ready { asked, caller: &caller, ask: &ask, body: &body, plan: &plan, timeout, standing, hedges };
    let tally = Tally { metrics: &snapshot.cache_metrics, stats: &plan.hour };
    let question = match snapshot.remembered.question(&ready.to_remember(), &tally)? {
        Ok(question) => question,
        Err(bypass) => {
            tally.bypassed();
            ready.admit(shared, record).await?;
            return ready.ask_directly(shared, snapshot, bypass.header(), alarm, record).await;
        }
    };
    let now = Millis::now();
    if !question.terms.no_cache
        && let Some(found) = snapshot.remembered.peek(&question, now)
        && let Some(replay) = ready.replay(&found.entry, question.form)
    {
        tally.remembered(is_stale(&found), &replay, now);
        snapshot.remembered.note_hit(&question.key, &replay.notes);
        shared.gateway.limits.note(&ready.subject(), record.started());
        if is_stale(&found) {
            ready.refresh(shared, snapshot, &question, record)?;
        }
        return Ok(Answered::remembered(replay, status::hit(found.tier), found.age));
    }
    tally.memory_missed();
    ready.admit(shared, record).await?;
    // Boxed, as it is large and a hit has no need of it.
    Box::pin(ready.board(shared, snapshot, &question, alarm, record)).await
}

impl Ready<'_> {
    fn to_remember(&self) -> question::Asked<'_> {
        question::Asked {
            headers: self.asked.headers,
            tenant: self.caller.tenant(),
            request: self.ask,
            plan: self.plan,
        }
    }

    fn tally<'t>(&'t self, snapshot: &'t Snapshot) -> Tally<'t> {
        Tally { metrics: &snapshot.cache_metrics, stats: &self.plan.hour }
    }

    fn replay(&self, entry: &Entry, form: Form) -> Option<Replay> {
        let reads_zstd = || compress::accepts(self.asked.headers, Coding::Zstd);
        Replay::of(entry, form, self.ask.usage_to_caller, reads_zstd)
    }

    /// Whose limits the request counts against.
    fn subject(&self) -> Subject<'_> {
        let alias = self.plan.alias.as_ref().and_then(|alias| alias.account.as_ref());
        Subject { alias, stream: self.ask.stream, ..self.caller.subject() }
    }

    /// Lets the request go on to a provider, or turns it away at the door: nobody waits here.
    async fn admit(&self, shared: &Shared, record: &mut Record) -> Result<(), Failure> {
        shared.gateway.pressure.admit(self.standing.band)?;
        let subject = self.subject();
        if subject.is_unlimited() {
            return Ok(());
        }
        let admitted = shared.gateway.limits.admit(&subject, self.standing.tokens, Instant::now()).await;
        match admitted {
            Ok(granted) => {
                record.granted(granted);
                Ok(())
            }
            Err(denied) => Err(record.denied(&denied)),
        }
    }

    /// What is asked of whoever can answer it.
    fn inquiry(&self, usage_chunk: UsageChunk, timeout: Option<Duration>, record: &Record) -> Inquiry {
        let plan = self.plan.clone();
        Inquiry {
            operation: self.asked.operation,
            first: Inquiry::spliced(self.ask, self.body, &plan.target),
            tools: self.hedges && self.ask.traits().tools,
            plan,
            body: self.body.clone(),
            stream: self.ask.stream,
            usage_chunk,
            timeout,
            arrived: record.started(),
            standing: self.standing,
            request_id: record.id.clone(),
            traceparent: self.asked.headers.get("traceparent").cloned(),
        }
    }

    /// One request, one call: nothing is looked up, shared or kept.
    async fn ask_directly(
        &self,
        shared: &Shared,
        snapshot: &Snapshot,
        cache: HeaderValue,
        alarm: Alarm,
        record: &mut Record,
    ) -> Result<Answered, Failure> {
        let usage = if self.ask.usage_to_caller { UsageChunk::Pass } else { UsageChunk::Drop };
        let inquiry = self.inquiry(usage, self.timeout, record);
        let reached = Dispatch { shared, snapshot, inquiry: &inquiry }.open(alarm, record).await?;
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

    /// Waits for the answer with whoever asks the same, or has it fetched for all of them.
    async fn board(
        &self,
        shared: &Arc<Shared>,
        snapshot: &Arc<Snapshot>,
        question: &Question<'_>,
        mut alarm: Alarm,
        record: &mut Record,
    ) -> Result<Answered, Failure> {
        let mut anew = question.terms.no_cache;
        let tally = self.tally(snapshot);
        let deadline = self.timeout.map(|timeout| record.started() + timeout);
        for _ in 0..BOARDINGS_MAX {
            let (seat, cache, pays) = match snapshot.remembered.departures.board((question.key, anew)) {
                Boarded::Pilot(pilot, seat) => {
                    let job = self.job(shared, snapshot, question, !anew, record)?;
                    shared.worker.background.spawn(fly(job, pilot));
                    let no_cache = question.terms.no_cache;
                    let cache = if no_cache { status::Bypass::NoCache.header() } else { status::miss() };
                    (seat, cache, true)
                }
                Boarded::Seat(seat) => {
                    tally.coalesced(Millis::now());
                    (seat, status::coalesced(), false)
                }
                Boarded::Full => {
                    return self.ask_directly(shared, snapshot, status::miss(), alarm, record).await;
                }
            };
            record.waits(Instant::now());
            let mut ride = Ride::new(seat, self.ask.usage_to_caller, pays, alarm, deadline);
            match ride.first().await {
                Ok(part) => match self.answered(part, ride, cache, question, &tally, record) {
                    Ok(answered) => return Ok(answered),
                    // It is older than this caller will have it: fetched anew, and kept for all.
                    Err(ride) => {
                        record.waited(Instant::now());
                        alarm = ride.leave();
                        anew = true;
                    }
                },
                Err(Lost::Failed(broken)) => {
                    record.waited(Instant::now());
                    record.attempted(broken.attempts);
                    return Err(broken.failure);
                }
                Err(Lost::Gone) => {
                    record.waited(Instant::now());
                    alarm = ride.leave();
                }
            }
        }
        Err(gone())
    }

    /// The answer that begins with `part`; the ride back where this caller will not have it.
    fn answered(
        &self,
        part: Part,
        ride: Ride,
        cache: HeaderValue,
        question: &Question<'_>,
        tally: &Tally<'_>,
        record: &mut Record,
    ) -> Result<Answered, Ride> {
        let of = |head: &crate::remember::part::Head, content| Answered {
            status: head.status,
            provider: head.provider.clone(),
            target: head.target.clone(),
            cache,
            age: None,
            cost: head.cost,
            content,
        };
        match part {
            Part::Remembered(entry, hit) => {
                record.waited(Instant::now());
                let age = entry.age(Millis::now());
                let replay = self.replay(&entry, question.form);
                match replay.filter(|_| question.terms.accepts(age)) {
                    Some(replay) => {
                        record.tokens(0);
                        tally.saved(&replay, Millis::now());
                        Ok(Answered::remembered(replay, hit, age))
                    }
                    None => Err(ride),
                }
            }
            Part::Whole(head, bytes) => {
                record.waited(Instant::now());
                ride.charge(head.tokens, record);
                record.attempted(head.attempts);
                Ok(of(&head, Content::Whole(bytes, head.outcome)))
            }
            Part::Begins(head) => {
                record.attempted(head.attempts);
                Ok(of(&head, Content::Ride(Box::new(ride))))
            }
            Part::Frames(_) | Part::Usage(_) | Part::Done(_) => Err(ride),
        }
    }

    fn job(
        &self,
        shared: &Arc<Shared>,
        snapshot: &Arc<Snapshot>,
        question: &Question<'_>,
        looks: bool,
        record: &Record,
    ) -> Result<Job, Failure> {
        let remembered = &snapshot.remembered;
        let other = match question.form {
            Form::Whole => Form::Stream,
            Form::Stream => Form::Whole,
        };
        let sibling = match self.asked.operation.streams() && looks {
            true => Some(remembered.key(question, &self.to_remember(), other)?),
            false => None,
        };
        let lifetime = remembered.lifetime(&question.policy, question.terms.ttl);
        Ok(Job {
            shared: Arc::clone(shared),
            snapshot: Arc::clone(snapshot),
            key: question.key,
            sibling,
            form: question.form,
            operation: self.asked.operation,
            looks,
            policy: question.policy,
            hour: Arc::clone(&self.plan.hour),
            kindred: remembered.kindred(question, &self.to_remember()),
            candidate: None,
            lifetime: (!lifetime.fresh.is_zero()).then_some(lifetime),
            marks: question.marks(),
            // A caller's own limit is for that caller to keep: others wait for the same answer.
            inquiry: self.inquiry(UsageChunk::Apart, None, record),
            record: record.of_flight(self.plan),
        })
    }

    /// Has a stale answer fetched anew behind the caller's back, unless somebody does already.
    fn refresh(
        &self,
        shared: &Arc<Shared>,
        snapshot: &Arc<Snapshot>,
        question: &Question<'_>,
        record: &Record,
    ) -> Result<(), Failure> {
        if let Boarded::Pilot(pilot, mut seat) = snapshot.remembered.departures.board((question.key, true)) {
            // Another refresh may have ended between our look and this boarding.
            let found = snapshot.remembered.tiers.peek(&question.key, Millis::now());
            if found.is_some_and(|found| !is_stale(&found)) {
                return Ok(());
            }
            let job = self.job(shared, snapshot, question, false, record)?;
            // The seat keeps the flight in the air, and must read what it is handed.
            let listen = async move { while let Some(Ok(_)) = seat.next().await {} };
            // Where too many are fetched anew already this one stays stale, and that is counted.
            let _ = shared.chores.refresh.submit(async move {
                tokio::join!(fly(job, pilot), listen);
            });
        }
        Ok(())
    }
}

impl Answered {
    fn remembered(replay: Replay, cache: HeaderValue, age: Duration) -> Self {
        Self {
            status: StatusCode::OK,
            provider: HeaderMap::new(),
            target: replay.notes.target.clone(),
            cache,
            age: Some(age),
            // Where it cost something, having it again costs nothing.
            cost: (replay.notes.cost_micro_usd > 0).then_some(0),
            content: Content::Replay(replay),
        }
    }

    /// Begins `headers` and makes a good whole answer smaller for a caller who accepts that; it counts as
    /// our own time.
    async fn prepare(&mut self, compress_above: Option<usize>, asked: &HeaderMap, headers: &mut HeaderMap) {
        head::answered(headers, &self.provider, &self.target, &self.cache);
        if let Some(age) = self.age {
            head::age(headers, age);
        }
        if let Some(cost) = self.cost {
            head::cost(headers, cost);
        }
        match &mut self.content {
            Content::Whole(bytes, Outcome::Ok) => {
                compress::answer(compress_above, asked, headers, bytes).await;
            }
            Content::Replay(replay) if replay.compressed => compress::encoded(headers, Coding::Zstd),
            Content::Replay(replay) if replay.form == Form::Whole => {
                if let [bytes] = replay.segments.as_mut_slice() {
                    compress::answer(compress_above, asked, headers, bytes).await;
                }
            }
            _ => {}
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
            Content::Replay(replay) => {
                if replay.form == Form::Stream {
                    head::stream(&mut headers);
                }
                record.end(Outcome::Ok, now);
                Body::pieces(replay.segments)
            }
            Content::Stream(relayed) => {
                head::stream(&mut headers);
                Body::stream(relayed, record)
            }
            Content::Ride(ride) => {
                head::stream(&mut headers);
                Body::ride(ride, record)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}
