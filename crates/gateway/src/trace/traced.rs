//! What a request keeps for its trace beside its account: its place in it, and the few things that are told nowhere
//! else. At its end account and this become its trace, where that is to be kept; text is made of it elsewhere.

use super::context::{Context, new_span_id};
use super::{Attempt, Request, Step, StepKind, Trace, Tracer};
use crate::observe::trail::{self, Came, Mark, Micros, Trail};
use crate::observe::{Account, Id, Role};
use http::{HeaderMap, HeaderValue};
use measure::metrics::{AttemptResult, Outcome};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wire::failure::{Failure, Source};
use wire::openai::Usage;

/// A turn that comes sooner has come at once. Most turns do, and those who store traces charge by the span.
const AT_ONCE: Duration = Duration::from_micros(100);

/// Kept for a trace.
#[derive(Debug)]
pub struct Traced {
    tracer: Arc<Tracer>,
    context: Context,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Who answered, as the caller reads it.
    pub target: Option<HeaderValue>,
    /// What the provider says was used.
    pub usage: Option<Usage>,
    /// Why there is no answer, in one word of few.
    error: Option<Box<str>>,
    /// The model as the provider names it.
    response_model: Option<Id>,
}

impl Traced {
    /// Of a request with this head.
    #[must_use]
    pub fn begin(tracer: &Arc<Tracer>, headers: &HeaderMap) -> Self {
        Self::at(tracer, tracer.begin(headers))
    }

    fn at(tracer: &Arc<Tracer>, context: Context) -> Self {
        Self {
            tracer: Arc::clone(tracer),
            context,
            stream: false,
            target: None,
            usage: None,
            error: None,
            response_model: None,
        }
    }

    /// Of work that is done for this request beside it: its spans hang beneath this one's.
    #[must_use]
    pub fn beside(&self) -> Self {
        let mut beside = Self::at(&self.tracer, self.context);
        beside.stream = self.stream;
        beside
    }

    /// What was done beside it is what was done: its answer is the request's.
    pub fn goes_on_as(&mut self, beside: &mut Self) {
        self.usage = beside.usage.or(self.usage);
        self.response_model = beside.response_model.take().or(self.response_model.take());
    }

    /// Whether its caller named no trace that it is part of.
    #[must_use]
    pub fn begins_here(&self) -> bool {
        self.context.parent == 0
    }

    /// The header for the try whose span this is, where the request is recorded whatever becomes of it.
    #[must_use]
    pub fn traceparent(&self, span_id: u64) -> Option<HeaderValue> {
        self.context.is_sampled().then(|| self.context.traceparent(span_id))?
    }

