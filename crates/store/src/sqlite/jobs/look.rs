//! Looking at jobs without changing them.

use super::row;
use crate::jobs::{Fault, Filter, Job, JobId, PastFault, State};
use crate::{Result, Time};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// The job with this number.
pub(super) fn get(db: &Connection, id: JobId, tenant: Option<&str>) -> Result<Option<Job>> {
    let found = row::job(db, id)?;
    Ok(found.filter(|job| tenant.is_none_or(|only| job.new.tenant == only)))
}

/// Jobs from the newest on.
pub(super) fn list(db: &Connection, filter: &Filter, before: Option<JobId>, limit: u32) -> Result<Vec<Job>> {
    let mut text = format!("{} {} WHERE id < ?", row::SELECT, way(filter));
    let mut values: Vec<Value> = vec![before.map_or(i64::MAX, |id| id.0).into()];
    if let Some(state) = filter.state {
        // In the text, as an index of some states is only used where it is seen that one of them is meant.
        text.push_str(&format!(" AND state = {}", state as i64));
        if state.is_final() && state != State::Done {
            text.push_str(" AND state >= 4");
        }
    }
    narrow(filter, &mut text, &mut values);
    text.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(limit.into());
    let mut sql = db.prepare_cached(&text)?;
    let rows = sql.query_map(params_from_iter(values), row::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Which way leads to them: the fewest rows that are read in vain.
fn way(filter: &Filter) -> &'static str {
    match filter.state {
        _ if filter.tenant.is_some() => "INDEXED BY jobs_tenant",
        Some(State::Scheduled) => "INDEXED BY jobs_scheduled",
        Some(State::Running) => "INDEXED BY jobs_running",
        Some(State::Dead | State::Cancelled) => "INDEXED BY jobs_failed",
        None | Some(State::Ready | State::Done) => "NOT INDEXED",
    }
}

/// Adds the conditions of the filter, its state apart.
pub(super) fn narrow(filter: &Filter, text: &mut String, values: &mut Vec<Value>) {
    for (column, only) in [("tenant", &filter.tenant), ("queue", &filter.queue), ("kind", &filter.kind)] {
        if let Some(only) = only {
            text.push_str(&format!(" AND {column} = ?"));
            values.push(only.clone().into());
        }
    }
}

/// A job's history of faults.
pub(super) fn faults(db: &Connection, id: JobId) -> Result<Vec<PastFault>> {
    let mut sql = db
        .prepare_cached("SELECT attempt, at, class, message FROM job_faults WHERE job = ? ORDER BY number")?;
    let rows = sql.query_map([id.0], |row| {
        Ok(PastFault {
            attempt: row.get(0)?,
            at: Time(row.get(1)?),
            fault: Fault { class: row.get(2)?, message: row.get(3)? },
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
