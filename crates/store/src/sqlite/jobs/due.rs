//! What time brings about: jobs whose hour has come, leases that are renewed, and leases that ran out.

use super::end;
use crate::jobs::{Beat, Fault, JobId, Pulse, State};
use crate::{Result, Time};
use rusqlite::{Connection, OptionalExtension, params};

/// Makes ready what is due.
pub(in crate::sqlite) const PROMOTE: &str = "UPDATE jobs SET state = 1 WHERE id IN \
    (SELECT id FROM jobs INDEXED BY jobs_scheduled WHERE state = 0 AND run_at <= ? ORDER BY run_at LIMIT ?)";

/// Whose lease ran out.
pub(in crate::sqlite) const EXPIRED: &str = "SELECT id, attempt, attempts_max, cancel_requested FROM jobs \
    INDEXED BY jobs_running WHERE state = 2 AND lease_until <= ? ORDER BY lease_until LIMIT ?";

/// Makes ready what is due, so many at most.
pub(super) fn promote(db: &Connection, now: Time, limit: u32) -> Result<u64> {
    let changed = db.prepare_cached(PROMOTE)?.execute(params![now.0, limit])?;
    Ok(changed as u64)
}

/// When the next is due.
pub(super) fn next(db: &Connection) -> Result<Option<Time>> {
    let mut sql = db.prepare_cached(
        "SELECT run_at FROM jobs INDEXED BY jobs_scheduled WHERE state = 0 ORDER BY run_at LIMIT 1",
    )?;
    Ok(sql.query_row([], |row| row.get(0).map(Time)).optional()?)
}

/// Renews a lease.
pub(super) fn beat(db: &Connection, beat: &Beat, until: Time) -> Result<Pulse> {
    let mut sql = db.prepare_cached(
        "UPDATE jobs SET lease_until = ?, progress = coalesce(?, progress) \
         WHERE id = ? AND token = ? AND state = 2 RETURNING cancel_requested",
    )?;
    let values = params![until.0, beat.progress, beat.lease.id.0, beat.lease.token.0];
    Ok(match sql.query_row(values, |row| row.get(0)).optional()? {
        None => Pulse::Lost,
        Some(true) => Pulse::Cancelled,
        Some(false) => Pulse::Held,
    })
}

/// Takes back what nobody has renewed, so many at most.
pub(super) fn reap(db: &Connection, now: Time, limit: u32) -> Result<u64> {
    let mut sql = db.prepare_cached(EXPIRED)?;
    let rows = sql.query_map(params![now.0, limit], |row| {
        Ok((JobId(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    let expired = rows.collect::<rusqlite::Result<Vec<(JobId, u32, u32, bool)>>>()?;
    let fault =
        Fault { class: "lease".to_owned(), message: "whoever ran it was not heard of again".to_owned() };
    for &(id, attempt, attempts_max, cancel_requested) in &expired {
        end::note(db, id, attempt, now, &fault)?;
        match () {
            () if cancel_requested => end::close_untold(db, id, State::Cancelled, now)?,
            () if attempt >= attempts_max => end::close_untold(db, id, State::Dead, now)?,
            () => end::put_back(db, id)?,
        }
    }
    Ok(expired.len() as u64)
}
