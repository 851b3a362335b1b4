//! Ends that nobody has spoken for: found, and told of once.

use super::add;
use crate::jobs::{Job, Told};
use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::row;
use crate::postgres::transaction::Transaction;
use crate::{Result, Time};
use std::collections::HashSet;

/// The oldest such ends, so many at most.
pub(super) async fn untold(transaction: &Transaction, limit: u32) -> Result<Vec<Job>, Fault> {
    let sql = format!("{} WHERE j.untold ORDER BY j.id LIMIT $1", row::JOB);
    transaction.last(&sql, params![i64::from(limit)]).await?.iter().map(row::job).collect()
}

/// In the order of their numbers, as everybody locks rows.
const TELL: &str = "
    WITH found AS MATERIALIZED (
        SELECT id FROM tidegate_jobs WHERE id = ANY ($1) AND untold ORDER BY id FOR UPDATE
    )
    UPDATE tidegate_jobs j SET untold = false FROM found WHERE j.id = found.id RETURNING j.id";

/// Adds what follows those of which nobody else has told.
pub(super) async fn tell(transaction: &Transaction, ends: &[Told], now: Time) -> Result<Vec<bool>, Fault> {
    let ids: Vec<i64> = ends.iter().map(|told| told.id.0).collect();
    let rows = transaction.query(TELL, params![ids]).await?;
    let mut untold = HashSet::with_capacity(rows.len());
    for row in rows {
        untold.insert(row.try_get::<_, i64>("id")?);
    }
    // One that is given twice is told of once.
    let is_ours: Vec<bool> = ends.iter().map(|told| untold.remove(&told.id.0)).collect();
    let ours = ends.iter().zip(&is_ours).filter(|(_, is_ours)| **is_ours);
    add::add(transaction, ours.flat_map(|(told, _)| &told.then), now).await?;
    Ok(is_ours)
}
