//! The rows of batches.

pub(super) mod lines;
mod row;

use super::Sqlite;
use super::jobs::add;
use crate::batches::{Batch, BatchChange, BatchState, Batches, LineEnd, LineText, ReadTo, Stretch};
use crate::jobs::NewJob;
use crate::{Answer, Result, Time};
use rusqlite::{Connection, params};

impl Batches for Sqlite {
    fn create(&self, batch: Batch, reader: NewJob) -> Answer<'_, ()> {
        self.write(move |db| {
            if row::insert(db, &batch)? {
                add::add(db, &reader, batch.created)?;
            }
            Ok(())
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
        let id = id.to_owned();
        let bytes = jobs.iter().map(|job| job.payload.len()).sum();
        self.write_large(bytes, move |db| {
            if !read_on(db, &id, from, to, jobs.len() + bad.len())? {
                return Ok(false);
            }
            for job in &jobs {
                add::add(db, job, now)?;
            }
            bad.iter().try_for_each(|line| lines::record(db, line))?;
            Ok(true)
        })
    }

    fn change(&self, id: &str, change: BatchChange) -> Answer<'_, Option<Batch>> {
        let id = id.to_owned();
        self.write(move |db| self::change(db, &id, &change))
    }

    fn batch(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<Batch>> {
        let (id, tenant) = (id.to_owned(), tenant.map(str::to_owned));
        self.read(move |db| {
            let found = row::batch(db, &id)?;
            Ok(found.filter(|batch| tenant.as_ref().is_none_or(|only| batch.tenant == *only)))
        })
    }

    fn list(&self, tenant: Option<&str>, before: Option<&str>, limit: u32) -> Answer<'_, Vec<Batch>> {
        let (tenant, before) = (tenant.map(str::to_owned), before.map(str::to_owned));
        self.read(move |db| {
            let only = if tenant.is_some() { "tenant = ?1" } else { "?1 IS NULL" };
            let mut sql = db.prepare_cached(&format!(
                "SELECT * FROM batches WHERE {only} \
                 AND (?2 IS NULL OR number < (SELECT number FROM batches WHERE id = ?2)) \
                 ORDER BY number DESC LIMIT ?3"
            ))?;
            let rows = sql.query_map(params![tenant, before, limit], row::from_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn open(&self, limit: u32) -> Answer<'_, Vec<Batch>> {
        self.read(move |db| {
            let mut sql = db.prepare_cached(
                "SELECT * FROM batches INDEXED BY batches_open WHERE ended IS NULL ORDER BY number LIMIT ?",
            )?;
            Ok(sql.query_map([limit], row::from_row)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn lines(&self, id: &str, good: bool, stretch: Stretch) -> Answer<'_, Vec<LineEnd>> {
        let id = id.to_owned();
        self.read(move |db| lines::read(db, &id, good, stretch))
    }

    fn take_back(
        &self,
        id: &str,
        but: Option<&str>,
        limit: u32,
        end: LineText,
        now: Time,
    ) -> Answer<'_, u64> {
        let (id, but) = (id.to_owned(), but.map(str::to_owned));
        self.write(move |db| lines::take_back(db, &id, but.as_deref(), limit, &end, now))
    }

    fn mend(&self, id: &str, limit: u32, end: LineText) -> Answer<'_, u64> {
        let id = id.to_owned();
        Box::pin(async move {
            let batch = id.clone();
            let lost = self.read(move |db| lines::lost(db, &batch, limit)).await?;
            if lost.is_empty() {
                return Ok(0);
            }
            self.write(move |db| lines::mend(db, &id, &lost, &end)).await
        })
    }

    fn purge(&self, before: Time, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            let over = self.read(move |db| over(db, before, limit)).await?;
            let purged = over.len() as u64;
            for batch in over {
                while !self.write(move |db| lines::remove_some(db, batch)).await? {}
            }
            Ok(purged)
        })
    }
}

/// Whether nobody has read on since `from`, and the batch is still to be read.
fn read_on(db: &Connection, id: &str, from: ReadTo, to: ReadTo, lines: usize) -> Result<bool> {
    let mut sql = db.prepare_cached(
        "UPDATE batches SET read_byte = ?, read_line = ?, total = total + ? \
         WHERE id = ? AND read_byte = ? AND read_line = ? AND state IN (?, ?)",
    )?;
    let states = (BatchState::Validating as i64, BatchState::InProgress as i64);
    let values = params![to.byte, to.line, lines, id, from.byte, from.line, states.0, states.1];
    Ok(sql.execute(values)? > 0)
}

fn change(db: &Connection, id: &str, change: &BatchChange) -> Result<Option<Batch>> {
    let Some(found) = row::batch(db, id)? else { return Ok(None) };
    if !change.from.is_empty() && !change.from.contains(&found.state) {
        return Ok(None);
    }
    let state = change.to.unwrap_or(found.state);
    let mut sql = db.prepare_cached(
        "UPDATE batches SET state = ?2, output_file = coalesce(?3, output_file), \
         error_file = coalesce(?4, error_file), errors = coalesce(?5, errors), \
         moments = coalesce(?6, moments), ended = CASE WHEN ?7 THEN coalesce(ended, ?8) END WHERE id = ?1",
    )?;
    let BatchChange { output_file, error_file, errors, moments, at, .. } = change;
    let over = state.is_final();
    sql.execute(params![id, state as i64, output_file, error_file, errors, moments, over, at.0])?;
    row::batch(db, id)
}

/// The numbers of those that were over before `before`.
fn over(db: &Connection, before: Time, limit: u32) -> Result<Vec<i64>> {
    let mut sql = db.prepare_cached(
        "SELECT number FROM batches INDEXED BY batches_over WHERE ended IS NOT NULL AND ended < ? \
         ORDER BY ended LIMIT ?",
    )?;
    Ok(sql.query_map(params![before.0, limit], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}
