//! How much waits and runs, told without counting millions.

use super::claim::NEXT_TENANT;
use crate::jobs::{Band, Depth, State};
use crate::sqlite::text::following;
use crate::{Result, Time};
use rusqlite::{Connection, OptionalExtension, params};

/// Counted one by one up to so many.
const COUNTED_MAX: u32 = 20_000;

/// By queue and state.
pub(super) fn depths(db: &Connection) -> Result<Vec<Depth>> {
    let mut depths = running(db)?;
    for (state, index) in [(State::Scheduled, "jobs_scheduled_in"), (State::Ready, "jobs_ready")] {
        let mut from = String::new();
        while let Some(queue) = next_queue(db, state, index, &from)? {
            from = following(&queue);
            let count = count(db, state, index, &queue)?;
            let oldest = match state {
                State::Ready => oldest_ready(db, &queue)?,
                _ => first_scheduled(db, &queue)?,
            };
            depths.push(Depth { queue, state, count, oldest });
        }
    }
    Ok(depths)
}

/// How many jobs of a tenant wait, counted no further than `most`: each count is a range of an index.
pub(super) fn backlog(db: &Connection, tenant: &str, most: u64) -> Result<u64> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut scheduled = db.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_scheduled_of \
         WHERE state = 0 AND tenant = ? LIMIT ?)",
    )?;
    let mut ready = db.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_ready \
         WHERE state = 1 AND queue = ? AND band = ? AND tenant = ? LIMIT ?)",
    )?;
    let mut count: i64 = scheduled.query_row(params![tenant, most], |row| row.get(0))?;
    let mut from = String::new();
    while let Some(queue) = next_queue(db, State::Ready, "jobs_ready", &from)? {
        from = following(&queue);
        for band in Band::ALL {
            let found = ready.query_row(params![queue, band as i64, tenant, most - count], |row| row.get(0));
            let found: i64 = found?;
            count += found;
        }
    }
    Ok(count.unsigned_abs())
}

fn next_queue(db: &Connection, state: State, index: &str, from: &str) -> Result<Option<String>> {
    let mut sql = db.prepare_cached(&format!(
        "SELECT queue FROM jobs INDEXED BY {index} WHERE state = {} AND queue >= ? ORDER BY queue LIMIT 1",
        state as i64
    ))?;
    Ok(sql.query_row([from], |row| row.get(0)).optional()?)
}

fn count(db: &Connection, state: State, index: &str, queue: &str) -> Result<u64> {
    let mut sql = db.prepare_cached(&format!(
        "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY {index} WHERE state = {} AND queue = ? LIMIT ?)",
        state as i64
    ))?;
    Ok(sql.query_row(params![queue, COUNTED_MAX], |row| row.get(0))?)
}

fn first_scheduled(db: &Connection, queue: &str) -> Result<Option<Time>> {
    let mut sql = db.prepare_cached(
        "SELECT min(run_at) FROM jobs INDEXED BY jobs_scheduled_in WHERE state = 0 AND queue = ?",
    )?;
    Ok(sql.query_row([queue], |row| row.get::<_, Option<i64>>(0))?.map(Time))
}

/// The oldest of each tenant stands first among the tenant's.
fn oldest_ready(db: &Connection, queue: &str) -> Result<Option<Time>> {
    let mut sql = db.prepare_cached(NEXT_TENANT)?;
    let mut oldest: Option<Time> = None;
    for band in Band::ALL {
        let mut from = String::new();
        for _ in 0..COUNTED_MAX {
            let found = sql.query_row(params![queue, band as i64, from], |row| {
                Ok((row.get::<_, String>(0)?, Time(row.get(1)?)))
            });
            let Some((tenant, run_at)) = found.optional()? else { break };
            from = following(&tenant);
            oldest = Some(oldest.map_or(run_at, |oldest| oldest.min(run_at)));
        }
    }
    Ok(oldest)
}

/// As many as there are leases: few.
fn running(db: &Connection) -> Result<Vec<Depth>> {
    let mut sql = db.prepare_cached(
        "SELECT queue, count(*), min(run_at) FROM jobs INDEXED BY jobs_running WHERE state = 2 GROUP BY queue",
    )?;
    let rows = sql.query_map([], |row| {
        let oldest = row.get::<_, Option<i64>>(2)?.map(Time);
        Ok(Depth { queue: row.get(0)?, state: State::Running, count: row.get(1)?, oldest })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
