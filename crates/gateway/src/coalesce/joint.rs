//! A joint call: several requests asked as one, and the answer parted among them.

use super::Outcome;
use super::gathering::{Departure, Member};
use crate::alarm::Alarm;
use crate::attempt::Whole;
use crate::dispatch::{Dispatch, Opened, Reached};
use crate::gateway::Shared;
use crate::inquiry::{Inquiry, Standing};
use crate::observe::trail::Trail;
use crate::plan::{Plan, Target};
use crate::recorder::Record;
use crate::remember::part::{Broken, Spent};
use crate::snapshot::Snapshot;
use crate::trace::Carried;
use ::http::HeaderValue;
use measure::metrics::Joined;
use std::sync::Arc;
use std::time::Duration;
use wire::failure::Failure;
use wire::openai::embeddings::{Share, join, split};
use wire::openai::{self, UsageChunk};
use wire::operation::Operation;

/// What the joint call has of whoever began it: all its own, as it outlives that request.
pub(super) struct Joint {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
    plan: Plan,
    request_id: HeaderValue,
    carried: Carried,
    /// Where the attempts are counted, and noted for the trace of whoever began it.
    record: Box<Record>,
}

impl Joint {
    pub(super) fn new(
        shared: &Arc<Shared>,
        snapshot: &Arc<Snapshot>,
        inquiry: &Inquiry,
        record: Box<Record>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            snapshot: Arc::clone(snapshot),
            plan: inquiry.plan.clone(),
            request_id: inquiry.request_id.clone(),
            carried: inquiry.carried.clone(),
            record,
        }
    }

    /// Waits for others, asks for all of them, and gives each its part.
    pub(super) async fn run(mut self, departure: Departure, wait: Duration) {
        let mut members = departure.wait(&self.shared.gateway.gatherings, wait).await;
        members.retain(|member| !member.reply.is_closed());
        let inquiry = match members.as_slice() {
            [] => return,
            [_] => None,
            several => self.inquiry(several),
        };
        let Some(inquiry) = inquiry else { return self.dismiss(members, Joined::Alone, None) };
        self.plan.target.metrics.sent_as_one(members.len());
        let dispatch = Dispatch { shared: &self.shared, snapshot: &self.snapshot, inquiry: &inquiry };
        let asked = tokio::select! {
            // Boxed, as it is large.
            asked = Box::pin(dispatch.open(Alarm::default(), &mut self.record)) => asked,
            // What asks is dropped here, and the provider's call with it.
            () = all_left(&mut members) => return,
        };
        self.hand_out(asked, members, &Arc::new(self.record.trail().clone()));
    }

    /// What is asked for all of them: as urgent as the most urgent, as old as the oldest.
    fn inquiry(&self, members: &[Member]) -> Option<Inquiry> {
        let body = join(members.iter().map(|member| (&member.body, &member.inputs)))?;
        let ask = openai::Request::parse(Operation::Embeddings, &body).ok()?;
        let standings = || members.iter().map(|member| member.standing);
        Some(Inquiry {
            operation: Operation::Embeddings,
            first: Inquiry::spliced(&ask, &body, &self.plan.target),
            plan: self.plan.clone(),
            body: body.clone(),
            stream: false,
            usage_chunk: UsageChunk::Drop,
            // A caller's own limit is for that caller to keep.
            timeout: None,
            arrived: members.iter().map(|member| member.arrived).min()?,
            standing: Standing {
                band: standings().map(|standing| standing.band).min()?,
                tenant: standings().next()?.tenant,
                tokens: standings().fold(0, |sum, standing| sum.saturating_add(standing.tokens)),
                tokens_max: None,
            },
            tools: false,
            request_id: self.request_id.clone(),
            carried: self.carried.clone(),
            joins: None,
            given: None,
        })
    }

    fn hand_out(&self, asked: Result<Reached, Failure>, members: Vec<Member>, trail: &Arc<Trail>) {
        match asked {
            Err(failure) => {
                self.count(Joined::Failed, members.len());
                for member in members {
                    let broken = Broken { failure: failure.clone(), trail: Some(Arc::clone(trail)) };
                    // Whoever has left is answered in vain.
                    let _ = member.reply.send(Outcome::Failed(broken));
                }
            }
            Ok(Reached { target, opened }) => match opened {
                Opened::Whole(whole) => self.part(&target, &whole, members, trail),
                Opened::Refusal(status, _) if is_one_inputs(status.as_u16()) => {
                    self.dismiss(members, Joined::Parted, Some(trail));
                }
                Opened::Refusal(status, body) => {
                    self.count(Joined::Failed, members.len());
                    for member in members {
                        let (target, body, trail) = (Arc::clone(&target), body.clone(), Arc::clone(trail));
                        let _ = member.reply.send(Outcome::Refused { target, status, body, trail });
                    }
                }
                // None was asked for.
                Opened::Stream(..) => self.dismiss(members, Joined::Parted, Some(trail)),
            },
        }
    }

    /// Gives each its part of the answer.
    fn part(&self, target: &Arc<Target>, whole: &Whole, members: Vec<Member>, trail: &Arc<Trail>) {
        let share = |member: &Member| Share { count: member.inputs.count, weight: member.inputs.weight };
        let shares: Vec<_> = members.iter().map(share).collect();
        let Some(parts) = split(&whole.body, &shares) else {
            let provider = target.upstream.name();
            tracing::warn!(provider, "an answer to a joint request does not hold one vector for each input");
            return self.dismiss(members, Joined::Parted, Some(trail));
        };
        self.count(Joined::Answered, members.len());
        for (member, body) in members.into_iter().zip(parts) {
            let usage = openai::usage_of(&body).unwrap_or_default();
            let part = Whole { head: whole.head.clone(), body, usage };
            let answered = Outcome::Answered { target: Arc::clone(target), part, trail: Arc::clone(trail) };
            // Whoever has left pays for its part all the same.
            if let (Err(_), Some(usage)) = (member.reply.send(answered), usage) {
                let spent = Spent { usage, cost: target.cost(Some(&usage)) };
                self.record.of_share(&self.plan, member.who).spent(&spent);
            }
        }
    }

    /// Has each asked by itself.
    fn dismiss(&self, members: Vec<Member>, joined: Joined, trail: Option<&Arc<Trail>>) {
        self.count(joined, members.len());
        for member in members {
            let _ = member.reply.send(Outcome::Alone(trail.cloned()));
        }
    }

    fn count(&self, joined: Joined, requests: usize) {
        self.plan.target.metrics.coalesced(joined, requests);
    }
}

/// Whether a refusal may be for what one of several sent: too long, empty, of a wrong kind; or for all of it together.
fn is_one_inputs(status: u16) -> bool {
    matches!(status, 400 | 413 | 422)
}

/// Waits until nobody waits any more.
async fn all_left(members: &mut [Member]) {
    for member in members {
        member.reply.closed().await;
    }
}
