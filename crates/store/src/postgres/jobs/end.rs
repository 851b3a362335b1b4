//! The end of attempts, and of jobs.

use super::add;
use crate::jobs::{Cancel, End, Finish, JobId, Lease};
use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::row::{self, big, readable};
use crate::postgres::transaction::Transaction;
use crate::{Result, Time};
use std::collections::HashSet;

const FINISH: &str = "SELECT * FROM tidegate_finish_2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// Ends attempts, and says of each whether its lease was held.
pub(super) async fn finish(transaction: &Transaction, ends: &[Finish]) -> Result<Vec<bool>, Fault> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let is_last = ends.iter().all(|end| end.then.is_empty());
    let held = finish_all(transaction, ends, is_last).await?;
    // Each moment's jobs in one statement; mostly there is one moment.
    let mut added = Vec::new();
    for (end, _) in ends.iter().zip(&held).filter(|(end, held)| **held && !end.then.is_empty()) {
        match added.last_mut() {
            Some((at, jobs)) if *at == end.at => Vec::extend(jobs, &end.then),
            _ => added.push((end.at, end.then.iter().collect::<Vec<_>>())),
        }
    }
    for (at, jobs) in added {
        add::add(transaction, jobs, at).await?;
    }
    Ok(held)
}

/// Whether the lease is held; so it stays until the transaction ends.
pub(in crate::postgres) async fn is_held(transaction: &Transaction, lease: Lease) -> Result<bool, Fault> {
    let sql = "SELECT FROM tidegate_jobs WHERE id = $1 AND token = $2 AND state + 0 = 2 FOR UPDATE";
    Ok(!transaction.query(sql, params![lease.id.0, lease.token.0]).await?.is_empty())
}

/// Ends one attempt without more; whether its lease was held.
pub(in crate::postgres) async fn end(
    transaction: &Transaction,
    lease: Lease,
    at: Time,
    end: &End,
) -> Result<bool, Fault> {
    let finish = Finish { lease, at, end: end.clone(), then: Vec::new(), line: None };
    Ok(finish_all(transaction, &[finish], false).await?.contains(&true))
}

async fn finish_all(transaction: &Transaction, ends: &[Finish], is_last: bool) -> Result<Vec<bool>, Fault> {
    // A lease can be given back once: the second time it is not held.
    let mut seen = HashSet::new();
    let firsts: Vec<bool> = ends.iter().map(|end| seen.insert(end.lease)).collect();
    let mut sorted: Vec<&Finish> =
        ends.iter().zip(&firsts).filter_map(|(end, first)| first.then_some(end)).collect();
    sorted.sort_by_key(|end| end.lease.id);
    let given = Ends::of(&sorted);
    let line = || sorted.iter().map(|end| end.line.as_ref());
    let rows = transaction
        .send(
            FINISH,
            params![
                given.id,
                given.token,
                given.at,
                given.how,
                given.run_at,
                given.result,
                given.class,
                given.message,
                line().map(|line| line.map(|line| line.batch.as_str())).collect::<Vec<_>>(),
                line().map(|line| line.map(|line| big(line.line))).collect::<Vec<_>>(),
                line().map(|line| line.map(|line| line.good)).collect::<Vec<_>>(),
                line().map(|line| line.map(|line| line.text.as_slice())).collect::<Vec<_>>(),
            ],
            is_last,
        )
        .await?;
    let held: HashSet<Lease> = rows.iter().map(row::lease).collect::<Result<_, _>>()?;
    Ok(ends.iter().zip(firsts).map(|(end, first)| first && held.contains(&end.lease)).collect())
}

/// Ends by columns; see `tidegate_finish_2`.
#[derive(Default)]
struct Ends<'e> {
    id: Vec<i64>,
    token: Vec<i64>,
    at: Vec<i64>,
    how: Vec<i16>,
    run_at: Vec<Option<i64>>,
    result: Vec<Option<&'e [u8]>>,
    class: Vec<Option<String>>,
    message: Vec<Option<String>>,
}

impl<'e> Ends<'e> {
    fn of(ends: &[&'e Finish]) -> Self {
        let mut columns = Self::default();
        for finish in ends {
            columns.id.push(finish.lease.id.0);
            columns.token.push(finish.lease.token.0);
            columns.at.push(finish.at.0);
            let (how, run_at, result, fault) = match &finish.end {
                End::Done { result } => (0, None, Some(result.as_slice()), None),
                End::Again { run_at, fault } => (1, Some(run_at.0), None, Some(fault)),
                End::Dead { fault } => (2, None, None, Some(fault)),
                End::Cancelled => (3, None, None, None),
                End::Released => (4, None, None, None),
                End::Later { run_at } => (5, Some(run_at.0), None, None),
            };
            columns.how.push(how);
            columns.run_at.push(run_at);
            columns.result.push(result);
            columns.class.push(fault.map(|fault| readable(&fault.class)));
            columns.message.push(fault.map(|fault| readable(&fault.message)));
        }
        columns
    }
}

const CANCEL: &str = "
    WITH found AS MATERIALIZED (
        SELECT id, state FROM tidegate_jobs WHERE id = $1 AND ($2::text IS NULL OR tenant = $2) FOR UPDATE
    ), changed AS (
        UPDATE tidegate_jobs j
        SET state = CASE WHEN found.state < 2 THEN 5 ELSE j.state END,
            ended = CASE WHEN found.state < 2 THEN $3 END, untold = found.state < 2,
            cancel_requested = found.state = 2 OR j.cancel_requested
        FROM found WHERE j.id = found.id AND found.state <= 2
    )
    SELECT state FROM found";

/// Takes a job back, or asks whoever runs it to stop.
pub(super) async fn cancel(
    transaction: &Transaction,
    id: JobId,
    tenant: Option<&str>,
    now: Time,
) -> Result<Cancel, Fault> {
    let rows = transaction.last(CANCEL, params![id.0, tenant, now.0]).await?;
    let Some(found) = rows.first() else { return Ok(Cancel::Unknown) };
    outcome(found.try_get("state")?)
}

/// What cancelling a job came to that stood so.
fn outcome(before: i16) -> Result<Cancel, Fault> {
    Ok(match row::state(before)? {
        crate::jobs::State::Scheduled | crate::jobs::State::Ready => Cancel::Done,
        crate::jobs::State::Running => Cancel::Asked,
        over => Cancel::Over(over),
    })
}

/// All jobs whose word is this one before a slash and something after it.
const CANCEL_UNDER: &str = "
    WITH found AS MATERIALIZED (
        SELECT id, state FROM tidegate_jobs
        WHERE uniq IS NOT NULL AND state < 3 AND uniq >= $1 || '/' AND uniq < $1 || '0' AND ($3 OR state < 2)
        ORDER BY id FOR UPDATE
    ), changed AS (
        UPDATE tidegate_jobs j
        SET state = CASE WHEN found.state < 2 THEN 5 ELSE j.state END,
            ended = CASE WHEN found.state < 2 THEN $2 END,
            cancel_requested = found.state = 2 OR j.cancel_requested
        FROM found WHERE j.id = found.id
    )
    SELECT state FROM found ORDER BY id";

/// Takes back a run's jobs that have not begun, and, where `running` says so, asks those that run to stop.
pub(in crate::postgres) async fn cancel_under(
    transaction: &Transaction,
    run: &str,
    now: Time,
    running: bool,
) -> Result<Vec<Cancel>, Fault> {
    let rows = transaction.query(CANCEL_UNDER, params![run, now.0, running]).await?;
    rows.iter().map(|row| outcome(row.try_get("state")?)).collect()
}
