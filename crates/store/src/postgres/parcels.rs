//! The rows of parcels, and the lines that they hold.

use super::Postgres;
use super::batches::lines;
use super::fault::Fault;
use super::jobs::{add, end};
use super::param::params;
use super::row::{amount, big, corrupt};
use super::transaction::Transaction;
use crate::batches::{LineEnd, Stretch};
use crate::jobs::{Lease, NewJob};
use crate::parcels::{Ending, Parcel, ParcelState, Parcels, Ready, Settled, Shelf, Told};
use crate::{Answer, Time};
use std::collections::HashMap;
use tokio_postgres::Row;

impl Parcels for Postgres {
    fn open(&self, parcel: Parcel, job: NewJob, now: Time) -> Answer<'_, ()> {
        self.write((parcel, job, now), |transaction, (parcel, job, now)| {
            Box::pin(async move {
                let sql = "
                    INSERT INTO tidegate_batch_parcels (batch, model, state, notes)
                    SELECT id, $2, $3, $4 FROM tidegate_batches WHERE id = $1 ON CONFLICT DO NOTHING RETURNING 1";
                let Parcel { batch, model, state, notes } = parcel;
                let rows = transaction.query(sql, params![batch, model, *state as i16, notes]).await?;
                if !rows.is_empty() {
                    add::add(transaction, [job], *now).await?;
                }
                Ok(())
            })
        })
    }

    fn parcels(&self, batches: &[&str]) -> Answer<'_, Vec<Parcel>> {
        let batches: Vec<String> = batches.iter().copied().map(str::to_owned).collect();
        self.write(batches, |transaction, batches| {
            Box::pin(async move {
                let sql = "SELECT * FROM tidegate_batch_parcels WHERE batch = ANY($1) ORDER BY model";
                transaction.last(sql, params![batches]).await?.iter().map(from_row).collect()
            })
        })
    }

    fn note(&self, lease: Lease, parcel: Parcel) -> Answer<'_, bool> {
        self.write((lease, parcel), |transaction, (lease, parcel)| {
            Box::pin(async move {
                if !end::is_held(transaction, *lease).await? {
                    return Ok(false);
                }
                let sql = "UPDATE tidegate_batch_parcels SET state = $3, notes = $4 WHERE batch = $1 AND model = $2";
                let Parcel { batch, model, state, notes } = parcel;
                transaction.last(sql, params![batch, model, *state as i16, notes]).await?;
                Ok(true)
            })
        })
    }

    fn held(&self, shelf: Shelf, stretch: Stretch) -> Answer<'_, Vec<Told>> {
        self.write((shelf, stretch), |transaction, (shelf, stretch)| {
            Box::pin(held(transaction, shelf, *stretch))
        })
    }

    fn settle(
        &self,
        lease: Lease,
        shelf: Shelf,
        lines: Vec<Settled>,
        ending: Ending,
    ) -> Answer<'_, Option<Vec<Told>>> {
        self.write((lease, shelf, lines, ending), |transaction, (lease, shelf, lines, ending)| {
            Box::pin(async move {
                if !end::is_held(transaction, *lease).await? {
                    return Ok(None);
                }
                settle(transaction, shelf, lines, ending).await.map(Some)
            })
        })
    }

    fn give_back(&self, lease: Lease, shelf: Shelf, lines: Vec<u64>, to: Ready) -> Answer<'_, Option<u64>> {
        self.write((lease, shelf, lines, to), |transaction, (lease, shelf, lines, to)| {
            Box::pin(async move {
                if !end::is_held(transaction, *lease).await? {
                    return Ok(None);
                }
                let words = words(&shelf.batch, lines.iter().copied());
                let values = params![words, shelf.queue, to.queue, to.at.0];
                let moved = transaction.last(GIVE_BACK, values).await?;
                Ok(Some(moved.len() as u64))
            })
        })
    }
}

