//! The tries of one inquiry: whom to ask, whom to ask instead, when to ask again, and when to give up. It is
//! the only place that tries twice, so that tries never multiply.
//!
//! ```text
//! targets in order ─► lease (breaker, limiter, queue) ─► ask ─► the answer's first byte
//!        ▲                │ closed                        │ failed
//!        └────────────────┴── another try may help, does no harm, and is within the budget
//! ```
//!
//! All of it comes before the first byte to the caller. What fails after that is the end of a stream, and no
//! business of this module.

mod given;
mod hedge;
mod tries;

use crate::alarm::Alarm;
use crate::attempt::{Broken, Sent, Whole};
use crate::config;
use crate::gateway::Shared;
use crate::inquiry::Inquiry;
use crate::limits::{Granted, Subject};
use crate::plan::{Plan, Target, Targets};
use crate::protect::{Closed, Lease, Protection, Reason, Wish};
use crate::recorder::Record;
use crate::relay::Relayed;
use crate::snapshot::Snapshot;
use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use guard::retry::Backoff;
use std::sync::Arc;
use std::time::Instant;
use tries::{Step, Tries};
use wire::failure::Failure;
use wire::operation::Operation;

/// An answer that has begun: nothing of it has been passed on, and nobody else will be asked.
pub struct Reached {
    /// Who gave it.
    pub target: Arc<Target>,
    /// What it is.
    pub opened: Opened,
}

/// The beginning of an answer.
pub enum Opened {
    /// A fault of the request, in the provider's own words.
    Refusal(StatusCode, Bytes),
    /// All of it.
    Whole(Whole),
    /// A stream whose first frame is here, behind the provider's own head.
    Stream(HeaderMap, Box<Relayed>),
}

/// What an inquiry is dispatched with.
#[derive(Clone, Copy)]
pub struct Dispatch<'a> {
    /// The worker it is on.
    pub shared: &'a Shared,
    /// The configuration it goes by.
    pub snapshot: &'a Snapshot,
    /// What is asked.
    pub inquiry: &'a Inquiry,
}

/// Whom a plan leads to, in the order in which they are to be tried now.
pub fn order(snapshot: &Snapshot, plan: &Plan, operation: Operation, now: Instant) -> Targets {
    match plan.alias.as_ref().filter(|alias| alias.has_others()) {
        None => Targets::from_iter([Arc::clone(&plan.target)]),
        Some(alias) => alias.order(plan.draw, now, |target| {
            if !snapshot.config.guard.enabled {
                return (true, None);
            }
            let lane = snapshot.protection.lane(target, operation, now);
            (lane.is_open(now), Some(lane.load.clone()))
        }),
    }
}

