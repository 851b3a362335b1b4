//! The steps of a run.

use crate::runs::Step;
use crate::{Result, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Writes a step, whole.
pub(super) fn write(db: &Connection, run: i64, step: &Step) -> Result<()> {
    let mut sql = db.prepare_cached("INSERT OR REPLACE INTO run_steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let (started, ended) = (step.started.map(|at| at.0), step.ended.map(|at| at.0));
    let Step { key, state, attempts, error, input, output, .. } = step;
    sql.execute(params![run, key, state, attempts, started, ended, error, input, output])?;
    Ok(())
}

/// Those named, or all, by key; so many at most.
pub(super) fn read(db: &Connection, id: &str, keys: Option<&[String]>, limit: u32) -> Result<Vec<Step>> {
    let mut sql = db.prepare_cached("SELECT number FROM runs WHERE id = ?")?;
    let Some(run): Option<i64> = sql.query_row([id], |row| row.get(0)).optional()? else {
        return Ok(Vec::new());
    };
    let Some(keys) = keys else {
        let mut sql = db.prepare_cached("SELECT * FROM run_steps WHERE run = ? ORDER BY key LIMIT ?")?;
        return Ok(sql.query_map(params![run, limit], from_row)?.collect::<rusqlite::Result<_>>()?);
    };
    let mut sql = db.prepare_cached("SELECT * FROM run_steps WHERE run = ? AND key = ?")?;
    let mut keys: Vec<&String> = keys.iter().collect();
    keys.sort_unstable();
    keys.dedup();
    let mut found = Vec::new();
    for key in keys {
        found.extend(sql.query_row(params![run, key], from_row).optional()?);
    }
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Step> {
    Ok(Step {
        key: row.get("key")?,
        state: row.get("state")?,
        input: row.get("input")?,
        output: row.get("output")?,
        error: row.get("error")?,
        attempts: row.get("attempts")?,
        started: row.get::<_, Option<i64>>("started")?.map(Time),
        ended: row.get::<_, Option<i64>>("ended")?.map(Time),
    })
}
