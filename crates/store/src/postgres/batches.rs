//! The rows of batches.

mod batch;
pub(super) mod lines;

use super::Postgres;
use super::fault::Fault;
use super::jobs::add;
use super::param::params;
use super::row::big;
use super::transaction::Transaction;
use crate::batches::{Batch, BatchChange, BatchState, Batches, LineEnd, LineText, ReadTo, Stretch};
use crate::jobs::NewJob;
use crate::{Answer, Result, Time};

impl Batches for Postgres {
    fn create(&self, batch: Batch, reader: NewJob) -> Answer<'_, ()> {
        self.write((batch, reader), |transaction, (batch, reader)| {
            Box::pin(async move {
                if batch::insert(transaction, batch).await? {
                    add::add(transaction, [reader], batch.created).await?;
                }
                Ok(())
            })
        })
    }

    fn extend(
        &self,
        id: &str,
        from: ReadTo,
        to: ReadTo,
        jobs: Vec<NewJob>,
        bad: Vec<LineEnd>,
        now: Time,
    ) -> Answer<'_, bool> {
        let given = (id.to_owned(), [from, to], jobs, bad, now);
        self.write(given, |transaction, (id, [from, to], jobs, bad, now)| {
            Box::pin(async move {
                if !read_on(transaction, id, *from, *to, jobs.len() + bad.len()).await? {
                    return Ok(false);
                }
                lines::record(transaction, bad).await?;
                add::add(transaction, jobs, *now).await?;
                Ok(true)
            })
        })
    }

    fn change(&self, id: &str, change: BatchChange) -> Answer<'_, Option<Batch>> {
        self.write((id.to_owned(), change), |transaction, (id, change)| {
            Box::pin(self::change(transaction, id, change))
        })
    }

    fn batch(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<Batch>> {
        self.write((id.to_owned(), tenant.map(str::to_owned)), |transaction, (id, tenant)| {
            Box::pin(async move {
                let sql = format!("{} WHERE b.id = $1 AND ($2 IS NULL OR b.tenant = $2)", batch::SELECT);
                transaction.last(&sql, params![id, tenant]).await?.first().map(batch::from_row).transpose()
            })
        })
    }

    fn list(&self, tenant: Option<&str>, before: Option<&str>, limit: u32) -> Answer<'_, Vec<Batch>> {
        let words = [tenant, before].map(|word| word.map(str::to_owned));
        self.read((words, limit), |transaction, ([tenant, before], limit)| {
            Box::pin(async move {
                let sql = format!(
                    "{} WHERE ($1 IS NULL OR b.tenant = $1)
                         AND ($2 IS NULL OR b.number < (SELECT number FROM tidegate_batches WHERE id = $2))
                     ORDER BY b.number DESC LIMIT $3",
                    batch::SELECT
                );
                let rows = transaction.last(&sql, params![tenant, before, i64::from(*limit)]).await?;
                rows.iter().map(batch::from_row).collect()
            })
        })
    }

    fn open(&self, limit: u32) -> Answer<'_, Vec<Batch>> {
        self.write(limit, |transaction, limit| {
            Box::pin(async move {
                let sql = format!("{} WHERE b.ended IS NULL ORDER BY b.number LIMIT $1", batch::SELECT);
                let rows = transaction.last(&sql, params![i64::from(*limit)]).await?;
                rows.iter().map(batch::from_row).collect()
            })
        })
    }

    fn lines(&self, id: &str, good: bool, stretch: Stretch) -> Answer<'_, Vec<LineEnd>> {
        self.write((id.to_owned(), good, stretch), |transaction, (id, good, stretch)| {
            Box::pin(lines::read(transaction, id, *good, *stretch))
        })
    }

    fn take_back(
        &self,
        id: &str,
        but: Option<&str>,
        limit: u32,
        end: LineText,
        now: Time,
    ) -> Answer<'_, u64> {
        let given = (id.to_owned(), but.map(str::to_owned), limit, end, now);
        self.write(given, |transaction, (id, but, limit, end, now)| {
            Box::pin(lines::take_back(transaction, id, but.as_deref(), *limit, end, *now))
        })
    }

    fn mend(&self, id: &str, limit: u32, end: LineText) -> Answer<'_, u64> {
        self.write((id.to_owned(), limit, end), |transaction, (id, limit, end)| {
            Box::pin(lines::mend(transaction, id, *limit, end))
        })
    }

    fn purge(&self, before: Time, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            let over = self.write((before, limit), |transaction, (before, limit)| {
                Box::pin(over(transaction, *before, *limit))
            });
            let mut purged = 0;
            for id in over.await? {
                let step = || {
                    self.write(id.clone(), |transaction, id| Box::pin(lines::remove_some(transaction, id)))
                };
                while !step().await? {}
                purged += 1;
            }
            Ok(purged)
        })
    }
}

