//! The end of an attempt, and of a job.

use super::add;
use crate::jobs::{Cancel, End, Fault, Finish, JobId, Lease, State};
use crate::sqlite::batches::lines;
use crate::{Result, Time};
use rusqlite::{Connection, OptionalExtension, params};

/// What a job that is held must be known of to be ended.
struct Held {
    id: JobId,
    attempt: u32,
    keep: bool,
    cancel_requested: bool,
}

/// About how many bytes this holds.
pub(super) fn size(finish: &Finish) -> usize {
    let result = if let End::Done { result } = &finish.end { result.len() } else { 0 };
    let line = finish.line.as_ref().map_or(0, |line| line.text.len());
    result + line + finish.then.iter().map(|job| job.payload.len()).sum::<usize>()
}

/// Ends an attempt with all that goes with it; whether its lease was held.
pub(super) fn finish(db: &Connection, finish: &Finish) -> Result<bool> {
    if !attempt(db, finish.lease, finish.at, &finish.end)? {
        return Ok(false);
    }
    if let Some(line) = &finish.line {
        lines::record(db, line)?;
    }
    for job in &finish.then {
        add::add(db, job, finish.at)?;
    }
    Ok(true)
}

/// Ends an attempt; whether its lease was held.
pub(in crate::sqlite) fn attempt(db: &Connection, lease: Lease, at: Time, end: &End) -> Result<bool> {
    let Some(job) = held(db, lease)? else { return Ok(false) };
    match end {
        End::Done { result } => done(db, &job, at, result)?,
        End::Again { fault, .. } if job.cancel_requested => {
            note(db, job.id, job.attempt, at, fault)?;
            close_untold(db, job.id, State::Cancelled, at)?;
        }
        End::Again { run_at, fault } => {
            note(db, job.id, job.attempt, at, fault)?;
            again(db, job.id, *run_at, at)?;
        }
        End::Dead { fault } => {
            note(db, job.id, job.attempt, at, fault)?;
            close(db, job.id, State::Dead, at)?;
        }
        End::Released if !job.cancel_requested => release(db, job.id)?,
        End::Later { run_at } if !job.cancel_requested => {
            release(db, job.id)?;
            again(db, job.id, *run_at, at)?;
        }
        End::Cancelled => close(db, job.id, State::Cancelled, at)?,
        End::Released | End::Later { .. } => close_untold(db, job.id, State::Cancelled, at)?,
    }
    Ok(true)
}

/// Whether the lease is held.
pub(in crate::sqlite) fn is_held(db: &Connection, lease: Lease) -> Result<bool> {
    Ok(held(db, lease)?.is_some())
}

fn held(db: &Connection, lease: Lease) -> Result<Option<Held>> {
    let mut sql = db.prepare_cached(
        "SELECT attempt, keep, cancel_requested FROM jobs WHERE id = ? AND token = ? AND state = 2",
    )?;
    let found = sql.query_row([lease.id.0, lease.token.0], |row| {
        Ok(Held { id: lease.id, attempt: row.get(0)?, keep: row.get(1)?, cancel_requested: row.get(2)? })
    });
    Ok(found.optional()?)
}

fn done(db: &Connection, job: &Held, at: Time, result: &[u8]) -> Result<()> {
    if !job.keep {
        // Whoever failed before has been tried more than once.
        return remove(db, job.id, job.attempt > 1);
    }
    let mut sql = db.prepare_cached(
        "UPDATE jobs SET state = 3, ended = ?, result = ?, owner = NULL, lease_until = NULL WHERE id = ?",
    )?;
    sql.execute(params![at.0, result, job.id.0])?;
    Ok(())
}

/// Back to wait until `run_at`.
fn again(db: &Connection, id: JobId, run_at: Time, now: Time) -> Result<()> {
    let state = if run_at <= now { State::Ready } else { State::Scheduled };
    let mut sql = db.prepare_cached(
        "UPDATE jobs SET state = ?, run_at = ?, owner = NULL, lease_until = NULL WHERE id = ?",
    )?;
    sql.execute(params![state as i64, run_at.0, id.0])?;
    Ok(())
}

