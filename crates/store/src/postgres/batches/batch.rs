//! A batch as a row.

use crate::batches::{Batch, BatchState, ReadTo};
use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::row::{amount, big, corrupt};
use crate::postgres::transaction::Transaction;
use crate::{Result, Time};
use tokio_postgres::Row;

/// All of a batch, to be followed by conditions on `b`. Its lines are counted here while it is not over.
pub(super) const SELECT: &str = "
    SELECT b.*, coalesce(l.good, b.completed) AS completed_now, coalesce(l.bad, b.failed) AS failed_now
    FROM tidegate_batches b LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE good) AS good, count(*) FILTER (WHERE NOT good) AS bad
        FROM tidegate_batch_lines WHERE batch = b.id
    ) AS l ON b.ended IS NULL";

const INSERT: &str = "
    INSERT INTO tidegate_batches (
        id, tenant, input_file, endpoint, state, output_file, error_file, read_byte, read_line, total, completed,
        failed, created, expires, ended, errors, metadata, moments
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
    ON CONFLICT DO NOTHING RETURNING 1";

/// Adds a batch; whether it was not there yet.
pub(super) async fn insert(transaction: &Transaction, batch: &Batch) -> Result<bool, Fault> {
    let Batch { id, tenant, input_file, endpoint, output_file, error_file, errors, metadata, .. } = batch;
    let rows = transaction
        .query(
            INSERT,
            params![
                id,
                tenant,
                input_file,
                endpoint,
                batch.state as i16,
                output_file,
                error_file,
                big(batch.read.byte),
                big(batch.read.line),
                big(batch.total),
                big(batch.completed),
                big(batch.failed),
                batch.created.0,
                batch.expires.0,
                batch.state.is_final().then_some(batch.created.0),
                errors,
                metadata,
                batch.moments,
            ],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// A batch from a row of [`SELECT`].
pub(super) fn from_row(row: &Row) -> Result<Batch, Fault> {
    let number: i16 = row.try_get("state")?;
    let state = BatchState::from_number(number.into());
    Ok(Batch {
        id: row.try_get("id")?,
        tenant: row.try_get("tenant")?,
        input_file: row.try_get("input_file")?,
        endpoint: row.try_get("endpoint")?,
        state: state.ok_or_else(|| corrupt(&format!("the state {number} of a batch")))?,
        output_file: row.try_get("output_file")?,
        error_file: row.try_get("error_file")?,
        errors: row.try_get("errors")?,
        metadata: row.try_get("metadata")?,
        read: ReadTo { byte: amount(row, "read_byte")?, line: amount(row, "read_line")? },
        total: amount(row, "total")?,
        completed: amount(row, "completed_now")?,
        failed: amount(row, "failed_now")?,
        created: Time(row.try_get("created")?),
        moments: row.try_get("moments")?,
        expires: Time(row.try_get("expires")?),
    })
}