/// Whether nobody has read on since `from`, and the batch is still to be read.
async fn read_on(
    transaction: &Transaction,
    id: &str,
    from: ReadTo,
    to: ReadTo,
    lines: usize,
) -> Result<bool, Fault> {
    let sql = "
        UPDATE tidegate_batches SET read_byte = $2, read_line = $3, total = total + $4
        WHERE id = $1 AND read_byte = $5 AND read_line = $6 AND state = ANY ($7) RETURNING 1";
    let states = vec![BatchState::Validating as i16, BatchState::InProgress as i16];
    let lines = i64::try_from(lines).unwrap_or(i64::MAX);
    let read = transaction
        .query(sql, params![id, big(to.byte), big(to.line), lines, big(from.byte), big(from.line), states])
        .await?;
    Ok(!read.is_empty())
}

/// What is counted is written into the row when the batch is over.
const CHANGE: &str = "
    UPDATE tidegate_batches b SET
        state = coalesce($3, state), output_file = coalesce($4, output_file),
        error_file = coalesce($5, error_file), errors = coalesce($6, errors), moments = coalesce($7, moments),
        ended = CASE WHEN coalesce($3, state) = ANY ($8) THEN coalesce(ended, $9) END,
        completed = CASE WHEN ended IS NULL AND $3 = ANY ($8) THEN counted.completed ELSE b.completed END,
        failed = CASE WHEN ended IS NULL AND $3 = ANY ($8) THEN counted.failed ELSE b.failed END
    FROM (
        SELECT count(*) FILTER (WHERE good) AS completed, count(*) FILTER (WHERE NOT good) AS failed
        FROM tidegate_batch_lines WHERE batch = $1
    ) AS counted
    WHERE id = $1 AND (state = ANY ($2) OR cardinality($2) = 0)
    RETURNING 1";

async fn change(transaction: &Transaction, id: &str, change: &BatchChange) -> Result<Option<Batch>, Fault> {
    let finals = BatchState::ALL.into_iter().filter(|state| state.is_final());
    let BatchChange { output_file, error_file, errors, moments, .. } = change;
    let changed = transaction
        .query(
            CHANGE,
            params![
                id,
                change.from.iter().map(|state| *state as i16).collect::<Vec<_>>(),
                change.to.map(|state| state as i16),
                output_file,
                error_file,
                errors,
                moments,
                finals.map(|state| state as i16).collect::<Vec<_>>(),
                change.at.0,
            ],
        )
        .await?;
    if changed.is_empty() {
        return Ok(None);
    }
    let sql = format!("{} WHERE b.id = $1", batch::SELECT);
    transaction.last(&sql, params![id]).await?.first().map(batch::from_row).transpose()
}

async fn over(transaction: &Transaction, before: Time, limit: u32) -> Result<Vec<String>, Fault> {
    let sql = "SELECT id FROM tidegate_batches WHERE ended < $1 ORDER BY ended LIMIT $2";
    let rows = transaction.last(sql, params![before.0, i64::from(limit)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