/// Back as if it had not been claimed, to the place where it stood.
fn release(db: &Connection, id: JobId) -> Result<()> {
    let mut sql = db.prepare_cached(
        "UPDATE jobs SET state = 1, attempt = attempt - 1, owner = NULL, lease_until = NULL WHERE id = ?",
    )?;
    sql.execute([id.0])?;
    Ok(())
}

/// Back to where it stood, the attempt charged.
pub(super) fn put_back(db: &Connection, id: JobId) -> Result<()> {
    let mut sql =
        db.prepare_cached("UPDATE jobs SET state = 1, owner = NULL, lease_until = NULL WHERE id = ?")?;
    sql.execute([id.0])?;
    Ok(())
}

/// Makes it a dead letter of which nobody has told.
pub(super) fn bury(db: &Connection, id: JobId, attempt: u32, at: Time, fault: &Fault) -> Result<()> {
    note(db, id, attempt, at, fault)?;
    close_untold(db, id, State::Dead, at)
}

/// Over, without a result, and nobody has said what follows.
pub(super) fn close_untold(db: &Connection, id: JobId, state: State, at: Time) -> Result<()> {
    close(db, id, state, at)?;
    db.prepare_cached("UPDATE jobs SET untold = 1 WHERE id = ?")?.execute([id.0])?;
    Ok(())
}

/// Over, without a result.
pub(super) fn close(db: &Connection, id: JobId, state: State, at: Time) -> Result<()> {
    let mut sql = db.prepare_cached(
        "UPDATE jobs SET state = ?, ended = ?, owner = NULL, lease_until = NULL WHERE id = ?",
    )?;
    sql.execute(params![state as i64, at.0, id.0])?;
    Ok(())
}

/// Adds a fault to its history.
pub(super) fn note(db: &Connection, id: JobId, attempt: u32, at: Time, fault: &Fault) -> Result<()> {
    let mut sql = db.prepare_cached(
        "INSERT INTO job_faults VALUES \
         (?1, 1 + (SELECT coalesce(max(number), 0) FROM job_faults WHERE job = ?1), ?2, ?3, ?4, ?5)",
    )?;
    sql.execute(params![id.0, attempt, at.0, fault.class, fault.message])?;
    Ok(())
}

/// Removes all of its rows.
pub(in crate::sqlite) fn remove(db: &Connection, id: JobId, has_faults: bool) -> Result<()> {
    db.prepare_cached("DELETE FROM jobs WHERE id = ?")?.execute([id.0])?;
    db.prepare_cached("DELETE FROM job_payloads WHERE job = ?")?.execute([id.0])?;
    if has_faults {
        db.prepare_cached("DELETE FROM job_faults WHERE job = ?")?.execute([id.0])?;
    }
    Ok(())
}

/// Takes a job back, or asks whoever runs it to stop.
pub(in crate::sqlite) fn cancel(
    db: &Connection,
    id: JobId,
    tenant: Option<&str>,
    now: Time,
) -> Result<Cancel> {
    let mut sql =
        db.prepare_cached("SELECT state FROM jobs WHERE id = ?1 AND tenant = coalesce(?2, tenant)")?;
    let found = sql.query_row(params![id.0, tenant], |row| super::row::state(row.get(0)?)).optional()?;
    match found {
        None => Ok(Cancel::Unknown),
        Some(State::Scheduled | State::Ready) => {
            close_untold(db, id, State::Cancelled, now)?;
            Ok(Cancel::Done)
        }
        Some(State::Running) => {
            db.prepare_cached("UPDATE jobs SET cancel_requested = 1 WHERE id = ?")?.execute([id.0])?;
            Ok(Cancel::Asked)
        }
        Some(over) => Ok(Cancel::Over(over)),
    }
}
