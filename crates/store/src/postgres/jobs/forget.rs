//! Forgetting jobs that are over.

use super::due::counted;
use crate::jobs::{Filter, State};
use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::transaction::Transaction;
use crate::{Result, Time};

/// By state, as the index of what is over is.
const PURGE: &str = "
    WITH old AS MATERIALIZED (
        SELECT id FROM tidegate_jobs
        WHERE state >= 3 AND state = $1 AND ended < $2 AND ($3 IS NULL OR tenant = $3)
            AND ($4 IS NULL OR queue = $4) AND ($5 IS NULL OR kind = $5) AND NOT untold
        ORDER BY ended LIMIT $6 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM tidegate_jobs j USING old WHERE j.id = old.id
    ), forgotten AS (
        DELETE FROM tidegate_job_faults f USING old WHERE f.job = old.id
    )
    SELECT count(*) FROM old";

/// Forgets jobs in one state, so many at most; says how many those were.
pub(super) async fn purge(
    transaction: &Transaction,
    (filter, state, before, limit): &(Filter, State, Time, u32),
) -> Result<u64, Fault> {
    let Filter { tenant, queue, kind, .. } = filter;
    let rows = transaction
        .last(PURGE, params![*state as i16, before.0, tenant, queue, kind, i64::from(*limit)])
        .await?;
    counted(&rows)
}
