//! What is remembered of a request: one [`Record`] that travels with it from its first byte. A whole
//! answer closes it when it is handed over; a stream takes it along and closes it at its end. Wherever
//! it is dropped before, it closes itself.
//!
//! Closing is a handful of increments on handles resolved beforehand. Nothing here waits, and a
//! record that is dropped is a caller who left.

use crate::plan::{Plan, Route};
use http::HeaderValue;
use measure::metrics::{AttemptResult, Outcome, TargetMetrics};
use measure::stopwatch::Stopwatch;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::{Failure, Kind, Source};
use wire::openai::Usage;
use wire::operation::Operation;

/// One request's record.
pub struct Record {
    /// The request's id, as the caller reads it and the provider was told.
    pub id: HeaderValue,
    operation: Operation,
    stopwatch: Stopwatch,
    route: Arc<Route>,
    target: Option<Arc<TargetMetrics>>,
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
            attempts: 0,
            attempt: None,
            open: true,
        })
    }

    /// The record of a flight: its attempts are counted, and no request, as those have records of their
    /// own.
    pub fn of_flight(&self, plan: &Plan) -> Box<Self> {
        Self::of_errand(self.id.clone(), self.operation, plan)
    }

    /// The record of a call that no request made.
    pub fn of_errand(id: HeaderValue, operation: Operation, plan: &Plan) -> Box<Self> {
        Box::new(Self {
            id,
            operation,
            stopwatch: Stopwatch::start(Instant::now()),
            route: Arc::clone(&plan.route),
            target: Some(Arc::clone(&plan.target.metrics)),
            attempts: 0,
            attempt: None,
            open: false,
        })
    }

    /// The model is known.
    pub fn planned(&mut self, plan: &Plan) {
        self.route = Arc::clone(&plan.route);
    }

    /// This request itself will ask the target.
    pub fn targets(&mut self, plan: &Plan) {
        self.target = Some(Arc::clone(&plan.target.metrics));
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

    /// A provider is asked.
    pub fn attempt_begins(&mut self, now: Instant) {
        self.attempts += 1;
        self.attempt = Some(now);
        self.stopwatch.upstream_begins(now);
    }

    /// The first content token of a stream is here.
    pub fn first_token(&self, now: Instant) {
        if let (Some(target), Some(began)) = (&self.target, self.attempt) {
            target.first_token(now.saturating_duration_since(began));
        }
    }

    /// The provider's answer has ended, well or not.
    pub fn attempt_ends(&mut self, result: AttemptResult, now: Instant) {
        if self.attempt.take().is_some() {
            self.stopwatch.upstream_ends(now);
            if let Some(target) = &self.target {
                target.attempted(result);
            }
        }
    }

    /// The provider says what was used.
    pub fn used(&self, usage: &Usage) {
        if let Some(target) = &self.target {
            target.used(usage.input, usage.output, usage.cached_input);
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
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.open || self.attempt.is_some() {
            let now = Instant::now();
            self.attempt_ends(AttemptResult::Cancelled, now);
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
