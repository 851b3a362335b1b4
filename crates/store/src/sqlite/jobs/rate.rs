//! How many jobs a queue may start now: a token bucket in one row, over all that claim from it.

use crate::jobs::{Claim, Rate};
use crate::{Result, Time};
use rusqlite::{Connection, OptionalExtension, params};

/// How many the claim may take: its limit, or fewer.
pub(super) fn allowed(db: &Connection, claim: &Claim) -> Result<usize> {
    let limit = usize::try_from(claim.limit).unwrap_or(usize::MAX);
    let Some(rate) = claim.rate else { return Ok(limit) };
    // As `as` goes: no number and less than nothing are nothing.
    Ok(limit.min(tokens(db, claim, rate)?.floor() as usize))
}

/// Takes as many tokens as jobs were taken.
pub(super) fn take(db: &Connection, claim: &Claim, jobs: usize) -> Result<()> {
    let Some(rate) = claim.rate.filter(|_| jobs > 0) else { return Ok(()) };
    let left = tokens(db, claim, rate)? - jobs as f64;
    // Replicas' clocks differ: the bucket's own never goes back.
    let mut sql = db.prepare_cached(
        "INSERT INTO queue_rates VALUES (?1, ?2, ?3) \
         ON CONFLICT (queue) DO UPDATE SET tokens = ?2, at = max(at, ?3)",
    )?;
    sql.execute(params![claim.queue, left, claim.now.0])?;
    Ok(())
}

fn tokens(db: &Connection, claim: &Claim, rate: Rate) -> Result<f64> {
    let mut sql = db.prepare_cached("SELECT tokens, at FROM queue_rates WHERE queue = ?")?;
    let found =
        sql.query_row([&claim.queue], |row| Ok((row.get::<_, f64>(0)?, Time(row.get(1)?)))).optional()?;
    let Some((tokens, at)) = found else { return Ok(rate.burst) };
    Ok((tokens + claim.now.since(at).as_secs_f64() * rate.per_second).min(rate.burst))
}