    /// The model names itself, perhaps. Asked only of what is recorded whatever becomes of it.
    pub fn names_itself<'m>(&mut self, model: impl FnOnce() -> Option<Cow<'m, str>>) {
        if self.context.is_sampled() {
            self.response_model = model().map(|model| Id::from(&*model));
        }
    }

    /// The caller reads why there is no answer. What only it did wrong is not kept for that.
    pub fn fails(&mut self, failure: &Failure) {
        if self.context.is_sampled() || failure.source() != Source::Caller {
            self.error = Some(failure.code().unwrap_or(failure.kind().name()).into());
        }
    }

    /// Hands over what there is to tell of `account`, which is over, where it is to be kept.
    pub fn end(&self, account: &Account) {
        let (outcome, total) = match account.role {
            Role::Request => (account.outcome, account.total.after()),
            Role::Errand => (outcome_of(&account.trail), account.trail.began().elapsed()),
        };
        if self.tracer.sampler.keeps(&self.context, outcome, total) && decides(account) {
            let trace = self.trace(account);
            if trace.request.is_some() || !(trace.attempts.is_empty() && trace.steps.is_empty()) {
                self.tracer.inlet.offer(trace);
            }
        }
    }

    /// All of it, as it is exported.
    pub(super) fn trace(&self, account: &Account) -> Trace {
        let ago = account.trail.began().elapsed();
        Trace {
            context: self.context,
            began: SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH),
            operation: account.operation,
            request: (account.role == Role::Request).then(|| self.request(account)),
            steps: steps(account),
            attempts: self.attempts(&account.trail, ago),
        }
    }

    fn request(&self, account: &Account) -> Request {
        Request {
            id: account.id.clone(),
            route: account.route.clone(),
            is_alias: account.is_alias,
            first_target: account.trail.attempts().first().map(|attempt| Arc::clone(&attempt.target)),
            https: self.tracer.https,
            stream: self.stream,
            total: account.total.after(),
            overhead: account.overhead.after(),
            first_token: account.trail.passed(Mark::FirstToken).map(Micros::after),
            status: Some(account.status).filter(|status| *status != 0),
            outcome: account.outcome,
            error: self.error.clone(),
            cache: account.cache,
            target: self.target.clone(),
            attempts: account.trail.made(),
            usage: self.usage,
            cost_micro_usd: account.cost_micro_usd.map(u64::from),
            who: account.who.clone(),
        }
    }

    /// Those of its own, as they began; what others did for it among others is told by their traces.
    fn attempts(&self, trail: &Trail, now: Duration) -> SmallVec<[Attempt; 1]> {
        let answered = Trail::answered(trail.own());
        let told = |attempt: &trail::Attempt| {
            let began = attempt.began().unwrap_or(Micros::ZERO).after();
            let is_it = answered.is_some_and(|answered| std::ptr::eq(answered, attempt));
            Attempt {
                span_id: attempt.span_id,
                target: Arc::clone(&attempt.target),
                stream: self.stream,
                began,
                ended: attempt.ended().map_or(now, Micros::after),
                result: result(attempt.came),
                status: Some(attempt.status).filter(|status| *status != 0),
                first_token: attempt.first_token().map(|at| at.after().saturating_sub(began)),
                usage: self.usage.filter(|_| is_it),
                response_model: self.response_model.as_ref().filter(|_| is_it).cloned(),
            }
        };
        let mut attempts: SmallVec<[Attempt; 1]> = trail.own().map(told).collect();
        attempts.sort_by_key(|attempt| attempt.began);
        attempts
    }
}

/// A try's span, where the request is traced; else 0.
#[must_use]
pub fn span_id(traced: Option<&Traced>) -> u64 {
    traced.map_or(0, |_| new_span_id())
}

/// Whoever is nobody's caller does not decide what is recorded.
fn decides(account: &Account) -> bool {
    account.outcome != Outcome::CallerError || account.trail.passed(Mark::Identified).is_some()
}

/// What it waited for: a turn that came at once is no wait. The tiers are looked at by flights, for all who wait for them.
fn steps(account: &Account) -> SmallVec<[Step; 2]> {
    let trail = &account.trail;
    let step = |kind, began: Micros, ended: Micros| Step { kind, began: began.after(), ended: ended.after() };
    let memory = trail.passed(Mark::Planned).zip(trail.passed(Mark::Remembered));
    let tiers = trail.passed(Mark::Looked).max(trail.passed(Mark::Compared));
    let tiers = tiers.filter(|_| account.role == Role::Errand);
    let own = trail.attempts().iter().filter(|attempt| !attempt.borrowed);
    let queues = own.filter_map(|attempt| attempt.turned().zip(attempt.began().or(attempt.ended())));
    let queues = queues.filter(|(from, to)| to.past(*from).after() >= AT_ONCE);
    let memory = memory.map(|(from, to)| step(StepKind::Cache, from, to));
    let tiers = tiers.map(|to| step(StepKind::Tiers, Micros::ZERO, to));
    memory.into_iter().chain(tiers).chain(queues.map(|(from, to)| step(StepKind::Queue, from, to))).collect()
}

fn result(came: Came) -> AttemptResult {
    match came {
        Came::Ended(result) => result,
        Came::Given => AttemptResult::Ok,
        Came::UnderWay | Came::Closed(_) => AttemptResult::Cancelled,
    }
}

/// How work ends whose last try ended so. Those at which nobody was asked are no part of it.
fn outcome_of(trail: &Trail) -> Outcome {
    let answered = Trail::answered(trail.own());
    answered.map_or(Outcome::Ok, |attempt| attempt.outcome().unwrap_or(Outcome::CallerLeft))
}
