//! What a provider is to be asked on a request's behalf: all its own, as a flight outlives the request that
//! began it. Whom to ask, and how often, is decided in `dispatch`.

use crate::attempt::Attempt;
use crate::auth::Caller;
use crate::coalesce::Joins;
use crate::config::Priority;
use crate::http::head;
use crate::plan::{Plan, Target};
use crate::relay::Patience;
use crate::trace::Carried;
use crate::upstream::Call;
use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use foldhash::fast::FixedState;
use guard::gate::Ticket;
use guard::queue::Band;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::Failure;
use wire::openai::{self, RelayOptions, UsageChunk};
use wire::operation::Operation;
use wire::splice::{Spliced, splice};

/// A question to whichever target of its plan can answer it.
pub struct Inquiry {
    /// What is asked for.
    pub operation: Operation,
    /// Whom to ask first, and who stands in.
    pub plan: Plan,
    /// The request's body, as it came.
    pub body: Bytes,
    /// The same as the first choice is to read it.
    pub first: Spliced,
    /// Whether the answer is to come as a stream.
    pub stream: bool,
    /// What becomes of a stream's usage chunk.
    pub usage_chunk: UsageChunk,
    /// The asker's own limit to the whole.
    pub timeout: Option<Duration>,
    /// When the request arrived.
    pub arrived: Instant,
    /// Where it stands among others that wait.
    pub standing: Standing,
    /// Whether the model may call tools: such a request is never asked twice at once.
    pub tools: bool,
    /// Sent on, so that both sides' logs can be joined.
    pub request_id: HeaderValue,
    /// The caller's trace, where there is one.
    pub carried: Carried,
    /// With which others it may be asked, if with any.
    pub joins: Option<Box<Joins>>,
    /// The answer, where the provider has given it in a batch of its own: nobody is asked.
    pub given: Option<Bytes>,
}

/// Where a request stands among others that wait for the same target.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// How urgent it is.
    pub band: Band,
    /// Whose it is, as a number.
    pub tenant: u64,
    /// Tokens that it is expected to cost.
    pub tokens: u64,
    /// Tokens that its answer may have, where it says so.
    pub tokens_max: Option<u32>,
}

impl Standing {
    /// Where a caller's request stands: as urgent as its key is, or less where the request says so.
    ///
    /// # Errors
    /// 400 where the request's word on it cannot be read.
    pub fn of(headers: &HeaderMap, caller: &Caller, ask: &openai::Request<'_>) -> Result<Self, Failure> {
        let priority = head::priority(headers, caller.priority())?;
        let band = match priority {
            Priority::High => Band::High,
            Priority::Normal => Band::Normal,
            Priority::Low => Band::Low,
            Priority::Batch => Band::Batch,
        };
        let tenant = FixedState::with_seed(0).hash_one(caller.tenant());
        let expected = ask.tokens_expected();
        let tokens_max = expected.is_bounded.then(|| u32::try_from(expected.output).unwrap_or(u32::MAX));
        Ok(Self { band, tenant, tokens: expected.total(), tokens_max })
    }
}

impl Inquiry {
    /// The body as the first choice is to read it.
    pub fn spliced(ask: &openai::Request<'_>, body: &Bytes, target: &Target) -> Spliced {
        let quirks = &target.upstream.settings().preset.quirks;
        splice(body, &ask.edits(Some(&target.model), quirks.stream_options))
    }

    /// When all must have ended at `target`.
    pub fn deadline(&self, target: &Target) -> Instant {
        self.patience(target, self.arrived).deadline
    }

    /// What is said where nothing came by then of the first choice.
    pub fn overdue(&self) -> Failure {
        let target = &self.plan.target;
        let patience = self.patience(target, self.arrived);
        patience.overdue(target.upstream.name(), patience.deadline).failure
    }

    fn patience(&self, target: &Target, now: Instant) -> Patience {
        Patience::new(&target.care.timeouts, self.timeout, self.arrived, now)
    }

    /// Its ticket for a target's queue.
    pub fn ticket(&self, target: &Target) -> Ticket {
        let Standing { band, tenant, tokens, .. } = self.standing;
        Ticket { band, tenant, cost: tokens, deadline: Some(self.deadline(target)) }
    }

    /// What `target` is asked.
    ///
    /// # Errors
    /// Never for a body that the request was read from.
    pub fn call(&self, target: &Arc<Target>) -> Result<Call, Failure> {
        let body = match Arc::ptr_eq(target, &self.plan.target) {
            true => self.first.clone(),
            // Seldom enough that the body is read once more.
            false => Self::spliced(&openai::Request::parse(self.operation, &self.body)?, &self.body, target),
        };
        Ok(Call {
            operation: self.operation,
            body,
            request_id: self.request_id.clone(),
            carried: self.carried.clone(),
        })
    }

    /// How `target` is asked, from `now` on.
    pub fn attempt(&self, target: &Arc<Target>, now: Instant) -> Attempt {
        let quirks = &target.upstream.settings().preset.quirks;
        Attempt {
            stream: self.stream,
            relay: RelayOptions { usage_chunk: self.usage_chunk, done_marker: quirks.done_marker },
            patience: self.patience(target, now),
            target: Arc::clone(target),
        }
    }
}
