//! What a record is told of the tries at providers: its own, and those that others make for it among others.

use super::Record;
use crate::ending::Ending;
use crate::observe::Account;
use crate::observe::trail::{Mark, Trail};
use crate::observe::tray::{Batch, Gaps};
use crate::plan::Target;
use crate::protect::{Closed, Lease};
use crate::trace;
use measure::metrics::AttemptResult;
use std::sync::Arc;
use std::time::Instant;

impl Record {
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

    /// What others did for this request among others, as far as they have come.
    pub fn borrows(&mut self, trail: &Trail) {
        self.account.trail.borrows(trail);
    }

    /// What others did for this request has ended.
    pub fn others_end(&mut self, result: AttemptResult, now: Instant) {
        self.account.trail.others_end(result, now);
    }

    /// Where it has been so far, for those on whose behalf it went there.
    pub fn trail(&self) -> &Trail {
        &self.account.trail
    }

    /// The right to ask a target is asked for.
    pub fn turns(&mut self, now: Instant) {
        self.account.trail.turns(now);
    }

    /// `target` is not to be asked.
    pub fn turned_away(&mut self, target: &Target, closed: &Closed, now: Instant) {
        self.account.trail.turned_away(&target.label, closed.reason, now);
    }

    /// `target` is asked, by right of `lease`.
    pub fn attempt_begins(&mut self, target: &Arc<Target>, lease: Lease, now: Instant) {
        let span_id = trace::span_id(self.traced.as_ref());
        self.account.trail.attempt_begins(&target.label, span_id, now);
        self.target = Some(Arc::clone(target));
        self.lease = Some(lease);
        self.attempt = Some(now);
        self.stopwatch.upstream_begins(now);
    }

    /// `target` has given the answer in a batch of its own: nobody is asked, and nothing takes any time.
    pub fn given(&mut self, target: &Arc<Target>, now: Instant) {
        let span_id = trace::span_id(self.traced.as_ref());
        self.account.trail.given(&target.label, span_id, now);
        self.target = Some(Arc::clone(target));
    }

    /// The first content token of a stream is here.
    pub fn first_token(&mut self, now: Instant) {
        self.passes(Mark::FirstToken, now);
        self.account.trail.first_token(now);
        if let (Some(target), Some(began)) = (&self.target, self.attempt) {
            let delay = now.saturating_duration_since(began);
            target.metrics.first_token(delay);
            if let Some(lease) = &mut self.lease {
                lease.first_token(delay, now);
            }
        }
    }

    /// The first content token of a stream that others have fetched is here, unless it was before.
    pub fn first_token_of_others(&mut self) {
        if self.account.trail.passed(Mark::FirstToken).is_none() {
            self.passes(Mark::FirstToken, Instant::now());
        }
    }

    /// So long was it between pieces of output.
    pub fn between_tokens(&self, micros: Batch) {
        let Account { route, who, is_alias, .. } = &self.account;
        let (route, who, is_alias) = (route.clone(), who.clone(), *is_alias);
        let target = self.target.as_ref().map(|target| Arc::clone(&target.label));
        self.route.tray.put_gaps(Gaps { route, is_alias, who, target, micros });
    }

    /// The provider's answer has ended, well or not.
    pub fn attempt_ends(&mut self, ending: &Ending, now: Instant) {
        if let Some(began) = self.attempt.take() {
            self.stopwatch.upstream_ends(now);
            self.attempt_is_over(began, ending, now);
        }
    }

    fn attempt_is_over(&mut self, began: Instant, ending: &Ending, now: Instant) {
        self.account.trail.attempt_ends(ending.result, now);
        if let Some(target) = &self.target {
            target.metrics.attempted(ending.result, now.saturating_duration_since(began));
        }
        if let Some(lease) = self.lease.take() {
            lease.settle(ending, now);
        }
    }

    /// An attempt that was made aside is this request's now: its own was slower and is called off.
    pub fn adopt(&mut self, mut aside: Box<Self>) {
        let now = Instant::now();
        if let Some(began) = self.attempt {
            self.attempt_is_over(began, &Ending::CANCELLED, now);
        }
        self.account.trail.goes_on_as(&mut aside.account.trail);
        if let (Some(own), Some(other)) = (&mut self.traced, &mut aside.traced) {
            own.goes_on_as(other);
        }
        if aside.tokens.is_some() {
            self.tokens = aside.tokens;
            self.account.adopts_use(&aside.account);
            self.pay();
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
    pub fn dismiss(&mut self, mut aside: Box<Self>) {
        aside.attempt_ends(&Ending::CANCELLED, Instant::now());
        self.account.trail.calls_off(&mut aside.account.trail);
    }
}
