//! A run's next step: what is decided is written with the end of the job that brought it about, or not at all.

use super::{run, steps};
use crate::jobs::Lease;
use crate::postgres::fault::Fault;
use crate::postgres::jobs::{add, end};
use crate::postgres::transaction::Transaction;
use crate::runs::{Advanced, Decide, Decision, Run};
use crate::{Result, Time};

/// Changes a run as `decide` says. Its row is locked before anything else is, as everybody does.
pub(super) async fn advance(
    transaction: &Transaction,
    id: &str,
    held: Option<Lease>,
    now: Time,
    decide: &Decide,
) -> Result<Advanced, Fault> {
    let Some(run) = run::lock(transaction, id).await? else { return Ok(Advanced::Unknown) };
    if let Some(lease) = held
        && !end::is_held(transaction, lease).await?
    {
        return Ok(Advanced::Lost);
    }
    let decision = decide(&run);
    steps::write(transaction, id, &decision.steps).await?;
    change_jobs(transaction, id, held, now, &decision).await?;
    for child in &decision.runs {
        run::insert(transaction, child, None).await?;
    }
    let run = changed(run, decision, now);
    run::update(transaction, &run).await?;
    Ok(Advanced::Now(Box::new(run)))
}

/// First what ends, then what begins: a step that is tried again has the same word as before.
async fn change_jobs(
    transaction: &Transaction,
    id: &str,
    held: Option<Lease>,
    now: Time,
    decision: &Decision,
) -> Result<(), Fault> {
    if let (Some(lease), Some(how)) = (held, &decision.end) {
        end::end(transaction, lease, now, how).await?;
    }
    if decision.cancel_waiting {
        end::cancel_under(transaction, id, now, false).await?;
    }
    add::add(transaction, &decision.jobs, now).await?;
    Ok(())
}

fn changed(run: Run, decision: Decision, now: Time) -> Run {
    let state = decision.state.unwrap_or(run.state);
    let revived = run.state.is_final() && !state.is_final();
    Run {
        state,
        status: decision.status.unwrap_or(run.status),
        output: decision.output.or(run.output.filter(|_| !revived)),
        error: decision.error.or(run.error.filter(|_| !revived)),
        changed: now,
        ended: state.is_final().then(|| run.ended.unwrap_or(now)),
        ..run
    }
}
