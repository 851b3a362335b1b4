//! A run as a row.

use crate::runs::{Run, RunState};
use crate::{Result, Time};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

/// All of a run, to be followed by `WHERE` and conditions on `runs`.
pub(super) const SELECT: &str =
    "SELECT runs.*, definition, input FROM runs CROSS JOIN run_givens ON run_givens.run = runs.number";

/// The run with this id.
pub(super) fn run(db: &Connection, id: &str) -> Result<Option<Run>> {
    let mut sql = db.prepare_cached(&format!("{SELECT} WHERE id = ?"))?;
    Ok(sql.query_row([id], from_row).optional()?)
}

/// Its number, and the run.
pub(super) fn numbered(db: &Connection, id: &str) -> Result<Option<(i64, Run)>> {
    let mut sql = db.prepare_cached(&format!("{SELECT} WHERE id = ?"))?;
    Ok(sql.query_row([id], |row| Ok((row.get("number")?, from_row(row)?))).optional()?)
}

/// The run that was started before under the same key or the same id.
pub(super) fn started(db: &Connection, run: &Run, key: Option<&str>) -> Result<Option<Run>> {
    if let Some(key) = key
        && let Some(found) = keyed(db, &run.tenant, &run.workflow, key)?
    {
        return Ok(Some(found));
    }
    self::run(db, &run.id)
}

/// The run that was started before under this key.
pub(super) fn keyed(db: &Connection, tenant: &str, workflow: &str, key: &str) -> Result<Option<Run>> {
    let mut sql =
        db.prepare_cached(&format!("{SELECT} WHERE tenant = ? AND workflow = ? AND start_key = ?"))?;
    Ok(sql.query_row(params![tenant, workflow, key], from_row).optional()?)
}

/// Adds a run; its number.
pub(super) fn insert(db: &Connection, run: &Run, key: Option<&str>) -> Result<i64> {
    let mut sql = db.prepare_cached(
        "INSERT INTO runs (id, tenant, workflow, version, state, start_key, parent_run, parent_step, created, \
         changed, ended, error, status, output) VALUES (:id, :tenant, :workflow, :version, :state, \
         :start_key, :parent_run, :parent_step, :created, :changed, :ended, :error, :status, :output)",
    )?;
    sql.execute(named_params! {
        ":id": run.id,
        ":tenant": run.tenant,
        ":workflow": run.workflow,
        ":version": run.version,
        ":state": run.state as i64,
        ":start_key": key,
        ":parent_run": run.parent.as_ref().map(|(run, _)| run),
        ":parent_step": run.parent.as_ref().map(|(_, step)| step),
        ":created": run.created.0,
        ":changed": run.changed.0,
        ":ended": run.ended.map(|at| at.0),
        ":error": run.error,
        ":status": run.status,
        ":output": run.output,
    })?;
    let number = db.last_insert_rowid();
    let mut sql = db.prepare_cached("INSERT INTO run_givens VALUES (?, ?, ?)")?;
    sql.execute(params![number, run.definition, run.input])?;
    Ok(number)
}

/// Writes what may change in a run.
pub(super) fn update(db: &Connection, number: i64, run: &Run) -> Result<()> {
    let mut sql = db.prepare_cached(
        "UPDATE runs SET state = ?, changed = ?, ended = ?, error = ?, status = ?, output = ? WHERE number = ?",
    )?;
    let ended = run.ended.map(|at| at.0);
    sql.execute(params![run.state as i64, run.changed.0, ended, run.error, run.status, run.output, number])?;
    Ok(())
}

/// A run from a row of [`SELECT`].
pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Run> {
    let parent: (Option<String>, Option<String>) = (row.get("parent_run")?, row.get("parent_step")?);
    Ok(Run {
        id: row.get("id")?,
        tenant: row.get("tenant")?,
        workflow: row.get("workflow")?,
        version: row.get("version")?,
        definition: row.get("definition")?,
        input: row.get("input")?,
        state: state(row.get("state")?)?,
        status: row.get("status")?,
        output: row.get("output")?,
        error: row.get("error")?,
        parent: parent.0.zip(parent.1),
        created: Time(row.get("created")?),
        changed: Time(row.get("changed")?),
        ended: row.get::<_, Option<i64>>("ended")?.map(Time),
    })
}

/// The state with this number.
pub(super) fn state(number: i64) -> rusqlite::Result<RunState> {
    let unknown = || format!("{number} is no state of a run").into();
    RunState::from_number(number)
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, unknown()))
}
