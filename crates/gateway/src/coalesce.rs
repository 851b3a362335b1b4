//! Embedding requests sent several in one, where an alias or a provider opts in: one call with a hundred texts is
//! cheaper for everybody than a hundred with one.
//!
//! ```text
//! no cache has it, nobody asks the same ─► a gathering, for a few milliseconds ─┬─► one call for all ─► parted
//!                                                                               └─► by itself, as without
//! ```
//!
//! Requests of one tenant that differ in nothing but their input gather. Each has its own answer in the end, as it
//! would have had alone, which is kept under its own key; whoever leaves hurts nobody. A joint request that is
//! refused, perhaps for what only one of them sent, is asked again as each alone; one that fails fails for all.

mod gathering;
mod joint;
#[cfg(test)]
mod tests;

pub use gathering::{Gatherings, Joins};

use crate::alarm::{Alarm, Late};
use crate::attempt::Whole;
use crate::dispatch::{Dispatch, Opened, Reached};
use crate::gateway::Shared;
use crate::inquiry::Inquiry;
use crate::observe::trail::Trail;
use crate::plan::Target;
use crate::recorder::Record;
use crate::remember::part::{Broken, Spent};
use crate::snapshot::Snapshot;
use ::http::StatusCode;
use bytes::Bytes;
use gathering::Member;
use joint::Joint;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;
use wire::failure::Failure;

/// What became of one request in a joint call.
enum Outcome {
    /// Its own part of the answer.
    Answered { target: Arc<Target>, part: Whole, trail: Arc<Trail> },
    /// All were refused, for what they have in common.
    Refused { target: Arc<Target>, status: StatusCode, body: Bytes, trail: Arc<Trail> },
    /// All failed.
    Failed(Broken),
    /// It is to be asked by itself, after so many tries with others.
    Alone(Option<Arc<Trail>>),
}

/// Has an inquiry answered: in a joint call where it may be and others come, by itself otherwise.
///
/// # Errors
/// As [`Dispatch::open`].
pub async fn open(
    shared: &Arc<Shared>,
    snapshot: &Arc<Snapshot>,
    inquiry: &Inquiry,
    mut alarm: Alarm,
    record: &mut Record,
) -> Result<Reached, Failure> {
    if let Some(joins) = &inquiry.joins {
        // Boxed, as most have no need of it.
        let together = Box::pin(together(shared, snapshot, inquiry, joins, &mut alarm, record));
        if let Some(reached) = together.await? {
            return Ok(reached);
        }
    }
    Dispatch { shared, snapshot, inquiry }.open(alarm, record).await
}

/// Waits for others and for the answer that all of them get. `None`: it is to be asked by itself.
async fn together(
    shared: &Arc<Shared>,
    snapshot: &Arc<Snapshot>,
    inquiry: &Inquiry,
    joins: &Joins,
    alarm: &mut Alarm,
    record: &mut Record,
) -> Result<Option<Reached>, Failure> {
    let (reply, outcome) = oneshot::channel();
    let member = Member {
        body: inquiry.body.clone(),
        inputs: joins.inputs.clone(),
        standing: inquiry.standing,
        arrived: inquiry.arrived,
        who: record.who().cloned(),
        reply,
    };
    match shared.gateway.gatherings.join(joins, member) {
        None => return Ok(None),
        Some(gathering::Seat::Beside) => {}
        Some(gathering::Seat::First(departure)) => {
            let joint = Joint::new(shared, snapshot, inquiry, record.aside()());
            shared.worker.background.spawn(joint.run(departure, joins.terms.wait));
        }
    }
    record.waits(Instant::now());
    let outcome = alarm.within(inquiry.deadline(&inquiry.plan.target), pin!(outcome)).await;
    record.waited(Instant::now());
    let (target, opened, trail) = match outcome {
        Err(Late) => return Err(inquiry.overdue()),
        // The worker that was to ask for all is gone: nothing is lost but time.
        Ok(Err(_)) => return Ok(None),
        Ok(Ok(Outcome::Alone(trail))) => {
            trail.iter().for_each(|trail| record.borrows(trail));
            return Ok(None);
        }
        Ok(Ok(Outcome::Failed(broken))) => {
            broken.trail.iter().for_each(|trail| record.borrows(trail));
            return Err(broken.failure);
        }
        Ok(Ok(Outcome::Refused { target, status, body, trail })) => {
            (target, Opened::Refusal(status, body), trail)
        }
        Ok(Ok(Outcome::Answered { target, part, trail })) => {
            if let Some(usage) = part.usage {
                record.spent(&Spent { usage, cost: target.cost(Some(&usage)) });
            }
            (target, Opened::Whole(part), trail)
        }
    };
    record.borrows(&trail);
    Ok(Some(Reached { target, opened }))
}
