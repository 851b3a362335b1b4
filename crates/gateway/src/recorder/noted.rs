//! What a record notes for its request's trace, where traces are recorded at all: moments and references, so that
//! it costs next to nothing where nothing is kept.

use super::Record;
use crate::auth::Caller;
use crate::remember::status::Status;
use crate::trace::{Answer, Request, StepKind};
use http::{HeaderValue, StatusCode};
use measure::metrics::Outcome;
use std::time::Instant;
use wire::failure::{Failure, Source};

impl Record {
    /// Who asks.
    pub fn asked_by(&mut self, caller: &Caller) {
        if let Some(notes) = &mut self.notes {
            notes.caller = Some(caller.clone());
        }
    }

    /// A step that began at `began` is over.
    pub fn step(&mut self, kind: StepKind, began: Instant) {
        if let Some(notes) = &mut self.notes {
            notes.step(kind, began, Instant::now());
        }
    }

    /// The `traceparent` for the attempt under way, where the request is recorded.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        self.notes.as_ref()?.traceparent()
    }

    /// The provider's answer has this status.
    pub fn responded(&mut self, status: StatusCode) {
        if let Some(notes) = &mut self.notes {
            notes.responded(status.as_u16());
        }
    }

    /// The model names itself, perhaps; asked only of what is recorded.
    pub fn names_itself(&mut self, model: impl FnOnce() -> Option<Box<str>>) {
        if let Some(notes) = &mut self.notes {
            notes.names_itself(model);
        }
    }

    /// What the caller is about to read.
    pub fn answers(&mut self, status: StatusCode, target: &HeaderValue, cache: Status, cost: Option<u64>) {
        if let Some(notes) = &mut self.notes {
            let (target, cache) = (Some(target.clone()), Some(cache.header()));
            notes.answer = Answer { status: status.as_u16(), target, cache, cost, error: None };
        }
    }

    /// The caller is about to read why there is no answer.
    pub fn fails(&mut self, failure: &Failure) {
        let Some(notes) = &mut self.notes else { return };
        notes.answer.status = failure.kind().status();
        // What only its caller did wrong is not kept for that.
        if notes.is_sampled() || failure.source() != Source::Caller {
            notes.answer.error = Some(failure.code().unwrap_or(failure.kind().name()).into());
        }
    }

    /// Hands over what was noted, where it is to be kept. `None`: of no request, but of work behind it.
    pub(super) fn hand_over(&mut self, outcome: Option<Outcome>, now: Instant) {
        let Some(notes) = self.notes.take() else { return };
        let request = |outcome| Request {
            id: String::from_utf8_lossy(self.id().as_bytes()).into_owned(),
            total: self.stopwatch.total(now),
            overhead: self.stopwatch.overhead(now),
            attempts: self.attempts(),
            ..notes.request(outcome)
        };
        notes.end(outcome, self.operation(), now, || outcome.map(request));
    }
}
