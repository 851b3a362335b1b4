//! The lines of a batch that have ended: each once.

use crate::batches::{LineEnd, LineText, Stretch};
use crate::postgres::fault::Fault;
use crate::postgres::jobs::counted;
use crate::postgres::param::params;
use crate::postgres::row::{amount, big};
use crate::postgres::transaction::Transaction;
use crate::{Result, Time};

/// Lines removed in one step, so that no transaction is long.
const LINES_A_STEP: i64 = 1000;

const RECORD: &str = "
    INSERT INTO tidegate_batch_lines (batch, line, good, text)
    SELECT g.batch, g.line, g.good, g.text
    FROM unnest($1, $2, $3, $4) AS g (batch, line, good, text) JOIN tidegate_batches b ON b.id = g.batch
    ON CONFLICT DO NOTHING";

/// Writes how lines ended; nothing of those that had ended before, or whose batch is no more.
pub(in crate::postgres) async fn record(transaction: &Transaction, lines: &[LineEnd]) -> Result<(), Fault> {
    if lines.is_empty() {
        return Ok(());
    }
    transaction
        .query(
            RECORD,
            params![
                lines.iter().map(|line| line.batch.as_str()).collect::<Vec<_>>(),
                lines.iter().map(|line| big(line.line)).collect::<Vec<_>>(),
                lines.iter().map(|line| line.good).collect::<Vec<_>>(),
                lines.iter().map(|line| line.text.as_slice()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

/// Lengths are looked at before texts are fetched: no more leaves the server than is wanted.
const READ: &str = "
    WITH found AS MATERIALIZED (
        SELECT line, sum(octet_length(text)) OVER (ORDER BY line) AS so_far, octet_length(text) AS length
        FROM (
            SELECT line, text FROM tidegate_batch_lines
            WHERE batch = $1 AND line >= $2 AND good = $3 ORDER BY line LIMIT $4
        ) AS first_ones
    )
    SELECT l.line, l.text FROM found JOIN tidegate_batch_lines l ON l.batch = $1 AND l.line = found.line
    WHERE so_far <= $5 OR so_far = length
    ORDER BY line";

/// Lines by their numbers, until there are enough of them or of their bytes; one at least, if there is any.
pub(super) async fn read(
    transaction: &Transaction,
    id: &str,
    good: bool,
    stretch: Stretch,
) -> Result<Vec<LineEnd>, Fault> {
    let Stretch { after, limit, bytes } = stretch;
    let from = after.map_or(0, |line| big(line).saturating_add(1));
    let rows = transaction.last(READ, params![id, from, good, i64::from(limit), big(bytes)]).await?;
    rows.iter()
        .map(|row| {
            let (line, text) = (amount(row, "line")?, row.try_get("text")?);
            Ok(LineEnd { batch: id.to_owned(), line, good, text })
        })
        .collect()
}

/// Jobs of lines that have not begun: gone, or left as cancelled where they are to be kept. Others than lines
/// belong to a batch too: the job that reads its input has no number behind the slash.
const TAKE_BACK: &str = "
    WITH found AS MATERIALIZED (
        SELECT id, keep, payload, substr(uniq, length($1) + 2) AS word FROM tidegate_jobs
        WHERE uniq IS NOT NULL AND state < 3 AND uniq >= $1 || '/' AND uniq < $1 || '0' AND state < 2
            AND substr(uniq, length($1) + 2) ~ '^[0-9]{1,18}$' AND queue IS DISTINCT FROM $4
        ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM tidegate_jobs j USING found WHERE j.id = found.id AND NOT found.keep
    ), forgotten AS (
        DELETE FROM tidegate_job_faults f USING found WHERE f.job = found.id AND NOT found.keep
    ), closed AS (
        UPDATE tidegate_jobs j SET state = 5, ended = $3 FROM found WHERE j.id = found.id AND found.keep
    )
    SELECT word::bigint AS line, payload FROM found";

/// Takes back jobs of lines that have not begun, and writes what becomes of those lines.
pub(super) async fn take_back(
    transaction: &Transaction,
    id: &str,
    but: Option<&str>,
    limit: u32,
    text: &LineText,
    now: Time,
) -> Result<u64, Fault> {
    let mut lines = Vec::new();
    for row in transaction.query(TAKE_BACK, params![id, i64::from(limit), now.0, but]).await? {
        let line = amount(&row, "line")?;
        let text = text(line, row.try_get("payload")?);
        lines.push(LineEnd { batch: id.to_owned(), line, good: false, text });
    }
    record(transaction, &lines).await?;
    Ok(lines.len() as u64)
}

/// Lines read that have neither an end nor a job that is not over, each with what its job was told, if that is
/// known.
const LOST: &str = "
    SELECT l.line, (
        SELECT j.payload FROM tidegate_jobs j
        WHERE j.uniq IS NOT NULL AND j.state >= 4 AND j.uniq = $1 || '/' || l.line ORDER BY j.id DESC LIMIT 1
    ) AS payload
    FROM generate_series(0, (SELECT read_line FROM tidegate_batches WHERE id = $1) - 1) AS l (line)
    WHERE NOT EXISTS (SELECT FROM tidegate_batch_lines b WHERE b.batch = $1 AND b.line = l.line)
        AND NOT EXISTS (
            SELECT FROM tidegate_jobs j WHERE j.uniq IS NOT NULL AND j.state < 3 AND j.uniq = $1 || '/' || l.line
        )
    ORDER BY l.line LIMIT $2";

/// Writes what becomes of lines that were lost; says of how many.
pub(super) async fn mend(
    transaction: &Transaction,
    id: &str,
    limit: u32,
    text: &LineText,
) -> Result<u64, Fault> {
    let mut lines = Vec::new();
    for row in transaction.query(LOST, params![id, i64::from(limit)]).await? {
        let line = amount(&row, "line")?;
        let told: Option<&[u8]> = row.try_get("payload")?;
        let text = text(line, told.unwrap_or_default());
        lines.push(LineEnd { batch: id.to_owned(), line, good: false, text });
    }
    record(transaction, &lines).await?;
    Ok(lines.len() as u64)
}

const REMOVE_SOME: &str = "
    WITH gone AS (
        DELETE FROM tidegate_batch_lines WHERE batch = $1 AND line IN (
            SELECT line FROM tidegate_batch_lines WHERE batch = $1 ORDER BY line LIMIT $2
        ) RETURNING 1
    )
    SELECT count(*) FROM gone";

/// Removes some lines of a batch, and with the last ones the batch itself; whether it is gone.
pub(super) async fn remove_some(transaction: &Transaction, id: &String) -> Result<bool, Fault> {
    let removed = counted(&transaction.query(REMOVE_SOME, params![id, LINES_A_STEP]).await?)?;
    let is_last = removed < LINES_A_STEP.unsigned_abs();
    if is_last {
        transaction.query("DELETE FROM tidegate_batch_parcels WHERE batch = $1", params![id]).await?;
        transaction.last("DELETE FROM tidegate_batches WHERE id = $1", params![id]).await?;
    }
    Ok(is_last)
}
