//! The rows of parcels, and the lines that they hold.

use super::Sqlite;
use super::batches::lines;
use super::jobs::{add, belong, end};
use crate::batches::{LineEnd, Stretch};
use crate::jobs::{JobId, Lease, NewJob};
use crate::parcels::{Ending, Parcel, ParcelState, Parcels, Ready, Settled, Shelf, Told};
use crate::{Answer, Result, Time};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

impl Parcels for Sqlite {
    fn open(&self, parcel: Parcel, job: NewJob, now: Time) -> Answer<'_, ()> {
        self.write(move |db| {
            let mut sql = db.prepare_cached(
                "INSERT OR IGNORE INTO batch_parcels SELECT ?1, ?2, ?3, ?4 \
                 WHERE EXISTS (SELECT 1 FROM batches WHERE id = ?1)",
            )?;
            let Parcel { batch, model, state, notes } = &parcel;
            if sql.execute(params![batch, model, *state as i64, notes])? > 0 {
                add::add(db, &job, now)?;
            }
            Ok(())
        })
    }

    fn parcels(&self, batches: &[&str]) -> Answer<'_, Vec<Parcel>> {
        let batches: Vec<String> = batches.iter().copied().map(str::to_owned).collect();
        self.read(move |db| {
            let mut sql = db.prepare_cached("SELECT * FROM batch_parcels WHERE batch = ? ORDER BY model")?;
            let mut parcels = Vec::new();
            for batch in &batches {
                for parcel in sql.query_map([batch], from_row)? {
                    parcels.push(parcel?);
                }
            }
            Ok(parcels)
        })
    }

    fn note(&self, lease: Lease, parcel: Parcel) -> Answer<'_, bool> {
        self.write(move |db| {
            if !end::is_held(db, lease)? {
                return Ok(false);
            }
            let mut sql = db.prepare_cached(
                "UPDATE batch_parcels SET state = ?, notes = ? WHERE batch = ? AND model = ?",
            )?;
            let Parcel { batch, model, state, notes } = &parcel;
            sql.execute(params![*state as i64, notes, batch, model])?;
            Ok(true)
        })
    }

    fn held(&self, shelf: Shelf, stretch: Stretch) -> Answer<'_, Vec<Told>> {
        self.read(move |db| held(db, &shelf, stretch))
    }

    fn settle(
        &self,
        lease: Lease,
        shelf: Shelf,
        lines: Vec<Settled>,
        ending: Ending,
    ) -> Answer<'_, Option<Vec<Told>>> {
        self.write(move |db| {
            if !end::is_held(db, lease)? {
                return Ok(None);
            }
            let mut told = Vec::new();
            for Settled { line, good } in lines.iter().copied() {
                let Some(job) = job(db, &shelf, line)? else { continue };
                let payload = belong::payload(db, job)?;
                let Some(text) = ending(line, &payload) else { continue };
                end::remove(db, job, true)?;
                lines::record(db, &LineEnd { batch: shelf.batch.clone(), line, good, text })?;
                told.push((line, payload));
            }
            Ok(Some(told))
        })
    }

    fn give_back(&self, lease: Lease, shelf: Shelf, lines: Vec<u64>, to: Ready) -> Answer<'_, Option<u64>> {
        self.write(move |db| {
            if !end::is_held(db, lease)? {
                return Ok(None);
            }
            let mut given = 0;
            for line in lines.iter().copied() {
                let Some(job) = job(db, &shelf, line)? else { continue };
                let mut sql =
                    db.prepare_cached("UPDATE jobs SET state = 1, queue = ?, run_at = ? WHERE id = ?")?;
                sql.execute(params![to.queue, to.at.0, job.0])?;
                given += 1;
            }
            Ok(Some(given))
        })
    }
}

/// The lines that are held, by their words.
const HELD: &str = "SELECT id, uniq FROM jobs INDEXED BY jobs_unique WHERE uniq IS NOT NULL AND state < 3 \
    AND uniq > ?1 AND uniq < ?2 AND state < 2 AND queue = ?3 ORDER BY uniq LIMIT ?4";

fn held(db: &Connection, shelf: &Shelf, stretch: Stretch) -> Result<Vec<Told>> {
    let Shelf { batch, queue } = shelf;
    let Stretch { after, limit, bytes } = stretch;
    let (slash, end) = (format!("{batch}/"), format!("{batch}0"));
    let from = after.map_or_else(|| slash.clone(), |line| format!("{slash}{line}"));
    let mut sql = db.prepare_cached(HELD)?;
    let mut rows = sql.query(params![from, end, queue, limit])?;
    let (mut lines, mut held) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let word: String = row.get(1)?;
        // Others than lines belong to a batch too.
        let Some(line) = word.get(slash.len()..).and_then(|word| word.parse().ok()) else { continue };
        let payload = belong::payload(db, JobId(row.get(0)?))?;
        held += payload.len() as u64;
        if held > bytes && !lines.is_empty() {
            break;
        }
        lines.push((line, payload));
    }
    Ok(lines)
}

/// The job of a line that is held.
fn job(db: &Connection, shelf: &Shelf, line: u64) -> Result<Option<JobId>> {
    let mut sql = db.prepare_cached(
        "SELECT id FROM jobs INDEXED BY jobs_unique WHERE uniq IS NOT NULL AND state < 3 AND uniq = ? \
         AND state < 2 AND queue = ?",
    )?;
    let Shelf { batch, queue } = shelf;
    let found = sql.query_row(params![format!("{batch}/{line}"), queue], |row| row.get(0));
    Ok(found.optional()?.map(JobId))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Parcel> {
    let number = row.get("state")?;
    let unknown = || format!("{number} is no state of a parcel").into();
    let state = ParcelState::from_number(number)
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(2, Type::Integer, unknown()))?;
    Ok(Parcel { batch: row.get("batch")?, model: row.get("model")?, state, notes: row.get("notes")? })
}
