//! The lines of a batch that have ended: each once.

use crate::batches::{LineEnd, LineText, Stretch};
use crate::jobs::State;
use crate::sqlite::jobs::belong;
use crate::{Result, Time};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Lines removed in one step, so that others get between.
const LINES_A_STEP: u32 = 1000;

/// Writes how a line ended, and counts it; nothing where it had ended before or its batch is no more.
pub(in crate::sqlite) fn record(db: &Connection, end: &LineEnd) -> Result<()> {
    let mut sql = db.prepare_cached(
        "INSERT OR IGNORE INTO batch_lines SELECT number, ?2, ?3, ?4 FROM batches WHERE id = ?1",
    )?;
    if sql.execute(params![end.batch, end.line, end.good, end.text])? == 0 {
        return Ok(());
    }
    let column = if end.good { "completed" } else { "failed" };
    db.prepare_cached(&format!("UPDATE batches SET {column} = {column} + 1 WHERE id = ?"))?
        .execute([&end.batch])?;
    Ok(())
}

/// Lines by their numbers, until there are enough of them or of their bytes; one at least, if there is any.
pub(super) fn read(db: &Connection, id: &str, good: bool, stretch: Stretch) -> Result<Vec<LineEnd>> {
    let mut sql = db.prepare_cached("SELECT number FROM batches WHERE id = ?")?;
    let Some(batch): Option<i64> = sql.query_row([id], |row| row.get(0)).optional()? else {
        return Ok(Vec::new());
    };
    // In the text, as the index of the bad ones is only used where it is seen that those are meant.
    let mut sql = db.prepare_cached(&format!(
        "SELECT line, text FROM batch_lines WHERE batch = ? AND line >= ? AND good = {} ORDER BY line LIMIT ?",
        i64::from(good)
    ))?;
    let from = stretch.after.map_or(0, |line| line + 1);
    let mut rows = sql.query(params![batch, from, stretch.limit])?;
    let (mut lines, mut held) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let text: Vec<u8> = row.get(1)?;
        held += text.len() as u64;
        if held > stretch.bytes && !lines.is_empty() {
            break;
        }
        lines.push(LineEnd { batch: id.to_owned(), line: row.get(0)?, good, text });
    }
    Ok(lines)
}

/// Takes back jobs of lines that have not begun, and writes what becomes of those lines.
pub(super) fn take_back(
    db: &Connection,
    id: &str,
    but: Option<&str>,
    limit: u32,
    text: &LineText,
    now: Time,
) -> Result<u64> {
    let mut taken = 0;
    for part in belong::parts(db, id, State::Ready, but, limit)? {
        // Others than lines belong to a batch too: the job that reads its input.
        let Ok(line) = part.word.parse() else { continue };
        let text = text(line, &belong::payload(db, part.id)?);
        belong::take_back(db, &part, now)?;
        record(db, &LineEnd { batch: id.to_owned(), line, good: false, text })?;
        taken += 1;
    }
    Ok(taken)
}

/// Lines that have neither an end nor a job that is not over, each with what its job was told, if that is known.
pub(super) fn lost(db: &Connection, id: &str, limit: u32) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut sql = db.prepare_cached(
        "WITH RECURSIVE lines (line) AS (SELECT 0 UNION ALL SELECT line + 1 FROM lines LIMIT \
         coalesce((SELECT read_line FROM batches WHERE id = ?1), 0)) \
         SELECT line FROM lines WHERE NOT EXISTS (SELECT 1 FROM batch_lines \
         WHERE batch = (SELECT number FROM batches WHERE id = ?1) AND line = lines.line) \
         AND NOT EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_unique \
         WHERE uniq IS NOT NULL AND uniq = ?1 || '/' || lines.line AND state < 3) LIMIT ?2",
    )?;
    let lines = sql.query_map(params![id, limit], |row| row.get(0))?;
    let lines = lines.collect::<rusqlite::Result<Vec<u64>>>()?;
    let mut buried = if lines.is_empty() { HashMap::new() } else { belong::buried(db, id)? };
    let mut told = |line: u64| match buried.remove(&line.to_string()) {
        Some(job) => belong::payload(db, job),
        None => Ok(Vec::new()),
    };
    lines.into_iter().map(|line| Ok((line, told(line)?))).collect()
}

/// Writes what becomes of lines that were lost; says of how many.
pub(super) fn mend(db: &Connection, id: &str, lost: &[(u64, Vec<u8>)], text: &LineText) -> Result<u64> {
    for (line, told) in lost {
        let text = text(*line, told);
        record(db, &LineEnd { batch: id.to_owned(), line: *line, good: false, text })?;
    }
    Ok(lost.len() as u64)
}

/// Removes some lines of a batch, and with the last ones the batch itself; whether it is gone.
pub(super) fn remove_some(db: &Connection, batch: i64) -> Result<bool> {
    let mut sql = db.prepare_cached(
        "DELETE FROM batch_lines WHERE rowid IN (SELECT rowid FROM batch_lines WHERE batch = ? LIMIT ?)",
    )?;
    let removed = sql.execute(params![batch, LINES_A_STEP])?;
    let is_last = removed < usize::try_from(LINES_A_STEP).unwrap_or(usize::MAX);
    if is_last {
        let mut sql = db.prepare_cached(
            "DELETE FROM batch_parcels WHERE batch = (SELECT id FROM batches WHERE number = ?)",
        )?;
        sql.execute([batch])?;
        db.prepare_cached("DELETE FROM batches WHERE number = ?")?.execute([batch])?;
    }
    Ok(is_last)
}
