//! A run as a row.

use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::row::{self, corrupt, readable};
use crate::postgres::transaction::Transaction;
use crate::runs::{Run, RunState};
use crate::{Result, Time};
use tokio_postgres::Row;

const INSERT: &str = "
    INSERT INTO tidegate_runs (
        id, tenant, workflow, version, state, start_key, parent_run, parent_step, created, changed, ended, error,
        definition, input, status, output
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    ON CONFLICT DO NOTHING RETURNING 1";

/// Adds a run, unless there is one with its key or its id; whether it did.
pub(super) async fn insert(transaction: &Transaction, run: &Run, key: Option<&str>) -> Result<bool, Fault> {
    let Run { id, tenant, workflow, version, definition, input, status, output, .. } = run;
    let rows = transaction
        .query(
            INSERT,
            params![
                id,
                tenant,
                workflow,
                version,
                run.state as i16,
                key,
                run.parent.as_ref().map(|(run, _)| run.as_str()),
                run.parent.as_ref().map(|(_, step)| step.as_str()),
                run.created.0,
                run.changed.0,
                run.ended.map(|at| at.0),
                run.error.as_deref().map(readable),
                definition,
                input,
                status,
                output,
            ],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// The run that was started before under the same key, or else the same id.
pub(super) async fn started(
    transaction: &Transaction,
    run: &Run,
    key: Option<&str>,
) -> Result<Option<Run>, Fault> {
    let sql = "
        SELECT * FROM tidegate_runs WHERE id = $1 OR (tenant = $2 AND workflow = $3 AND start_key = $4)
        ORDER BY start_key = $4 DESC NULLS LAST LIMIT 1";
    let rows = transaction.query(sql, params![run.id, run.tenant, run.workflow, key]).await?;
    rows.first().map(from_row).transpose()
}

/// The run, which nobody else changes until the transaction ends.
pub(super) async fn lock(transaction: &Transaction, id: &str) -> Result<Option<Run>, Fault> {
    let sql = "SELECT * FROM tidegate_runs WHERE id = $1 FOR UPDATE";
    transaction.query(sql, params![id]).await?.first().map(from_row).transpose()
}

/// Writes what may change in a run.
pub(super) async fn update(transaction: &Transaction, run: &Run) -> Result<(), Fault> {
    let sql = "
        UPDATE tidegate_runs SET state = $2, changed = $3, ended = $4, error = $5, status = $6, output = $7
        WHERE id = $1";
    let (ended, error) = (run.ended.map(|at| at.0), run.error.as_deref().map(readable));
    let Run { id, status, output, .. } = run;
    transaction.last(sql, params![id, run.state as i16, run.changed.0, ended, error, status, output]).await?;
    Ok(())
}

/// A run from its row.
pub(super) fn from_row(row: &Row) -> Result<Run, Fault> {
    let parent: (Option<String>, Option<String>) = (row.try_get("parent_run")?, row.try_get("parent_step")?);
    Ok(Run {
        id: row.try_get("id")?,
        tenant: row.try_get("tenant")?,
        workflow: row.try_get("workflow")?,
        version: row.try_get("version")?,
        definition: row.try_get("definition")?,
        input: row.try_get("input")?,
        state: state(row.try_get("state")?)?,
        status: row.try_get("status")?,
        output: row.try_get("output")?,
        error: row.try_get("error")?,
        parent: parent.0.zip(parent.1),
        created: Time(row.try_get("created")?),
        changed: Time(row.try_get("changed")?),
        ended: row::moment(row, "ended")?,
    })
}

/// The state with this number.
pub(super) fn state(number: i16) -> Result<RunState, Fault> {
    RunState::from_number(number.into()).ok_or_else(|| corrupt(&format!("the state {number} of a run")))
}
