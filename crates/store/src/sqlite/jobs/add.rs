//! Adding jobs, once each.

use super::row;
use crate::jobs::{Added, JobId, NewJob, State};
use crate::{Result, Time};
use rusqlite::{Connection, OptionalExtension, named_params, params};

/// Adds a job, unless its key or its word says that it is there.
pub(in crate::sqlite) fn add(db: &Connection, job: &NewJob, now: Time) -> Result<Added> {
    match find(db, job)? {
        Some(found) => Ok(found),
        None => insert(db, job, now).map(Added::New),
    }
}

/// Who has its key, or else its word.
pub(super) fn find(db: &Connection, job: &NewJob) -> Result<Option<Added>> {
    match find_same(db, job)? {
        Some(found) => Ok(Some(found)),
        None => Ok(find_unique(db, job)?.map(Added::Unique)),
    }
}

fn find_same(db: &Connection, job: &NewJob) -> Result<Option<Added>> {
    let Some(ours) = &job.idempotency else { return Ok(None) };
    let mut sql = db.prepare_cached(
        "SELECT id, idem_hash FROM jobs INDEXED BY jobs_idem WHERE tenant = ? AND kind = ? AND idem_key = ?",
    )?;
    let found = sql.query_row(params![job.tenant, job.kind, ours.key], |row| {
        Ok((JobId(row.get(0)?), row.get::<_, [u8; 32]>(1)?))
    });
    let found = found.optional()?;
    Ok(found.map(|(id, hash)| if hash == ours.hash { Added::Same(id) } else { Added::Mismatch(id) }))
}

fn find_unique(db: &Connection, job: &NewJob) -> Result<Option<JobId>> {
    let Some(word) = &job.unique else { return Ok(None) };
    let mut sql = db.prepare_cached(
        "SELECT id FROM jobs INDEXED BY jobs_unique WHERE uniq = ? AND tenant = ? AND kind = ? AND state < 3",
    )?;
    Ok(sql.query_row(params![word, job.tenant, job.kind], |row| row.get(0).map(JobId)).optional()?)
}

fn insert(db: &Connection, job: &NewJob, now: Time) -> Result<JobId> {
    let state = if job.run_at <= now { State::Ready } else { State::Scheduled };
    let mut sql = db.prepare_cached(
        "INSERT INTO jobs (state, queue, band, tenant, kind, run_at, deadline, attempts_max, keep, idem_key, \
         idem_hash, uniq, replay_of, created) VALUES (:state, :queue, :band, :tenant, :kind, :run_at, \
         :deadline, :attempts_max, :keep, :idem_key, :idem_hash, :uniq, :replay_of, :created)",
    )?;
    sql.execute(named_params! {
        ":state": state as i64,
        ":queue": job.queue,
        ":band": job.band as i64,
        ":tenant": job.tenant,
        ":kind": job.kind,
        ":run_at": job.run_at.0,
        ":deadline": job.deadline.map(|at| at.0),
        ":attempts_max": job.attempts_max,
        ":keep": job.keep,
        ":idem_key": job.idempotency.as_ref().map(|ours| &ours.key),
        ":idem_hash": job.idempotency.as_ref().map(|ours| ours.hash),
        ":uniq": job.unique,
        ":replay_of": job.replay_of.map(|id| id.0),
        ":created": now.0,
    })?;
    let id = db.last_insert_rowid();
    db.prepare_cached("INSERT INTO job_payloads VALUES (?, ?)")?.execute(params![id, job.payload])?;
    Ok(JobId(id))
}

/// Adds a dead or cancelled job anew.
pub(super) fn replay(db: &Connection, id: JobId, now: Time) -> Result<Option<JobId>> {
    let Some(old) = row::job(db, id)? else { return Ok(None) };
    if !matches!(old.state, State::Dead | State::Cancelled) {
        return Ok(None);
    }
    let deadline = old.new.deadline.map(|at| now.after(at.since(old.created)));
    let anew = NewJob { run_at: now, deadline, idempotency: None, replay_of: Some(id), ..old.new };
    Ok(Some(add(db, &anew, now)?.id()))
}
