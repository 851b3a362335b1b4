//! Looking at jobs without changing them.

use super::due::counted;
use crate::jobs::{Depth, Fault as Why, Filter, Job, JobId, PastFault};
use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::row;
use crate::postgres::transaction::Transaction;
use crate::{Result, Time};

/// The job with this number.
pub(super) async fn get(
    transaction: &Transaction,
    id: JobId,
    tenant: Option<&str>,
) -> Result<Option<Job>, Fault> {
    let sql = format!("{} WHERE j.id = $1 AND ($2 IS NULL OR j.tenant = $2)", row::JOB);
    transaction.last(&sql, params![id.0, tenant]).await?.first().map(row::job).transpose()
}

/// Jobs from the newest on. What is not asked for falls out before the statement is planned.
pub(super) async fn list(
    transaction: &Transaction,
    filter: &Filter,
    before: Option<JobId>,
    limit: u32,
) -> Result<Vec<Job>, Fault> {
    let sql = format!(
        "{} WHERE j.id < $1 AND ($2 IS NULL OR j.tenant = $2) AND ($3 IS NULL OR j.queue = $3)
            AND ($4 IS NULL OR j.kind = $4) AND ($5 IS NULL OR j.state = $5)
         ORDER BY j.id DESC LIMIT $6",
        row::JOB
    );
    let Filter { tenant, queue, kind, state } = filter;
    let before = before.map_or(i64::MAX, |id| id.0);
    let state = state.map(|state| state as i16);
    let rows = transaction.last(&sql, params![before, tenant, queue, kind, state, i64::from(limit)]).await?;
    rows.iter().map(row::job).collect()
}

/// All of a job's faults.
pub(super) async fn faults(transaction: &Transaction, id: JobId) -> Result<Vec<PastFault>, Fault> {
    let sql = "SELECT attempt, at, class, message FROM tidegate_job_faults WHERE job = $1 ORDER BY number";
    let rows = transaction.last(sql, params![id.0]).await?;
    rows.iter()
        .map(|row| {
            let fault = Why { class: row.try_get("class")?, message: row.try_get("message")? };
            Ok(PastFault { attempt: row::count(row, "attempt")?, at: Time(row.try_get("at")?), fault })
        })
        .collect()
}

/// Every queue in which a job is ready, as `names`: by a loose index scan.
macro_rules! ready_queues {
    () => {
        "
    WITH RECURSIVE names (queue) AS (
        (SELECT queue FROM tidegate_jobs WHERE state = 1 ORDER BY queue, band, tenant, run_at, id LIMIT 1)
        UNION ALL
        SELECT (SELECT j.queue FROM tidegate_jobs j WHERE j.state = 1 AND j.queue > names.queue
                ORDER BY j.queue, j.band, j.tenant, j.run_at, j.id LIMIT 1)
        FROM names WHERE names.queue IS NOT NULL
    )"
    };
}

/// What is ready: queues by a loose index scan; within each the tenants, as the oldest of each stands first.
const READY: &str = concat!(ready_queues!(), "
    SELECT queue, 1::smallint AS state, (
        SELECT count(*) FROM (
            SELECT FROM tidegate_jobs j WHERE j.state = 1 AND j.queue = names.queue LIMIT 10000
        ) AS counted
    ) AS count, (
        WITH RECURSIVE heads AS (
            (SELECT band, tenant, run_at FROM tidegate_jobs j WHERE j.state = 1 AND j.queue = names.queue
             ORDER BY j.queue, j.band, j.tenant, j.run_at, j.id LIMIT 1)
            UNION ALL
            SELECT next.* FROM heads CROSS JOIN LATERAL (
                SELECT j.band, j.tenant, j.run_at FROM tidegate_jobs j
                WHERE j.state = 1 AND j.queue = names.queue AND (j.band, j.tenant) > (heads.band, heads.tenant)
                ORDER BY j.queue, j.band, j.tenant, j.run_at, j.id LIMIT 1
            ) AS next
        )
        SELECT min(run_at) FROM (SELECT run_at FROM heads LIMIT 10000) AS oldest
    ) AS oldest
    FROM names WHERE queue IS NOT NULL");

const SCHEDULED: &str = "
    WITH RECURSIVE names (queue) AS (
        (SELECT queue FROM tidegate_jobs WHERE state = 0 ORDER BY queue, run_at LIMIT 1)
        UNION ALL
        SELECT (SELECT j.queue FROM tidegate_jobs j WHERE j.state = 0 AND j.queue > names.queue
                ORDER BY j.queue, j.run_at LIMIT 1)
        FROM names WHERE names.queue IS NOT NULL
    )
    SELECT queue, 0::smallint AS state, (
        SELECT count(*) FROM (
            SELECT FROM tidegate_jobs j WHERE j.state = 0 AND j.queue = names.queue LIMIT 10000
        ) AS counted
    ) AS count, (
        SELECT j.run_at FROM tidegate_jobs j WHERE j.state = 0 AND j.queue = names.queue
        ORDER BY j.queue, j.run_at LIMIT 1
    ) AS oldest
    FROM names WHERE queue IS NOT NULL";

/// As many run as there are workers: never millions.
const RUNNING: &str = "
    SELECT queue, 2::smallint AS state, count(*) AS count, min(run_at) AS oldest
    FROM (SELECT queue, run_at FROM tidegate_jobs WHERE state = 2 LIMIT 100000) AS counted
    GROUP BY queue";

/// What of a tenant is ready, in each queue and band, and what is scheduled: each a range of an index.
const BACKLOG: &str = concat!(
    ready_queues!(),
    "
    SELECT count(*) FROM (
        SELECT FROM names CROSS JOIN generate_series(0, 3) AS bands (band) CROSS JOIN LATERAL (
            SELECT FROM tidegate_jobs j
            WHERE j.state = 1 AND j.queue = names.queue AND j.band = bands.band AND j.tenant = $1
        ) AS ready
        UNION ALL
        SELECT FROM tidegate_jobs WHERE state = 0 AND tenant = $1
        LIMIT $2
    ) AS counted"
);

/// How many jobs of a tenant wait, counted no further than `most`.
pub(super) async fn backlog(transaction: &Transaction, tenant: &str, most: u64) -> Result<u64, Fault> {
    counted(&transaction.last(BACKLOG, params![tenant, row::big(most)]).await?)
}

/// How many are not over, by queue and state.
pub(super) async fn depths(transaction: &Transaction) -> Result<Vec<Depth>, Fault> {
    let sql = format!("({SCHEDULED}) UNION ALL ({READY}) UNION ALL ({RUNNING}) ORDER BY 1, 2");
    let rows = transaction.last(&sql, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(Depth {
                queue: row.try_get("queue")?,
                state: row::state(row.try_get("state")?)?,
                count: row::amount(row, "count")?,
                oldest: row::moment(row, "oldest")?,
            })
        })
        .collect()
}
