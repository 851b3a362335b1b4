//! What is remembered of a request: one [`Record`] that travels with it from its first byte. A whole
//! answer closes it when it is handed over; a stream takes it along and closes it at its end. Wherever
//! it is dropped before, it closes itself.
//!
//! Closing is a handful of increments on handles resolved beforehand, adding to the worker's sheet of what callers
//! use, and putting its [`Account`] on the worker's tray. Nothing here waits, and a record that is dropped is a caller
//! who left. What it is told of tries at providers is in `tries`.

mod traced;
mod tries;

use crate::advice::Fingerprint;
use crate::auth::{Caller, Principal};
use crate::ending::Ending;
use crate::limits::{Denied, Granted, Levels, Measure};
use crate::observe::trail::Mark;
use crate::observe::{Account, Id, Role};
use crate::plan::{Plan, Route, Target};
use crate::protect::Lease;
use crate::remember::part::Spent;
use crate::remember::status::Status;
use crate::trace::Traced;
use http::{HeaderValue, StatusCode};
use measure::metrics::Outcome;
use measure::stopwatch::Stopwatch;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::{Failure, Kind, Retry, Source};
use wire::openai::Usage;
use wire::operation::Operation;

/// One request's record.
pub struct Record {
    /// Its id as it is sent on; the account has one that is kept.
    id: HeaderValue,
    /// What there will be to tell of it.
    account: Account,
    /// What is kept for its trace, until that is handed over.
    traced: Option<Traced>,
    stopwatch: Stopwatch,
    route: Arc<Route>,
    /// Who is asked by the attempt under way.
    target: Option<Arc<Target>>,
    /// The right to the attempt under way.
    lease: Option<Lease>,
    /// What the caller was granted.
    granted: Option<Box<Granted>>,
    /// How the caller stands with its limits.
    levels: Option<Levels>,
    /// Tokens that were used for it, once that is known.
    tokens: Option<u64>,
    /// When the attempt under way began.
    attempt: Option<Instant>,
    open: bool,
}

impl Record {
    /// A request has arrived. It is counted under `route` until its model is known; `traced` is what is kept for its
    /// trace, where traces are recorded.
    pub fn begin(
        id: HeaderValue,
        operation: Operation,
        route: Arc<Route>,
        traced: Option<Traced>,
        now: Instant,
    ) -> Box<Self> {
        route.of(operation).begins();
        let account = Account::new(Id::from(&id), operation, Role::Request, now);
        Self::new(id, account, traced, route)
    }

    /// The record of a flight: its attempts are counted and what they use, and no request, as those have records of
    /// their own. What it uses is this one's caller's to pay, whoever else waits for it and though this one leave.
    pub fn of_flight(&self, plan: &Plan) -> Box<Self> {
        let mut record = self.behind(Arc::clone(&plan.route))();
        (record.account.who, record.account.is_alias) = (self.account.who.clone(), plan.alias.is_some());
        record
    }

    /// The record of what a flight has used for one of several who wait for it, and who has left.
    pub fn of_share(&self, plan: &Plan, who: Option<Arc<Principal>>) -> Box<Self> {
        let mut record = self.of_flight(plan);
        record.account.who = who;
        record
    }

    /// What makes the record of an attempt beside this one's, should one be made. What it uses is paid by whoever
    /// takes the answer.
    pub fn aside(&self) -> impl FnOnce() -> Box<Self> + use<> {
        let behind = self.behind(Arc::clone(&self.route));
        move || {
            let mut record = behind();
            record.account.pays = false;
            record
        }
    }

    /// What makes the record of work that is done for this request and is not one.
    fn behind(&self, route: Arc<Route>) -> impl FnOnce() -> Box<Self> + use<> {
        let (id, operation) = (self.id().clone(), self.operation());
        let is_alias = self.account.is_alias;
        let traced = self.traced.as_ref().map(Traced::beside);
        move || {
            let mut record = Self::of_errand(id, operation, route, None);
            (record.account.is_alias, record.traced) = (is_alias, traced);
            record
        }
    }

