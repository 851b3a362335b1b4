//! What is remembered of a request: one [`Record`] that travels with it from its first byte. A whole
//! answer closes it when it is handed over; a stream takes it along and closes it at its end. Wherever
//! it is dropped before, it closes itself.
//!
//! Closing is a handful of increments on handles resolved beforehand. Nothing here waits, and a
//! record that is dropped is a caller who left.

use crate::ending::Ending;
use crate::limits::{Denied, Granted, Levels, Measure};
use crate::plan::{Plan, Route, Target};
use crate::protect::Lease;
use http::HeaderValue;
use measure::metrics::{Outcome, TargetMetrics};
use measure::stopwatch::Stopwatch;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::{Failure, Kind, Retry, Source};
use wire::openai::Usage;
use wire::operation::Operation;

/// One request's record.
pub struct Record {
    /// The request's id, as the caller reads it and the provider was told.
    pub id: HeaderValue,
    operation: Operation,
    stopwatch: Stopwatch,
    route: Arc<Route>,
    /// Where the attempt under way is counted.
    target: Option<Arc<TargetMetrics>>,
    /// The right to the attempt under way.
    lease: Option<Lease>,
    /// What the caller was granted.
    granted: Option<Box<Granted>>,
    /// How the caller stands with its limits.
    levels: Option<Levels>,
    /// Tokens that were used for it, once that is known.
    tokens: Option<u64>,
    attempts: u32,
    /// When the attempt under way began.
    attempt: Option<Instant>,
    open: bool,
}

impl Record {
    /// A request has arrived. It is counted under `route` until its model is known.
    pub fn begin(id: HeaderValue, operation: Operation, route: Arc<Route>, now: Instant) -> Box<Self> {
        route.of(operation).begins();
        let stopwatch = Stopwatch::start(now);
        Box::new(Self {
            id,
            operation,
            stopwatch,
            route,
            target: None,
            lease: None,
            granted: None,
            levels: None,
            tokens: None,
            attempts: 0,
            attempt: None,
            open: true,
        })
    }

    /// The record of a flight: its attempts are counted, and no request, as those have records of their
    /// own.
    pub fn of_flight(&self, plan: &Plan) -> Box<Self> {
        Self::of_errand(self.id.clone(), self.operation, Arc::clone(&plan.route))
    }

    /// The record of an attempt that is made beside this one's.
    pub fn aside(&self) -> Box<Self> {
        Self::of_errand(self.id.clone(), self.operation, Arc::clone(&self.route))
    }

    /// The record of a call that no request made.
    pub fn of_errand(id: HeaderValue, operation: Operation, route: Arc<Route>) -> Box<Self> {
        Box::new(Self {
            id,
            operation,
            stopwatch: Stopwatch::start(Instant::now()),
            route,
            target: None,
            lease: None,
            granted: None,
            levels: None,
            tokens: None,
            attempts: 0,
            attempt: None,
            open: false,
        })
    }

    /// The model is known.
    pub fn planned(&mut self, plan: &Plan) {
        self.route = Arc::clone(&plan.route);
    }

    /// Others' attempts are waited for from here on: that is no time of ours.
    pub fn waits(&mut self, now: Instant) {
        self.attempt = Some(now);
        self.stopwatch.upstream_begins(now);
    }

    /// They are waited for no longer.
    pub fn waited(&mut self, now: Instant) {
        if self.attempt.take().is_some() {
            self.stopwatch.upstream_ends(now);
        }
    }

    /// So many tries were made for this request.
    pub fn attempted(&mut self, attempts: u32) {
        self.attempts = attempts;
    }

    /// `target` is asked, by right of `lease`.
    pub fn attempt_begins(&mut self, target: &Target, lease: Lease, now: Instant) {
        self.target = Some(Arc::clone(&target.metrics));
        self.lease = Some(lease);
        self.attempts += 1;
        self.attempt = Some(now);
        self.stopwatch.upstream_begins(now);
    }

    /// The first content token of a stream is here.
    pub fn first_token(&mut self, now: Instant) {
        if let (Some(target), Some(began)) = (&self.target, self.attempt) {
            let delay = now.saturating_duration_since(began);
            target.first_token(delay);
            if let Some(lease) = &mut self.lease {
                lease.first_token(delay, now);
            }
        }
    }

    /// The provider's answer has ended, well or not.
    pub fn attempt_ends(&mut self, ending: &Ending, now: Instant) {
        if self.attempt.take().is_some() {
            self.stopwatch.upstream_ends(now);
            self.attempt_is_over(ending, now);
        }
    }

    fn attempt_is_over(&mut self, ending: &Ending, now: Instant) {
        if let Some(target) = &self.target {
            target.attempted(ending.result);
        }
        if let Some(lease) = self.lease.take() {
            lease.settle(ending, now);
        }
    }

    /// An attempt that was made aside is this request's now: its own was slower and is called off.
    pub fn adopt(&mut self, mut aside: Box<Self>) {
        let now = Instant::now();
        self.attempts += aside.attempts;
        if self.attempt.is_some() {
            self.attempt_is_over(&Ending::CANCELLED, now);
        }
        self.target = aside.target.take();
        self.lease = aside.lease.take();
        // The watch has run since the first of the two began.
        match aside.attempt.take() {
            Some(began) => self.attempt = Some(began),
            None if self.attempt.take().is_some() => self.stopwatch.upstream_ends(now),
            None => {}
        }
    }

    /// An attempt that was made aside came second: it is called off.
    pub fn dismiss(&mut self, aside: Box<Self>) {
        self.attempts += aside.attempts;
        drop(aside);
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
        self.tokens = Some(usage.input.saturating_add(usage.output));
        if let Some(target) = &self.target {
            target.used(usage.input, usage.output, usage.cached_input);
        }
        if let Some(lease) = &mut self.lease {
            lease.used(usage);
        }
    }

    /// Tries made so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
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
            let metrics = self.route.of(self.operation);
            metrics.ends(outcome, self.stopwatch.total(now), self.stopwatch.overhead(now));
            self.settle(outcome, now);
        }
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