/// The lines that are held, by their words; lengths are looked at before payloads are fetched.
const HELD: &str = "
    WITH found AS MATERIALIZED (
        SELECT id, uniq, sum(octet_length(payload)) OVER (ORDER BY uniq) AS so_far,
            octet_length(payload) AS length
        FROM (
            SELECT id, uniq, payload FROM tidegate_jobs
            WHERE uniq IS NOT NULL AND state < 3 AND uniq > $1 AND uniq < $2 AND state < 2 AND queue = $3
                AND substr(uniq, $4) ~ '^[0-9]{1,18}$'
            ORDER BY uniq LIMIT $5
        ) AS first_ones
    )
    SELECT substr(found.uniq, $4)::bigint AS line, j.payload FROM found JOIN tidegate_jobs j ON j.id = found.id
    WHERE so_far <= $6 OR so_far = length
    ORDER BY found.uniq";

async fn held(transaction: &Transaction, shelf: &Shelf, stretch: Stretch) -> Result<Vec<Told>, Fault> {
    let Shelf { batch, queue } = shelf;
    let Stretch { after, limit, bytes } = stretch;
    let (slash, end) = (format!("{batch}/"), format!("{batch}0"));
    let from = after.map_or_else(|| slash.clone(), |line| format!("{slash}{line}"));
    let own = i32::try_from(slash.len() + 1).unwrap_or(i32::MAX);
    let (limit, bytes) = (i64::from(limit), big(bytes));
    let rows = transaction.last(HELD, params![from, end, queue, own, limit, bytes]).await?;
    rows.iter().map(|row| Ok((amount(row, "line")?, row.try_get("payload")?))).collect()
}

/// Some of the lines that are held, which nobody else takes until this is over.
const MEANT: &str = "
    SELECT id, substr(uniq, $3)::bigint AS line, payload FROM tidegate_jobs
    WHERE uniq IS NOT NULL AND state < 3 AND uniq = ANY ($1) AND state < 2 AND queue = $2
    FOR UPDATE";

const REMOVE: &str = "
    WITH forgotten AS (
        DELETE FROM tidegate_job_faults WHERE job = ANY ($1)
    )
    DELETE FROM tidegate_jobs WHERE id = ANY ($1)";

const GIVE_BACK: &str = "
    UPDATE tidegate_jobs SET state = 1, queue = $3, run_at = $4
    WHERE uniq IS NOT NULL AND state < 3 AND uniq = ANY ($1) AND state < 2 AND queue = $2
    RETURNING 1";

async fn settle(
    transaction: &Transaction,
    shelf: &Shelf,
    settled: &[Settled],
    ending: &Ending,
) -> Result<Vec<Told>, Fault> {
    let Shelf { batch, queue } = shelf;
    let good: HashMap<u64, bool> = settled.iter().map(|settled| (settled.line, settled.good)).collect();
    let words = words(batch, good.keys().copied());
    let own = i32::try_from(batch.len() + 2).unwrap_or(i32::MAX);
    let (mut told, mut ends, mut jobs) = (Vec::new(), Vec::new(), Vec::<i64>::new());
    for row in transaction.query(MEANT, params![words, queue, own]).await? {
        let (line, payload): (u64, Vec<u8>) = (amount(&row, "line")?, row.try_get("payload")?);
        let Some(text) = ending(line, &payload) else { continue };
        let good = good.get(&line).copied().unwrap_or(false);
        ends.push(LineEnd { batch: batch.clone(), line, good, text });
        told.push((line, payload));
        jobs.push(row.try_get("id")?);
    }
    transaction.query(REMOVE, params![jobs]).await?;
    lines::record(transaction, &ends).await?;
    Ok(told)
}

fn words(batch: &str, lines: impl Iterator<Item = u64>) -> Vec<String> {
    lines.map(|line| format!("{batch}/{line}")).collect()
}

fn from_row(row: &Row) -> Result<Parcel, Fault> {
    let number: i16 = row.try_get("state")?;
    let state = ParcelState::from_number(number.into())
        .ok_or_else(|| corrupt(&format!("{number} is no state of a parcel")))?;
    Ok(Parcel {
        batch: row.try_get("batch")?,
        model: row.try_get("model")?,
        state,
        notes: row.try_get("notes")?,
    })
}
