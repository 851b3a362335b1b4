//! What a request notes of itself while it lives, for its trace: moments and references, nothing that allocates.
//! They belong to its [`Record`](crate::recorder::Record), and end with it.

use super::context::{Context, new_span_id};
use super::{ATTEMPTS_MAX, Attempt, Peer, Request, STEPS_MAX, Step, StepKind, Trace, Tracer};
use crate::auth::{Caller, Principal};
use http::HeaderValue;
use measure::metrics::{AttemptResult, Outcome};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use wire::openai::Usage;
use wire::operation::Operation;

/// Longest text of a trace that comes from outside, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// A request's notes.
#[derive(Debug)]
pub struct Notes {
    tracer: Arc<Tracer>,
    context: Context,
    started: Instant,
    /// Who asks.
    pub caller: Option<Caller>,
    /// What the caller reads of the answer.
    pub answer: Answer,
    /// The model's name as it was asked for.
    model: Option<Arc<str>>,
    /// Whether a stream was asked for.
    stream: bool,
    steps: SmallVec<[Step; 2]>,
    attempts: SmallVec<[Attempt; 2]>,
    /// The try under way is the last one of the list; not where the list was full.
    listed: bool,
}

/// What a caller reads before an answer's body.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status; 0: there is none yet.
    pub status: u16,
    /// Who answered.
    pub target: Option<HeaderValue>,
    /// What the cache had to do with it.
    pub cache: Option<HeaderValue>,
    /// What it cost, in millionths of a US dollar.
    pub cost: Option<u64>,
    /// Why there is none, in one word of few.
    pub error: Option<Box<str>>,
}

impl Notes {
    /// Of a request that arrived at `started`.
    #[must_use]
    pub fn begin(tracer: &Arc<Tracer>, headers: &http::HeaderMap, started: Instant) -> Self {
        Self::at(tracer, tracer.begin(headers), started)
    }

    fn at(tracer: &Arc<Tracer>, context: Context, started: Instant) -> Self {
        Self {
            tracer: Arc::clone(tracer),
            context,
            started,
            caller: None,
            answer: Answer::default(),
            model: None,
            stream: false,
            steps: SmallVec::new(),
            attempts: SmallVec::new(),
            listed: false,
        }
    }

    /// Of work that is done for this request beside it: its spans hang beneath this one's.
    #[must_use]
    pub fn beside(&self, now: Instant) -> Self {
        Self { stream: self.stream, ..Self::at(&self.tracer, self.context, now) }
    }

