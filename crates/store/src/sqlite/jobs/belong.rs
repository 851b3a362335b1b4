//! Jobs that belong to something: to a run or a batch whose id stands before a slash in their unique word.

use super::end;
use crate::jobs::{Cancel, JobId, State};
use crate::{Result, Time};
use rusqlite::{Connection, params};
use std::collections::HashMap;

/// Those that are not over, by their words.
pub(in crate::sqlite) const BELONGING: &str = "SELECT id, uniq, keep FROM jobs INDEXED BY jobs_unique \
    WHERE uniq IS NOT NULL AND state < 3 AND uniq >= ?1 AND uniq < ?2 AND state <= ?3 AND queue IS NOT ?4 \
    ORDER BY uniq LIMIT ?5";

/// A job that belongs to something and is not over.
pub(in crate::sqlite) struct Part {
    pub(in crate::sqlite) id: JobId,
    /// What stands behind the slash.
    pub(in crate::sqlite) word: String,
    pub(in crate::sqlite) keep: bool,
}

/// Jobs of `owner` that stand no further than `latest`, but for those in the queue `but`, if given; so many at most.
pub(in crate::sqlite) fn parts(
    db: &Connection,
    owner: &str,
    latest: State,
    but: Option<&str>,
    limit: u32,
) -> Result<Vec<Part>> {
    // The zero comes after the slash.
    let (from, to) = (format!("{owner}/"), format!("{owner}0"));
    let mut sql = db.prepare_cached(BELONGING)?;
    let rows = sql.query_map(params![from, to, latest as i64, but, limit], |found| {
        let word: String = found.get(1)?;
        Ok(Part {
            id: JobId(found.get(0)?),
            word: word.get(from.len()..).unwrap_or_default().to_owned(),
            keep: found.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Those of `owner` that died or were taken back, by what stands behind the slash; of several the last.
pub(in crate::sqlite) fn buried(db: &Connection, owner: &str) -> Result<HashMap<String, JobId>> {
    let (from, to) = (format!("{owner}/"), format!("{owner}0"));
    let mut sql = db.prepare_cached(
        "SELECT uniq, id FROM jobs INDEXED BY jobs_failed WHERE state >= 4 AND uniq >= ? AND uniq < ? ORDER BY id",
    )?;
    let rows = sql.query_map([&from, &to], |found| {
        let word: String = found.get(0)?;
        Ok((word.get(from.len()..).unwrap_or_default().to_owned(), JobId(found.get(1)?)))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Takes back those that stand no further than `latest`.
pub(in crate::sqlite) fn cancel_parts(
    db: &Connection,
    owner: &str,
    latest: State,
    now: Time,
) -> Result<Vec<Cancel>> {
    parts(db, owner, latest, None, u32::MAX)?.iter().map(|part| end::cancel(db, part.id, None, now)).collect()
}

/// Removes a job that has not begun, or leaves it as cancelled where it is to be kept.
pub(in crate::sqlite) fn take_back(db: &Connection, part: &Part, now: Time) -> Result<()> {
    if part.keep { end::close(db, part.id, State::Cancelled, now) } else { end::remove(db, part.id, true) }
}

/// What its kind was told.
pub(in crate::sqlite) fn payload(db: &Connection, id: JobId) -> Result<Vec<u8>> {
    let mut sql = db.prepare_cached("SELECT payload FROM job_payloads WHERE job = ?")?;
    Ok(sql.query_row([id.0], |row| row.get(0))?)
}
