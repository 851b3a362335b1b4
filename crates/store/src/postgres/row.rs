//! Values on their way between rows and Rust.

use super::fault::Fault;
use crate::jobs::{Band, Idempotency, Job, JobId, Lease, NewJob, State, Token};
use crate::{Error, Result, Time, jobs};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

/// All of a job: the columns for [`job`], to be followed by conditions on `j`.
pub(super) const JOB: &str = "SELECT j.*, f.class, f.message FROM tidegate_jobs j LEFT JOIN LATERAL ( \
     SELECT class, message FROM tidegate_job_faults WHERE job = j.id ORDER BY number DESC LIMIT 1 \
 ) f ON true";

/// A job from a row of [`JOB`].
pub(super) fn job(row: &Row) -> Result<Job, Fault> {
    let class: Option<String> = row.try_get("class")?;
    let fault = match class {
        Some(class) => Some(jobs::Fault { class, message: row.try_get("message")? }),
        None => None,
    };
    Ok(Job {
        id: JobId(row.try_get("id")?),
        state: state(row.try_get("state")?)?,
        new: new_job(row, "")?,
        attempt: count(row, "attempt")?,
        owner: row.try_get("owner")?,
        lease_until: moment(row, "lease_until")?,
        cancel_requested: row.try_get("cancel_requested")?,
        progress: row.try_get("progress")?,
        result: row.try_get("result")?,
        fault,
        created: Time(row.try_get("created")?),
        started: moment(row, "started")?,
        ended: moment(row, "ended")?,
    })
}

/// What was added, from columns that begin with `prefix`.
pub(super) fn new_job(row: &Row, prefix: &str) -> Result<NewJob, Fault> {
    fn get<'r, T: FromSql<'r>>(row: &'r Row, prefix: &str, name: &str) -> Result<T, Fault> {
        Ok(row.try_get(format!("{prefix}{name}").as_str())?)
    }
    let key: Option<String> = get(row, prefix, "idem_key")?;
    let idempotency = match key {
        Some(key) => Some(Idempotency { key, hash: hash(get(row, prefix, "idem_hash")?)? }),
        None => None,
    };
    Ok(NewJob {
        queue: get(row, prefix, "queue")?,
        tenant: get(row, prefix, "tenant")?,
        kind: get(row, prefix, "kind")?,
        band: band(get(row, prefix, "band")?)?,
        run_at: Time(get(row, prefix, "run_at")?),
        deadline: get::<Option<i64>>(row, prefix, "deadline")?.map(Time),
        attempts_max: unsigned(get(row, prefix, "attempts_max")?)?,
        idempotency,
        unique: get(row, prefix, "uniq")?,
        payload: get(row, prefix, "payload")?,
        replay_of: get::<Option<i64>>(row, prefix, "replay_of")?.map(JobId),
        keep: get(row, prefix, "keep")?,
    })
}

fn hash(bytes: &[u8]) -> Result<[u8; 32], Fault> {
    bytes.try_into().map_err(|_| corrupt("a hash that is not 32 bytes long"))
}

/// The lease of a job that was claimed or was held.
pub(super) fn lease(row: &Row) -> Result<Lease, Fault> {
    Ok(Lease { id: JobId(row.try_get("id")?), token: Token(row.try_get("token")?) })
}

/// The band with this number.
pub(super) fn band(number: i16) -> Result<Band, Fault> {
    Band::from_number(number.into()).ok_or_else(|| corrupt(&format!("the band {number}")))
}

/// The state with this number.
pub(super) fn state(number: i16) -> Result<State, Fault> {
    State::from_number(number.into()).ok_or_else(|| corrupt(&format!("the state {number}")))
}

/// A moment that may not have come.
pub(super) fn moment(row: &Row, column: &str) -> Result<Option<Time>, Fault> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(Time))
}

/// How many, from an `integer`.
pub(super) fn count(row: &Row, column: &str) -> Result<u32, Fault> {
    unsigned(row.try_get(column)?)
}

/// How many, from a `bigint`.
pub(super) fn amount(row: &Row, column: &str) -> Result<u64, Fault> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| corrupt(&format!("{number} in {column}")))
}

fn unsigned(number: i32) -> Result<u32, Fault> {
    u32::try_from(number).map_err(|_| corrupt(&format!("{number} where something is counted")))
}

pub(super) fn corrupt(what: &str) -> Fault {
    Error::Corrupt(what.to_owned()).into()
}

/// For a `bigint`; what is greater than fits is as great as fits.
pub(super) fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// For an `integer`, likewise.
pub(super) fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// For a `text` that people read: PostgreSQL keeps no NUL.
pub(super) fn readable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
