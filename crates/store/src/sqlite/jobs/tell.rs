//! Ends that nobody has spoken for: found, and told of once.

use super::{add, row};
use crate::jobs::{Job, Told};
use crate::{Result, Time};
use rusqlite::Connection;

/// The oldest such ends, so many at most.
pub(super) fn untold(db: &Connection, limit: u32) -> Result<Vec<Job>> {
    let mut sql = db.prepare_cached(&format!(
        "{} INDEXED BY jobs_untold WHERE untold = 1 ORDER BY id LIMIT ?",
        row::SELECT
    ))?;
    let rows = sql.query_map([limit], row::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds what follows, unless somebody else has told of it.
pub(super) fn tell(db: &Connection, told: &Told, now: Time) -> Result<bool> {
    let mut sql = db.prepare_cached("UPDATE jobs SET untold = 0 WHERE id = ? AND untold = 1")?;
    if sql.execute([told.id.0])? == 0 {
        return Ok(false);
    }
    for job in &told.then {
        add::add(db, job, now)?;
    }
    Ok(true)
}
