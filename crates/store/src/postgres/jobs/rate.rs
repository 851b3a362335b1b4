//! How many jobs a queue may start now: a token bucket in one row, over all that claim from it. Who claims holds
//! the row until he is done, so that two do not take the same tokens.

use crate::Result;
use crate::jobs::Claim;
use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::transaction::Transaction;

/// Fills up and locks. Replicas' clocks differ: the bucket's own never goes back.
const FILL: &str = "
    INSERT INTO tidegate_queue_rates AS r (queue, tokens, at) VALUES ($1, $2, $4)
    ON CONFLICT (queue) DO UPDATE
    SET tokens = least($2, r.tokens + greatest($4 - r.at, 0) / 1000.0::double precision * $3),
        at = greatest(r.at, $4)
    RETURNING tokens";

const TAKE: &str = "UPDATE tidegate_queue_rates SET tokens = tokens - $2 WHERE queue = $1";

/// How many the claim may take: its limit, or fewer.
pub(super) async fn allowed(transaction: &Transaction, claim: &Claim) -> Result<usize, Fault> {
    let limit = usize::try_from(claim.limit).unwrap_or(usize::MAX);
    let Some(rate) = claim.rate else { return Ok(limit) };
    let rows =
        transaction.query(FILL, params![claim.queue, rate.burst, rate.per_second, claim.now.0]).await?;
    let tokens: f64 = rows.first().map_or(Ok(0.0), |row| row.try_get("tokens"))?;
    // As `as` goes: no number and less than nothing are nothing.
    Ok(limit.min(tokens.floor() as usize))
}

/// Takes as many tokens as jobs were taken.
pub(super) async fn take(transaction: &Transaction, claim: &Claim, jobs: usize) -> Result<(), Fault> {
    if claim.rate.is_some() && jobs > 0 {
        transaction.query(TAKE, params![claim.queue, jobs as f64]).await?;
    }
    Ok(())
}