    /// The record of a call that no request made, on behalf of `who`.
    pub fn of_errand(
        id: HeaderValue,
        operation: Operation,
        route: Arc<Route>,
        who: Option<Arc<Principal>>,
    ) -> Box<Self> {
        let mut account = Account::new(Id::from(&id), operation, Role::Errand, Instant::now());
        (account.route, account.who) = (Some(Arc::clone(&route.name)), who);
        Self::new(id, account, None, route)
    }

    fn new(id: HeaderValue, account: Account, traced: Option<Traced>, route: Arc<Route>) -> Box<Self> {
        Box::new(Self {
            id,
            stopwatch: Stopwatch::start(account.trail.began()),
            open: account.role == Role::Request,
            account,
            traced,
            route,
            target: None,
            lease: None,
            granted: None,
            levels: None,
            tokens: None,
            attempt: None,
        })
    }

    /// The request's id, as the caller reads it and the provider was told.
    pub fn id(&self) -> &HeaderValue {
        &self.id
    }

    fn operation(&self) -> Operation {
        self.account.operation
    }

    /// The request passes a moment.
    pub fn passes(&mut self, mark: Mark, now: Instant) {
        self.account.trail.passes(mark, now);
    }

    /// It is known who calls.
    pub fn identified(&mut self, caller: &Caller, now: Instant) {
        self.account.who = caller.holder().cloned();
        self.passes(Mark::Identified, now);
    }

    /// This model was asked for in vain.
    pub fn asked_in_vain(&mut self, model: &str) {
        self.account.asked_in_vain(model);
    }

    /// The model is known, and whether a stream is asked for.
    pub fn planned(&mut self, plan: &Plan, stream: bool) {
        self.route = Arc::clone(&plan.route);
        self.account.route = Some(Arc::clone(&plan.route.name));
        self.account.is_alias = plan.alias.is_some();
        if let Some(traced) = &mut self.traced {
            traced.stream = stream;
        }
    }

    /// Whether anybody looks at what becomes of it.
    pub fn is_seen(&self) -> bool {
        self.route.tray.is_wanted()
    }

    /// What advice goes by: what tells the question from others, and how long its answer may be.
    pub fn asks(&mut self, question: Option<Fingerprint>, tokens_max: Option<u32>) {
        self.account.question = question.map(|question| question.bits);
        self.account.sampled = question.is_some_and(|question| question.sampled);
        self.account.max_tokens = tokens_max.unwrap_or(0);
    }

    /// The caller's limits allow it; what is used of them is settled at the end.
    pub fn granted(&mut self, granted: Granted) {
        self.levels = Some(*granted.levels());
        self.granted = Some(Box::new(granted));
    }

    /// The caller's limits do not allow it: what the caller is told.
    pub fn denied(&mut self, denied: &Denied) -> Failure {
        self.levels = Some(denied.levels);
        let code = match denied.measure {
            Measure::Tokens => "tokens_limit_exceeded",
            Measure::Requests => "requests_limit_exceeded",
            Measure::ConcurrentRequests | Measure::ConcurrentStreams => "concurrency_limit_exceeded",
        };
        Failure::new(Kind::RateLimited, format!("Rate limit reached: {denied}."))
            .with_code(code)
            .with_retry(Retry::After(denied.after))
    }

    /// Who called, where callers have keys.
    pub fn who(&self) -> Option<&Arc<Principal>> {
        self.account.who.as_ref()
    }

    /// How the caller stands with its limits.
    pub fn levels(&self) -> Option<&Levels> {
        self.levels.as_ref()
    }

    /// So many tokens were used for this request: none where somebody else's call answered it.
    pub fn tokens(&mut self, tokens: u64) {
        self.tokens = Some(tokens);
    }

    /// The provider says what was used.
    pub fn used(&mut self, usage: &Usage) {
        let cost = self.target.as_ref().and_then(|target| target.cost(Some(usage)));
        self.spent(&Spent { usage: *usage, cost });
        if let Some(target) = &self.target {
            target.metrics.used(usage.input, usage.output, usage.cached_input);
        }
        if let Some(lease) = &mut self.lease {
            lease.used(usage);
        }
        if let Some(traced) = &mut self.traced {
            traced.usage = Some(*usage);
        }
    }

