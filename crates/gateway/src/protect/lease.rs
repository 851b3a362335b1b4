//! The right to make one call, from before it is sent to the end of its answer.

use super::lane::{Lane, Passes};
use crate::ending::{Ending, Fault};
use crate::limits::Granted;
use guard::balance::InFlight;
use guard::breaker::Verdict;
use guard::gate::Permit;
use guard::limiter::Outcome;
use guard::pattern::Event;
use measure::metrics::AttemptResult;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::openai::Usage;

/// One call's lease. Dropped unsettled, it gives back what it holds and teaches nothing: whoever asked has
/// left.
pub struct Lease {
    /// What is held of the lane; nothing where targets are not protected.
    held: Option<Held>,
    /// What the provider's own limits granted: large, and few providers have any.
    granted: Option<Box<Granted>>,
    tokens: u64,
}

struct Held {
    lane: Arc<Lane>,
    passes: Passes,
    permit: Permit,
    load: InFlight,
    since: Instant,
    delay: Option<Duration>,
}

impl Lease {
    pub(super) fn new(lane: Arc<Lane>, passes: Passes, permit: Permit, now: Instant) -> Self {
        let load = lane.load.begin();
        let held = Held { lane, passes, permit, load, since: now, delay: None };
        Self { held: Some(held), ..Self::unguarded() }
    }

    /// Where nothing is protected.
    pub fn unguarded() -> Self {
        Self { held: None, granted: None, tokens: 0 }
    }

    /// With what the provider's own limits granted, if there are any.
    pub fn granted(self, granted: Option<Box<Granted>>) -> Self {
        Self { granted, ..self }
    }

    /// The first token has come, so long after the request was sent.
    pub fn first_token(&mut self, delay: Duration, now: Instant) {
        if let Some(held) = &mut self.held {
            held.delay = Some(delay);
            held.permit.began(delay, now);
            held.lane.delays.record(delay, now);
        }
    }

    /// The provider says what was used.
    pub fn used(&mut self, usage: &Usage) {
        self.tokens = usage.input.saturating_add(usage.output);
    }

    /// The call has ended.
    pub fn settle(self, ending: &Ending, now: Instant) {
        if ending.result == AttemptResult::Cancelled {
            return;
        }
        if ending.result == AttemptResult::Starved {
            // Nobody was asked: nothing was used, and nothing is learnt.
            if let Some(granted) = self.granted {
                granted.refund(now);
            }
            return;
        }
        if let Some(granted) = self.granted {
            granted.settle(self.tokens, now);
        }
        if let Some(held) = self.held {
            held.settle(ending, self.tokens, now);
        }
    }
}

impl Held {
    fn settle(self, ending: &Ending, tokens: u64, now: Instant) {
        let lane = &*self.lane;
        lane.seen.note(ending.fault, now);
        match ending.fault {
            Some(kind) => {
                let Lane { provider, credential, model, .. } = lane;
                lane.patterns.note(Event { provider, credential: *credential, model, kind }, now);
            }
            None => lane.patterns.succeeded(&lane.provider, lane.credential, &lane.model, now),
        }
        // Where the fault is here, nobody there is to be left alone for it.
        let here = ending.fault.is_some() && lane.patterns.is_local(now);
        let (account, own) = if here { (Verdict::Ignored, Verdict::Ignored) } else { verdicts(ending) };
        if ending.fault.is_some() && !here && lane.patterns.provider_is_down(&lane.provider, now) {
            lane.account.breaker.trip(now, None);
        }
        if let (Some(Fault::RateLimited | Fault::Overloaded), Some(after)) = (ending.fault, ending.after) {
            lane.rest.ask(after, now);
        }
        self.passes.0.settle(account, now);
        self.passes.1.settle(own, now);
        let took = now.saturating_duration_since(self.since);
        self.permit.finish(outcome(ending), tokens, now);
        self.load.end(self.delay.unwrap_or(took), now);
    }
}

/// What the credential's breaker learns of an ending, and what the target's.
fn verdicts(ending: &Ending) -> (Verdict, Verdict) {
    match ending.fault {
        None if ending.result == AttemptResult::Ok => (Verdict::Good, Verdict::Good),
        // It answered: the credential is good, and of the target a fault of the request says nothing.
        None => (Verdict::Good, Verdict::Ignored),
        Some(Fault::Credential | Fault::Quota) => (Verdict::Hard, Verdict::Ignored),
        Some(Fault::RateLimited | Fault::Overloaded) => {
            (Verdict::Ignored, Verdict::Soft { after: ending.after })
        }
        Some(_) => (Verdict::Ignored, Verdict::Hard),
    }
}

/// What the limiter learns of it.
fn outcome(ending: &Ending) -> Outcome {
    match ending.fault {
        None => Outcome::Good,
        Some(Fault::RateLimited | Fault::Overloaded | Fault::Timeout) => Outcome::Overload,
        Some(_) => Outcome::Failed,
    }
}
