//! The steps of a run.

use crate::Result;
use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::row::{self, int, readable};
use crate::postgres::transaction::Transaction;
use crate::runs::Step;
use std::collections::BTreeMap;
use tokio_postgres::Row;

const WRITE: &str = "
    INSERT INTO tidegate_run_steps (run, key, state, attempts, started, ended, error, input, output)
    SELECT $1, g.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9) AS g
    ON CONFLICT (run, key) DO UPDATE SET
        state = excluded.state, attempts = excluded.attempts, started = excluded.started, ended = excluded.ended,
        error = excluded.error, input = excluded.input, output = excluded.output";

/// Writes steps, each whole; of two with the same key the later.
pub(super) async fn write(transaction: &Transaction, run: &str, steps: &[Step]) -> Result<(), Fault> {
    if steps.is_empty() {
        return Ok(());
    }
    let steps: BTreeMap<&str, &Step> = steps.iter().map(|step| (step.key.as_str(), step)).collect();
    let every = || steps.values();
    transaction
        .query(
            WRITE,
            params![
                run,
                steps.keys().copied().collect::<Vec<_>>(),
                every().map(|step| step.state.as_str()).collect::<Vec<_>>(),
                every().map(|step| int(step.attempts)).collect::<Vec<_>>(),
                every().map(|step| step.started.map(|at| at.0)).collect::<Vec<_>>(),
                every().map(|step| step.ended.map(|at| at.0)).collect::<Vec<_>>(),
                every().map(|step| step.error.as_deref().map(readable)).collect::<Vec<_>>(),
                every().map(|step| step.input.as_deref()).collect::<Vec<_>>(),
                every().map(|step| step.output.as_deref()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

/// Those named, or all, by key; so many at most.
pub(super) async fn read(
    transaction: &Transaction,
    run: &str,
    keys: Option<&[String]>,
    limit: u32,
) -> Result<Vec<Step>, Fault> {
    let rows = match keys {
        Some(keys) => {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let sql = "
                SELECT * FROM tidegate_run_steps WHERE run = $1 AND key = ANY ($2) ORDER BY key LIMIT $3";
            transaction.last(sql, params![run, keys, i64::from(limit)]).await?
        }
        None => {
            let sql = "SELECT * FROM tidegate_run_steps WHERE run = $1 ORDER BY key LIMIT $2";
            transaction.last(sql, params![run, i64::from(limit)]).await?
        }
    };
    rows.iter().map(from_row).collect()
}

fn from_row(row: &Row) -> Result<Step, Fault> {
    Ok(Step {
        key: row.try_get("key")?,
        state: row.try_get("state")?,
        input: row.try_get("input")?,
        output: row.try_get("output")?,
        error: row.try_get("error")?,
        attempts: row::count(row, "attempts")?,
        started: row::moment(row, "started")?,
        ended: row::moment(row, "ended")?,
    })
}
