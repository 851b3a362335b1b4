//! Adding jobs, once each, any number in one statement.

use crate::jobs::{Added, JobId, NewJob};
use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::row::{self, int};
use crate::postgres::transaction::Transaction;
use crate::{Error, Result, Time};
use std::collections::HashSet;

/// How often a job is tried to be added whose key or word is taken, and is free when one looks who has it.
const TRIES: usize = 5;

const ADD: &str = "
    SELECT * FROM tidegate_add_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

/// Who has the key, and who the word.
const FIND: &str = "
    SELECT same.id AS same, same.idem_hash, other.id AS other
    FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS g (tenant, kind, idem_key, uniq, place)
    LEFT JOIN tidegate_jobs same
        ON same.tenant = g.tenant AND same.kind = g.kind AND same.idem_key = g.idem_key
    LEFT JOIN tidegate_jobs other
        ON other.uniq = g.uniq AND other.tenant = g.tenant AND other.kind = g.kind AND other.state < 3
    ORDER BY place";

/// A job to be added, by its place among those given.
type Open<'j> = (usize, &'j NewJob);

/// Adds jobs, and says of each what came of it.
pub(in crate::postgres) async fn add(
    transaction: &Transaction,
    jobs: impl IntoIterator<Item = &NewJob>,
    now: Time,
) -> Result<Vec<Added>, Fault> {
    let mut open: Vec<Open<'_>> = jobs.into_iter().enumerate().collect();
    let mut outcomes: Vec<Option<Added>> = vec![None; open.len()];
    for _ in 0..TRIES {
        if open.is_empty() {
            break;
        }
        insert(transaction, &open, &mut outcomes, now, false).await?;
        open.retain(|(place, _)| outcomes.get(*place).is_some_and(Option::is_none));
        if !open.is_empty() {
            find(transaction, &open, &mut outcomes).await?;
            open.retain(|(place, _)| outcomes.get(*place).is_some_and(Option::is_none));
        }
    }
    all(outcomes)
}

/// Adds jobs, and nothing more in this transaction: one round trip where none has a key or a word.
pub(super) async fn add_only(
    transaction: &Transaction,
    jobs: &[NewJob],
    now: Time,
) -> Result<Vec<Added>, Fault> {
    if jobs.iter().any(|job| job.idempotency.is_some() || job.unique.is_some()) {
        return add(transaction, jobs, now).await;
    }
    let open: Vec<Open<'_>> = jobs.iter().enumerate().collect();
    let mut outcomes = vec![None; open.len()];
    if !open.is_empty() {
        insert(transaction, &open, &mut outcomes, now, true).await?;
    }
    all(outcomes)
}

fn all(outcomes: Vec<Option<Added>>) -> Result<Vec<Added>, Fault> {
    let all: Option<Vec<Added>> = outcomes.into_iter().collect();
    all.ok_or_else(|| Error::Away("others add the same jobs, and end them, all the time".to_owned()).into())
}

