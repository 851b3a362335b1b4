//! What time brings about: jobs whose hour has come, leases that are renewed, and leases that ran out.

use crate::jobs::{Beat, Pulse};
use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::row;
use crate::postgres::transaction::Transaction;
use crate::{Result, Time};
use std::collections::HashMap;

const PROMOTE: &str = "
    WITH due AS MATERIALIZED (
        SELECT id FROM tidegate_jobs WHERE state = 0 AND run_at <= $1
        ORDER BY run_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ), changed AS (
        UPDATE tidegate_jobs j SET state = 1 FROM due WHERE j.id = due.id
    )
    SELECT count(*) FROM due";

/// Makes ready what is due, so many at most.
pub(super) async fn promote(transaction: &Transaction, now: Time, limit: u32) -> Result<u64, Fault> {
    counted(&transaction.last(PROMOTE, params![now.0, i64::from(limit)]).await?)
}

/// When the next is due.
pub(super) async fn next(transaction: &Transaction) -> Result<Option<Time>, Fault> {
    let rows = transaction.last("SELECT min(run_at) FROM tidegate_jobs WHERE state = 0", &[]).await?;
    let next: Option<i64> = rows.first().map_or(Ok(None), |row| row.try_get(0))?;
    Ok(next.map(Time))
}

const BEAT: &str = "SELECT * FROM tidegate_beat_1($1, $2, $3, $4)";

/// Renews leases, and says of each whether it was held.
pub(super) async fn beat(
    transaction: &Transaction,
    beats: &[Beat],
    until: Time,
) -> Result<Vec<Pulse>, Fault> {
    if beats.is_empty() {
        return Ok(Vec::new());
    }
    let mut sorted: Vec<&Beat> = beats.iter().collect();
    sorted.sort_by_key(|beat| beat.lease.id);
    let every = || sorted.iter();
    let rows = transaction
        .last(
            BEAT,
            params![
                every().map(|beat| beat.lease.id.0).collect::<Vec<_>>(),
                every().map(|beat| beat.lease.token.0).collect::<Vec<_>>(),
                every().map(|beat| beat.progress.as_deref()).collect::<Vec<_>>(),
                until.0,
            ],
        )
        .await?;
    let mut held = HashMap::with_capacity(rows.len());
    for row in rows {
        let pulse = if row.try_get("cancel_requested")? { Pulse::Cancelled } else { Pulse::Held };
        held.insert(row::lease(&row)?, pulse);
    }
    Ok(beats.iter().map(|beat| held.get(&beat.lease).copied().unwrap_or(Pulse::Lost)).collect())
}

const REAP: &str = "
    WITH expired AS MATERIALIZED (
        SELECT id, attempt, CASE WHEN cancel_requested THEN 5 WHEN attempt >= attempts_max THEN 4 ELSE 1 END AS next
        FROM tidegate_jobs WHERE state = 2 AND lease_until <= $1
        ORDER BY lease_until LIMIT $2 FOR UPDATE SKIP LOCKED
    ), noted AS (
        INSERT INTO tidegate_job_faults (job, attempt, at, class, message)
        SELECT id, attempt, $1, 'lease', 'whoever ran it was not heard of again' FROM expired
    ), changed AS (
        UPDATE tidegate_jobs j
        SET state = expired.next, owner = NULL, lease_until = NULL,
            ended = CASE WHEN expired.next >= 3 THEN $1 END, untold = expired.next >= 3
        FROM expired WHERE j.id = expired.id
    )
    SELECT count(*) FROM expired";

/// Takes back what nobody has renewed, so many at most.
pub(super) async fn reap(transaction: &Transaction, now: Time, limit: u32) -> Result<u64, Fault> {
    counted(&transaction.last(REAP, params![now.0, i64::from(limit)]).await?)
}

/// How many, as the only row's first column says.
pub(in crate::postgres) fn counted(rows: &[tokio_postgres::Row]) -> Result<u64, Fault> {
    let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}
