//! What a request brings along, whoever made it: a caller from outside, or somebody here on a caller's behalf.

use super::Asked;
use crate::auth::Caller;
use crate::desk::Placed;
use crate::plan::{Draw, Plan, affinity};
use crate::pressure::Pressure;
use crate::snapshot::Snapshot;
use bytes::Bytes;
use guard::pressure::Buffered;
use std::time::{Duration, Instant};
use wire::failure::Failure;
use wire::openai;

/// Who asks, what, and how long they wait.
pub(super) struct Brought {
    pub(super) caller: Caller,
    /// The caller's own limit to the whole.
    pub(super) timeout: Option<Duration>,
    pub(super) body: Bytes,
    /// Whom it is for, where that was decided before.
    pub(super) placed: Option<Placed>,
}

impl Brought {
    /// The answer, where the provider has given it already.
    pub(super) fn given(&self) -> Option<&Bytes> {
        self.placed.as_ref()?.given.as_ref()
    }

    /// Room for its body, until the token is dropped; what is given is here already.
    pub(super) fn hold(&self, pressure: &Pressure) -> Result<Option<Buffered>, Failure> {
        match self.given() {
            None => pressure.hold(self.body.len()).map(Some),
            Some(_) => Ok(None),
        }
    }

    /// What is to be done for it, if the caller may ask for that: at a target that is drawn, unless it is known.
    pub(super) fn plan(
        &self,
        snapshot: &Snapshot,
        asked: &Asked<'_>,
        ask: &openai::Request<'_>,
        at: Instant,
    ) -> Result<Plan, Failure> {
        let routes = &snapshot.routes;
        if let Some(Placed { at: place, given: Some(_) }) = &self.placed {
            return routes.plan_given(&ask.model, place);
        }
        self.caller.may_use(&ask.model)?;
        let draw = Draw { affinity: None, dice: fastrand::u64(..), at };
        let affinity = || affinity::of(asked.headers, self.caller.tenant(), ask);
        let plan = routes.plan(asked.operation, &ask.model, draw, affinity)?;
        Ok(match &self.placed {
            Some(placed) => plan.at(&placed.at),
            None => plan,
        })
    }
}