/// Adds those that can be.
async fn insert(
    transaction: &Transaction,
    open: &[Open<'_>],
    outcomes: &mut [Option<Added>],
    now: Time,
    is_last: bool,
) -> Result<(), Fault> {
    let given = Columns::of(open);
    let rows = transaction
        .send(
            ADD,
            params![
                given.queue,
                given.tenant,
                given.kind,
                given.band,
                given.run_at,
                given.deadline,
                given.attempts_max,
                given.idem_key,
                given.idem_hash,
                given.uniq,
                given.payload,
                given.replay_of,
                given.keep,
                now.0,
            ],
            is_last,
        )
        .await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let given: Vec<i64> = row.try_get("given_ids")?;
    let added: HashSet<i64> =
        row.try_get::<_, Option<Vec<i64>>>("added_ids")?.into_iter().flatten().collect();
    for ((place, _), id) in open.iter().zip(given).filter(|(_, id)| added.contains(id)) {
        note(outcomes, *place, Added::New(JobId(id)));
    }
    Ok(())
}

/// Looks who has what hindered those that could not be added. Whoever had it may be gone by now.
async fn find(
    transaction: &Transaction,
    open: &[Open<'_>],
    outcomes: &mut [Option<Added>],
) -> Result<(), Fault> {
    let given = Columns::of(open);
    let rows = transaction.query(FIND, params![given.tenant, given.kind, given.idem_key, given.uniq]).await?;
    for ((place, job), row) in open.iter().zip(rows) {
        let same: Option<i64> = row.try_get("same")?;
        let other: Option<i64> = row.try_get("other")?;
        let hash: Option<&[u8]> = row.try_get("idem_hash")?;
        let ours = job.idempotency.as_ref().map(|ours| &ours.hash[..]);
        match (same, other) {
            (Some(id), _) if hash == ours => note(outcomes, *place, Added::Same(JobId(id))),
            (Some(id), _) => note(outcomes, *place, Added::Mismatch(JobId(id))),
            (None, Some(id)) => note(outcomes, *place, Added::Unique(JobId(id))),
            (None, None) => {}
        }
    }
    Ok(())
}

/// Who has the job's key, or else its word.
pub(super) async fn find_one(transaction: &Transaction, job: &NewJob) -> Result<Option<Added>, Fault> {
    let mut outcomes = [None];
    find(transaction, &[(0, job)], &mut outcomes).await?;
    let [found] = outcomes;
    Ok(found)
}

fn note(outcomes: &mut [Option<Added>], place: usize, outcome: Added) {
    if let Some(slot) = outcomes.get_mut(place) {
        *slot = Some(outcome);
    }
}

/// Jobs by columns.
#[derive(Default)]
struct Columns<'j> {
    queue: Vec<&'j str>,
    tenant: Vec<&'j str>,
    kind: Vec<&'j str>,
    band: Vec<i16>,
    run_at: Vec<i64>,
    deadline: Vec<Option<i64>>,
    attempts_max: Vec<i32>,
    idem_key: Vec<Option<&'j str>>,
    idem_hash: Vec<Option<&'j [u8]>>,
    uniq: Vec<Option<&'j str>>,
    payload: Vec<&'j [u8]>,
    replay_of: Vec<Option<i64>>,
    keep: Vec<bool>,
}

impl<'j> Columns<'j> {
    fn of(open: &[Open<'j>]) -> Self {
        let mut columns = Self::default();
        for (_, job) in open {
            columns.queue.push(&job.queue);
            columns.tenant.push(&job.tenant);
            columns.kind.push(&job.kind);
            columns.band.push(job.band as i16);
            columns.run_at.push(job.run_at.0);
            columns.deadline.push(job.deadline.map(|at| at.0));
            columns.attempts_max.push(int(job.attempts_max));
            columns.idem_key.push(job.idempotency.as_ref().map(|ours| ours.key.as_str()));
            columns.idem_hash.push(job.idempotency.as_ref().map(|ours| &ours.hash[..]));
            columns.uniq.push(job.unique.as_deref());
            columns.payload.push(&job.payload);
            columns.replay_of.push(job.replay_of.map(|id| id.0));
            columns.keep.push(job.keep);
        }
        columns
    }
}

/// Adds a dead or cancelled job anew, with as long until its deadline as it had.
pub(super) async fn replay(transaction: &Transaction, id: JobId, now: Time) -> Result<Option<JobId>, Fault> {
    let sql = format!("{} WHERE j.id = $1 AND j.state IN (4, 5)", row::JOB);
    let Some(found) = transaction.query(&sql, params![id.0]).await?.first().map(row::job).transpose()? else {
        return Ok(None);
    };
    let deadline = found.new.deadline.map(|at| now.after(at.since(found.created)));
    let anew = NewJob { run_at: now, deadline, idempotency: None, replay_of: Some(id), ..found.new };
    let added = add(transaction, [&anew], now).await?;
    Ok(added.first().map(|added| added.id()))
}