    /// Whether it is recorded whatever becomes of it.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.context.is_sampled()
    }

    /// It is known what is asked for.
    pub fn planned(&mut self, model: &Arc<str>, stream: bool) {
        self.model = Some(Arc::clone(model));
        self.stream = stream;
    }

    /// A step that began at `began` is over.
    pub fn step(&mut self, kind: StepKind, began: Instant, now: Instant) {
        if self.steps.len() < STEPS_MAX {
            let (began, ended) = (self.since(began), self.since(now));
            self.steps.push(Step { kind, began, ended });
        }
    }

    /// Somebody is asked.
    pub fn attempt_begins(&mut self, peer: &Arc<Peer>, now: Instant) {
        self.listed = self.attempts.len() < ATTEMPTS_MAX;
        if self.listed {
            let began = self.since(now);
            self.attempts.push(Attempt {
                span_id: new_span_id(),
                peer: Arc::clone(peer),
                stream: self.stream,
                began,
                ended: began,
                result: AttemptResult::Cancelled,
                status: None,
                first_token: None,
                usage: None,
                response_model: None,
            });
        }
    }

    /// The header for the try under way, where the request is recorded.
    #[must_use]
    pub fn traceparent(&self) -> Option<HeaderValue> {
        let last = self.attempts.last().filter(|_| self.listed && self.is_sampled())?;
        self.context.traceparent(last.span_id)
    }

    /// The try under way, or the last one.
    fn last(&mut self) -> Option<&mut Attempt> {
        self.attempts.last_mut().filter(|_| self.listed)
    }

    /// Its answer has a status.
    pub fn responded(&mut self, status: u16) {
        if let Some(attempt) = self.last() {
            attempt.status = Some(status);
        }
    }

    /// The model names itself, perhaps. Asked only of what is recorded.
    pub fn names_itself(&mut self, model: impl FnOnce() -> Option<Box<str>>) {
        if self.is_sampled()
            && let Some(attempt) = self.last()
        {
            attempt.response_model = model();
        }
    }

    /// Its first token came after so long.
    pub fn first_token(&mut self, delay: Duration) {
        if let Some(attempt) = self.last() {
            attempt.first_token = Some(delay);
        }
    }

    /// The provider says what was used.
    pub fn used(&mut self, usage: &Usage) {
        if let Some(attempt) = self.last() {
            attempt.usage = Some(*usage);
        }
    }

    /// The try under way is over.
    pub fn attempt_ends(&mut self, result: AttemptResult, now: Instant) {
        let now = self.since(now);
        if let Some(attempt) = self.last() {
            attempt.result = result;
            attempt.ended = now;
        }
    }

    /// What was tried beside this came first: it is this one's, and the last.
    pub fn adopt(&mut self, aside: Self) {
        self.take_over(aside, false);
    }

    /// What was tried beside this came second: the last is still this one's own.
    pub fn dismiss(&mut self, aside: Self) {
        self.take_over(aside, true);
    }

    fn take_over(&mut self, mut aside: Self, before_last: bool) {
        let later = self.since(aside.started);
        for mut attempt in aside.attempts.drain(..) {
            let room = self.attempts.len() < ATTEMPTS_MAX;
            if room {
                attempt.began += later;
                attempt.ended += later;
                let at = self.attempts.len() - usize::from(before_last && !self.attempts.is_empty());
                self.attempts.insert(at, attempt);
            }
            if !before_last {
                self.listed = room;
            }
        }
    }

    /// The request, as far as it is known here.
    pub(crate) fn request(&self, outcome: Outcome) -> Request {
        let text = |value: &HeaderValue| short(&String::from_utf8_lossy(value.as_bytes())).to_owned();
        let Answer { status, target, cache, cost, error } = &self.answer;
        let (key, tenant) = match self.caller.as_ref().map(Caller::principal) {
            Some(Principal { key: Some(key), tenant }) => (Some(key.into()), Some(tenant.into())),
            _ => (None, None),
        };
        let last = self.attempts.last();
        Request {
            id: String::new(),
            https: self.tracer.https,
            model: self.model.clone(),
            stream: self.stream,
            total: Duration::ZERO,
            overhead: Duration::ZERO,
            first_token: last.and_then(|attempt| Some(attempt.began + attempt.first_token?)),
            status: Some(*status).filter(|status| *status != 0),
            outcome,
            error: error.as_deref().map(str::to_owned),
            cache: cache.as_ref().map(text),
            target: target.as_ref().map(text),
            attempts: 0,
            usage: last.and_then(|attempt| attempt.usage),
            cost_micro_usd: *cost,
            key,
            tenant,
        }
    }

    /// Hands over what there is, where it is to be kept; `request` is asked only then. Without a request it is kept
    /// by how the last try ended.
    pub fn end(
        &self,
        outcome: Option<Outcome>,
        operation: Operation,
        now: Instant,
        request: impl FnOnce() -> Option<Request>,
    ) {
        if outcome.is_none() && self.attempts.is_empty() && self.steps.is_empty() {
            return;
        }
        // Whoever is nobody's caller does not decide what is recorded.
        if outcome == Some(Outcome::CallerError) && self.caller.is_none() {
            return;
        }
        let outcome = outcome.unwrap_or_else(|| self.attempts.last().map_or(Outcome::Ok, ended));
        if self.tracer.sampler.keeps(&self.context, outcome, self.since(now)) {
            self.tracer.inlet.offer(super::of(self, request(), operation));
        }
    }

    /// All of it, as it is exported.
    pub(super) fn trace(&self, request: Option<Request>, operation: Operation) -> Trace {
        Trace {
            context: self.context,
            began: SystemTime::now().checked_sub(self.started.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH),
            operation,
            request,
            steps: self.steps.clone(),
            attempts: self.attempts.clone(),
        }
    }

    /// Whether there were so many steps or tries that their lists were allocated.
    #[cfg(test)]
    pub(super) fn spilled(&self) -> (bool, bool) {
        (self.steps.spilled(), self.attempts.spilled())
    }

    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.started)
    }
}

/// As much of a text as is told: callers may make up names of any length.
pub(super) fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default()
}

/// How a request ends whose last try ended so.
fn ended(attempt: &Attempt) -> Outcome {
    match attempt.result {
        AttemptResult::Ok => Outcome::Ok,
        AttemptResult::Cancelled => Outcome::CallerLeft,
        AttemptResult::Refused if attempt.status.is_some_and(|status| !matches!(status, 401..=403)) => {
            Outcome::CallerError
        }
        AttemptResult::Starved => Outcome::GatewayError,
        _ => Outcome::ProviderError,
    }
}
