//! Says what follows jobs that ended in the store itself, where no runner held them: cancelled before they began, past
//! their deadline, or with their last lease. Every runner looks for such ends; each is told of once.

use super::Shared;
use super::keep::{BREATH, ROWS_MAX};
use crate::verdict::{STORE, fault};
use std::sync::Arc;
use std::time::Duration;
use store::Result;
use store::jobs::{End, Job, Lease, Running, State, Token, Told};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Looks for such ends from the first moment on, as often as for expired leases, and where one is known of.
pub(super) async fn tell(shared: Arc<Shared>, drain: CancellationToken) {
    let mut pause = Duration::ZERO;
    while drain.run_until_cancelled(timeout(pause, shared.hints.untold.notified())).await.is_some() {
        let answer = tell_of_some(&shared).await;
        let told = shared.heard("tell of ends", answer).unwrap_or(0);
        pause = if told < ROWS_MAX as usize { shared.options.reap } else { BREATH };
    }
}

/// Tells of as many as one step may; says how many those were.
async fn tell_of_some(shared: &Shared) -> Result<usize> {
    let jobs = shared.rows.jobs.untold(ROWS_MAX).await?;
    if jobs.is_empty() {
        return Ok(0);
    }
    let ends: Vec<_> = jobs.iter().map(|job| told(shared, job)).collect();
    match record(shared, ends.clone()).await {
        Err(error) if !error.may_pass() => one_by_one(shared, ends).await?,
        answer => answer?,
    }
    Ok(jobs.len())
}

/// The store refuses the step: of an end that it cannot bear, nothing follows.
async fn one_by_one(shared: &Shared, ends: Vec<Told>) -> Result<()> {
    for end in ends {
        let id = end.id;
        match record(shared, vec![end]).await {
            Err(error) if !error.may_pass() => {
                tracing::error!(job = id.0, %error, "jobs: what follows the end of a job cannot be added");
                record(shared, vec![Told { id, then: Vec::new() }]).await?;
            }
            answer => answer?,
        }
    }
    Ok(())
}

async fn record(shared: &Shared, ends: Vec<Told>) -> Result<()> {
    let now = shared.options.clock.now();
    let follows: Vec<_> =
        ends.iter().flat_map(|end| &end.then).map(|new| (new.queue.clone(), new.run_at)).collect();
    shared.rows.jobs.tell(ends, now).await?;
    for (queue, run_at) in follows {
        shared.hints.added(&queue, run_at, now);
    }
    Ok(())
}

fn told(shared: &Shared, job: &Job) -> Told {
    let end = match job.state {
        State::Cancelled => End::Cancelled,
        _ => End::Dead { fault: job.fault.clone().unwrap_or_else(|| fault(STORE, "nobody knows why")) },
    };
    let at = job.ended.unwrap_or_else(|| shared.options.clock.now());
    Told { id: job.id, then: shared.handlers.extra(&as_held(job), &end, at).then }
}

/// As whoever had done it would have seen it; there is no lease any more.
fn as_held(job: &Job) -> Running {
    let new = &job.new;
    Running {
        lease: Lease { id: job.id, token: Token(0) },
        tenant: new.tenant.clone(),
        kind: new.kind.clone(),
        band: new.band,
        attempt: job.attempt,
        attempts_max: new.attempts_max,
        created: job.created,
        deadline: new.deadline,
        payload: new.payload.clone(),
    }
}