    /// So much was used for this request, and is counted already where the provider was asked.
    pub fn spent(&mut self, spent: &Spent) {
        self.tokens = Some(spent.usage.input.saturating_add(spent.usage.output));
        self.account.used(&spent.usage, spent.cost);
        self.pay();
    }

    /// Adds what a call has used for several or for none; a request's is added at its end.
    fn pay(&self) {
        if self.account.role == Role::Errand && self.account.pays {
            self.route.sheet.note(&self.route.name, &self.account);
        }
    }

    /// A flight has used so much for this request: that counts for the caller's limits, and is paid by the flight.
    pub fn flown(&mut self, spent: &Spent) {
        self.spent(spent);
        self.account.pays = false;
    }

    /// Tries made so far.
    pub fn attempts(&self) -> u32 {
        self.account.trail.made()
    }

    /// The answer's head is handed over.
    pub fn answered(&mut self, status: StatusCode, cache: Status, stream: bool, now: Instant) {
        self.passes(Mark::Answered, now);
        self.account.status = status.as_u16();
        (self.account.cache, self.account.stream) = (Some(cache), stream);
    }

    /// Closes the record: it failed.
    pub fn fail(&mut self, failure: &Failure, now: Instant) {
        let kind = failure.kind();
        self.account.fault = Some(kind);
        if self.account.status == 0 {
            self.account.status = kind.status();
        }
        if let Some(traced) = &mut self.traced {
            traced.fails(failure);
        }
        self.end(outcome_of(failure), now);
    }

    /// When the request arrived.
    pub fn started(&self) -> Instant {
        self.stopwatch.started()
    }

    /// Time since the request arrived.
    pub fn total(&self, now: Instant) -> Duration {
        self.stopwatch.total(now)
    }

    /// Our own time so far.
    pub fn overhead(&self, now: Instant) -> Duration {
        self.stopwatch.overhead(now)
    }

    /// Closes the record: the answer has left, or the last of it is known.
    pub fn end(&mut self, outcome: Outcome, now: Instant) {
        if std::mem::replace(&mut self.open, false) {
            let metrics = self.route.of(self.operation());
            let (total, overhead) = (self.stopwatch.total(now), self.stopwatch.overhead(now));
            match self.account.trail.is_given() {
                true => metrics.ends_untimed(outcome),
                false => metrics.ends(outcome, total, overhead),
            }
            self.settle(outcome, now);
            self.account.ends(outcome, total, overhead);
            self.hand_over_trace();
            self.route.sheet.note(&self.route.name, &self.account);
            self.tell();
        }
    }

    /// Puts down what there is to tell.
    fn tell(&mut self) {
        self.route.tray.put(|| self.account.take());
    }
}

impl Record {
    /// Settles what the caller was granted. Where nobody says what a good answer cost, or the caller left before
    /// that was known, what was reserved stays taken.
    fn settle(&mut self, outcome: Outcome, now: Instant) {
        let Some(granted) = self.granted.take() else { return };
        match (self.tokens, outcome) {
            (Some(tokens), _) => granted.settle(tokens, now),
            (None, Outcome::Ok | Outcome::CallerLeft) => drop(granted),
            (None, _) => granted.settle(0, now),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.open || self.attempt.is_some() {
            let now = Instant::now();
            self.attempt_ends(&Ending::CANCELLED, now);
            self.end(Outcome::CallerLeft, now);
        }
        self.hand_over_trace();
        // Of a flight and an errand there are only tries to be told, and what they used.
        let is_telling = !self.account.trail.attempts().is_empty() || self.tokens.is_some();
        if self.account.role == Role::Errand && is_telling {
            self.tell();
        }
    }
}

/// How a request that fails this way is counted.
pub fn outcome_of(failure: &Failure) -> Outcome {
    match (failure.kind(), failure.source()) {
        (Kind::CallerLeft, _) => Outcome::CallerLeft,
        (_, Source::Caller) => Outcome::CallerError,
        (_, Source::Gateway) => Outcome::GatewayError,
        (_, Source::Provider) => Outcome::ProviderError,
    }
}
