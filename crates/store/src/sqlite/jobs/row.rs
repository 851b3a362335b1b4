//! A job as a row.

use crate::jobs::{Band, Fault, Idempotency, Job, JobId, NewJob, State};
use crate::{Result, Time};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

/// All of a job, to be followed by `WHERE` and conditions on `jobs`.
pub(super) const SELECT: &str = "SELECT jobs.*, \
    (SELECT payload FROM job_payloads WHERE job = jobs.id) AS payload, \
    (SELECT class FROM job_faults WHERE job = jobs.id ORDER BY number DESC LIMIT 1) AS class, \
    (SELECT message FROM job_faults WHERE job = jobs.id ORDER BY number DESC LIMIT 1) AS message \
    FROM jobs";

/// The job with this number.
pub(super) fn job(db: &Connection, id: JobId) -> Result<Option<Job>> {
    let mut sql = db.prepare_cached(&format!("{SELECT} WHERE id = ?"))?;
    Ok(sql.query_row([id.0], from_row).optional()?)
}

/// A job from a row of [`SELECT`].
pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: JobId(row.get("id")?),
        state: state(row.get("state")?)?,
        new: new_job(row)?,
        attempt: row.get("attempt")?,
        owner: row.get("owner")?,
        lease_until: time(row, "lease_until")?,
        cancel_requested: row.get("cancel_requested")?,
        progress: row.get("progress")?,
        result: row.get("result")?,
        fault: fault(row)?,
        created: Time(row.get("created")?),
        started: time(row, "started")?,
        ended: time(row, "ended")?,
    })
}

/// What was added, from the columns of those names.
pub(in crate::sqlite) fn new_job(row: &Row<'_>) -> rusqlite::Result<NewJob> {
    Ok(NewJob {
        queue: row.get("queue")?,
        tenant: row.get("tenant")?,
        kind: row.get("kind")?,
        band: band(row.get("band")?)?,
        run_at: Time(row.get("run_at")?),
        deadline: time(row, "deadline")?,
        attempts_max: row.get("attempts_max")?,
        idempotency: idempotency(row)?,
        unique: row.get("uniq")?,
        payload: row.get("payload")?,
        replay_of: row.get::<_, Option<i64>>("replay_of")?.map(JobId),
        keep: row.get("keep")?,
    })
}

fn idempotency(row: &Row<'_>) -> rusqlite::Result<Option<Idempotency>> {
    let Some(key) = row.get("idem_key")? else { return Ok(None) };
    Ok(Some(Idempotency { key, hash: row.get("idem_hash")? }))
}

fn fault(row: &Row<'_>) -> rusqlite::Result<Option<Fault>> {
    let Some(class) = row.get("class")? else { return Ok(None) };
    Ok(Some(Fault { class, message: row.get("message")? }))
}

/// A moment that may not have come.
pub(in crate::sqlite) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Time>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Time))
}

/// The band with this number.
pub(super) fn band(number: i64) -> rusqlite::Result<Band> {
    Band::from_number(number).ok_or_else(|| unknown("band", number))
}

/// The state with this number.
pub(in crate::sqlite) fn state(number: i64) -> rusqlite::Result<State> {
    State::from_number(number).ok_or_else(|| unknown("state", number))
}

fn unknown(what: &str, number: i64) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, format!("{number} is no {what}").into())
}
