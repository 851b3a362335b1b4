//! Traces as examples of the figures that their requests were counted in.

use super::Trace;
use crate::observe::OTHER;
use crate::observe::trail::Label;
use measure::metrics::{Examples, OfAttempts, OfRequests};
use std::sync::Arc;
use wire::operation::Operation;

/// What some traces' requests were counted in: of many traces that are of few routes and targets, each of those is
/// looked up once. Names are compared by where they are.
struct Counted<'a> {
    examples: &'a Examples,
    requests: Vec<(Route<'a>, OfRequests)>,
    attempts: Vec<(&'a Arc<Label>, OfAttempts)>,
}

/// What requests are counted by.
type Route<'a> = (Operation, Option<&'a Arc<str>>);

/// Tells of traces that the collector has to whatever their requests were counted in.
pub fn tell(traces: &[Trace], examples: &Examples) {
    let mut counted = Counted { examples, requests: Vec::new(), attempts: Vec::new() };
    traces.iter().for_each(|trace| counted.tell(trace));
}

impl<'a> Counted<'a> {
    fn tell(&mut self, trace: &'a Trace) {
        let (id, began) = (trace.context.trace_id, trace.began);
        if let Some(request) = &trace.request {
            let of = self.requests((trace.operation, request.route.as_ref()));
            of.note(id, began + request.total, (request.total, request.overhead));
        }
        for attempt in &trace.attempts {
            let of = self.attempts(&attempt.target);
            of.note(id, began + attempt.ended, attempt.ended.saturating_sub(attempt.began));
            if let Some(first_token) = attempt.first_token {
                of.first_token(id, began + attempt.began + first_token, first_token);
            }
        }
    }

    fn requests(&mut self, (operation, route): Route<'a>) -> &OfRequests {
        let place = |route: Option<&Arc<str>>| route.map(Arc::as_ptr);
        let is_it = |of: &Route<'_>| of.0 == operation && place(of.1) == place(route);
        let known = self.requests.iter().position(|(of, _)| is_it(of)).unwrap_or_else(|| {
            let found = self.examples.of_requests(operation.name(), route.map_or(OTHER, |route| &**route));
            self.requests.push(((operation, route), found));
            self.requests.len() - 1
        });
        &self.requests[known].1
    }

    fn attempts(&mut self, target: &'a Arc<Label>) -> &OfAttempts {
        let known = self.attempts.iter().position(|(of, _)| Arc::ptr_eq(of, target)).unwrap_or_else(|| {
            let (provider, model) = target.counted().split_once('/').unwrap_or((target.counted(), ""));
            self.attempts.push((target, self.examples.of_attempts(provider, model)));
            self.attempts.len() - 1
        });
        &self.attempts[known].1
    }
}
