//! A run's next step: what is decided is written with the end of the job that brought it about, or not at all.

use super::{row, steps};
use crate::jobs::{Lease, State};
use crate::runs::{Advanced, Decide, Decision, Run};
use crate::sqlite::jobs::{add, belong, end};
use crate::{Result, Time};
use rusqlite::Connection;

/// Changes a run as `decide` says. Nobody else writes meanwhile: there is one writer.
pub(super) fn advance(
    db: &Connection,
    id: &str,
    held: Option<Lease>,
    now: Time,
    decide: &Decide,
) -> Result<Advanced> {
    let Some((number, run)) = row::numbered(db, id)? else { return Ok(Advanced::Unknown) };
    if let Some(lease) = held
        && !end::is_held(db, lease)?
    {
        return Ok(Advanced::Lost);
    }
    let decision = decide(&run);
    decision.steps.iter().try_for_each(|step| steps::write(db, number, step))?;
    change_jobs(db, id, held, now, &decision)?;
    for child in &decision.runs {
        if row::started(db, child, None)?.is_none() {
            row::insert(db, child, None)?;
        }
    }
    let run = changed(run, decision, now);
    row::update(db, number, &run)?;
    Ok(Advanced::Now(Box::new(run)))
}

/// First what ends, then what begins: a step that is tried again has the same word as before.
fn change_jobs(db: &Connection, id: &str, held: Option<Lease>, now: Time, decision: &Decision) -> Result<()> {
    if let (Some(lease), Some(how)) = (held, &decision.end) {
        end::attempt(db, lease, now, how)?;
    }
    if decision.cancel_waiting {
        belong::cancel_parts(db, id, State::Ready, now)?;
    }
    for job in &decision.jobs {
        add::add(db, job, now)?;
    }
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