impl Dispatch<'_> {
    /// Asks until there is an answer or no use in asking.
    ///
    /// # Errors
    /// What the last try failed of; or, where nobody could be asked, why.
    pub async fn open(self, mut alarm: Alarm, record: &mut Record) -> Result<Reached, Failure> {
        if let Some(answer) = &self.inquiry.given {
            return self.take(answer, record);
        }
        let mut now = Instant::now();
        let targets = self.targets(now);
        let mut tries = Tries::new(&targets, self.terms());
        while let Some(step) = tries.next() {
            if !step.pause.is_zero() {
                tokio::time::sleep(step.pause).await;
                now = Instant::now();
            }
            let Some(target) = targets.get(step.index) else { break };
            record.turns(now);
            match self.lease(target, &step, &mut alarm, now).await {
                Err(closed) => {
                    now = Instant::now();
                    record.turned_away(target, &closed, now);
                    tries.closed(closed);
                }
                Ok(lease) => match self.ask(&targets, &step, lease, &mut alarm, record).await {
                    Ok(reached) => return Ok(reached),
                    Err(broken) => {
                        now = Instant::now();
                        self.weigh(&mut tries, &step, broken, now);
                    }
                },
            }
        }
        Err(tries.give_up())
    }

    /// Who is asked first instead of the first choice, where that is out of order.
    pub fn stand_in(self) -> Option<Arc<Target>> {
        let first = &self.inquiry.plan.target;
        let now = Instant::now();
        if !self.guard().enabled || self.protection().is_open(first, self.inquiry.operation, now) {
            return None;
        }
        self.targets(now).into_iter().next().filter(|target| !Arc::ptr_eq(target, first))
    }

    /// Who is asked, in this order.
    fn targets(&self, now: Instant) -> Targets {
        order(self.snapshot, &self.inquiry.plan, self.inquiry.operation, now)
    }

    fn terms(&self) -> tries::Terms {
        let guard = self.guard();
        let alias = self.inquiry.plan.alias.as_ref().map(|alias| alias.retry);
        let (tries, accepted) = match alias {
            Some(alias) => (alias.tries, alias.accepted),
            None => (guard.retry.tries, guard.retry.accepted),
        };
        tries::Terms {
            tries: if guard.enabled { tries } else { 1 },
            // To embed a text twice has no effect but its price.
            accepted: accepted || self.inquiry.operation.is_idempotent(),
            backoff: Backoff { base: guard.retry.backoff, max: guard.retry.backoff_max },
            wait_max: guard.retry.wait_max,
        }
    }

    /// The right to ask `target`, asked for at `now`.
    async fn lease(
        &self,
        target: &Target,
        step: &Step,
        alarm: &mut Alarm,
        now: Instant,
    ) -> Result<Lease, Closed> {
        let granted = self.provider_grants(target, now).await?;
        if !self.guard().enabled {
            return Ok(Lease::unguarded().granted(granted));
        }
        let wish = Wish {
            target,
            operation: self.inquiry.operation,
            ticket: self.inquiry.ticket(target),
            first: step.first,
            last: step.last,
        };
        match self.protection().lease(wish, alarm, now).await {
            Ok(lease) => Ok(lease.granted(granted)),
            Err(closed) => {
                if let Some(granted) = granted {
                    granted.refund(Instant::now());
                }
                Err(closed)
            }
        }
    }

    /// What the provider's own limits allow, where it has any.
    async fn provider_grants(&self, target: &Target, now: Instant) -> Result<Option<Box<Granted>>, Closed> {
        let Some(account) = &target.account else { return Ok(None) };
        let subject = Subject { provider: Some(account), stream: self.inquiry.stream, ..Subject::default() };
        let limits = &self.shared.gateway.limits;
        let granted = limits.admit(&subject, self.inquiry.standing.tokens, now).await;
        granted
            .map(|granted| Some(Box::new(granted)))
            .map_err(|denied| Closed { reason: Reason::Limit, after: denied.after })
    }

    /// One try, and where it is slow and that is wanted a second beside it.
    async fn ask(
        self,
        targets: &Targets,
        step: &Step,
        lease: Lease,
        alarm: &mut Alarm,
        record: &mut Record,
    ) -> Result<Reached, Broken> {
        let Some(target) = targets.get(step.index) else { return Err(Broken::nobody()) };
        let asked = match self.hedge_after(target) {
            // Boxed, as it is large and seldom.
            Some(after) if step.first => {
                let other = targets.get(step.index + 1).unwrap_or(target);
                Box::pin(self.ask_twice(target, other, after, lease, record)).await
            }
            _ => self.ask_once(target, lease, alarm, record).await,
        };
        self.count(target, step, asked.is_ok());
        asked
    }

    /// Counts a try that is not the first, or not at the first choice.
    fn count(&self, target: &Arc<Target>, step: &Step, answered: bool) {
        if !step.first {
            target.metrics.retried(answered);
        }
        if !Arc::ptr_eq(target, &self.inquiry.plan.target) {
            target.metrics.stood_in();
        }
    }

    async fn ask_once(
        self,
        target: &Arc<Target>,
        lease: Lease,
        alarm: &mut Alarm,
        record: &mut Record,
    ) -> Result<Reached, Broken> {
        let mut call = self.inquiry.call(target).map_err(Broken::ours)?;
        let attempt = self.inquiry.attempt(target, Instant::now());
        record.attempt_begins(target, lease, attempt.patience.began);
        if let Some(traceparent) = record.traceparent() {
            call.carried.traceparent = Some(traceparent);
        }
        let opened = match attempt.send(self.shared, &call, alarm, record).await? {
            Sent::Refusal(status, bytes) => Opened::Refusal(status, bytes),
            Sent::Answer(answer) if attempt.stream => {
                let alarm = std::mem::take(alarm);
                let (head, stream) = attempt.stream(self.shared, answer, alarm, record).await?;
                Opened::Stream(head, Box::new(stream))
            }
            Sent::Answer(answer) => Opened::Whole(attempt.whole(answer, alarm, record).await?),
        };
        Ok(Reached { target: Arc::clone(target), opened })
    }

    /// Whether a failed try is to be followed by another.
    fn weigh(&self, tries: &mut Tries, step: &Step, broken: Broken, now: Instant) {
        let deadline = self.inquiry.deadline(&self.inquiry.plan.target);
        let left = deadline.saturating_duration_since(now);
        let allowed = || self.protection().may_retry(&self.inquiry.plan.target, self.inquiry.operation, now);
        tries.failed(step, broken, left, fastrand::u64(..), allowed);
    }

    fn guard(&self) -> &config::Guard {
        &self.snapshot.config.guard
    }

    fn protection(&self) -> &Protection {
        &self.snapshot.protection
    }
}
