//! A batch as a row.

use crate::batches::{Batch, BatchState, ReadTo};
use crate::{Result, Time};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

/// Adds a batch; whether it was not there yet.
pub(super) fn insert(db: &Connection, batch: &Batch) -> Result<bool> {
    let mut sql = db.prepare_cached(
        "INSERT OR IGNORE INTO batches (id, tenant, input_file, endpoint, state, output_file, error_file, \
         read_byte, read_line, total, completed, failed, created, expires, ended, moments, errors, metadata) \
         VALUES (:id, :tenant, :input_file, :endpoint, :state, :output_file, :error_file, :read_byte, \
         :read_line, :total, :completed, :failed, :created, :expires, :ended, :moments, :errors, :metadata)",
    )?;
    let added = sql.execute(named_params! {
        ":id": batch.id,
        ":tenant": batch.tenant,
        ":input_file": batch.input_file,
        ":endpoint": batch.endpoint,
        ":state": batch.state as i64,
        ":output_file": batch.output_file,
        ":error_file": batch.error_file,
        ":read_byte": batch.read.byte,
        ":read_line": batch.read.line,
        ":total": batch.total,
        ":completed": batch.completed,
        ":failed": batch.failed,
        ":created": batch.created.0,
        ":expires": batch.expires.0,
        ":ended": batch.state.is_final().then_some(batch.created.0),
        ":moments": batch.moments,
        ":errors": batch.errors,
        ":metadata": batch.metadata,
    })?;
    Ok(added > 0)
}

/// The batch with this id.
pub(super) fn batch(db: &Connection, id: &str) -> Result<Option<Batch>> {
    let mut sql = db.prepare_cached("SELECT * FROM batches WHERE id = ?")?;
    Ok(sql.query_row([id], from_row).optional()?)
}

/// A batch from its row.
pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Batch> {
    Ok(Batch {
        id: row.get("id")?,
        tenant: row.get("tenant")?,
        input_file: row.get("input_file")?,
        endpoint: row.get("endpoint")?,
        state: state(row.get("state")?)?,
        output_file: row.get("output_file")?,
        error_file: row.get("error_file")?,
        errors: row.get("errors")?,
        metadata: row.get("metadata")?,
        read: ReadTo { byte: row.get("read_byte")?, line: row.get("read_line")? },
        total: row.get("total")?,
        completed: row.get("completed")?,
        failed: row.get("failed")?,
        created: Time(row.get("created")?),
        moments: row.get("moments")?,
        expires: Time(row.get("expires")?),
    })
}

fn state(number: i64) -> rusqlite::Result<BatchState> {
    let unknown = || format!("{number} is no state of a batch").into();
    BatchState::from_number(number)
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, unknown()))
}
