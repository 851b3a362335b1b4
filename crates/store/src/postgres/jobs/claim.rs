//! Claiming: what is ready goes to whoever asks, the urgent first and tenants by turns.
//!
//! Any number may claim at once. A claim takes rows that nobody else is about to take (`FOR UPDATE SKIP LOCKED`)
//! and waits for nobody, but for the bucket of a queue whose rate is limited.
//!
//! One statement deals one round in one band, the most urgent that has something ready: equal shares to each
//! tenant, beginning with the one whose turn it is. Where that fills the claim, as in a queue with much to do, it
//! was the only one; where a tenant had less than his share, or others were at the same rows, another round
//! follows.

use super::rate;
use crate::jobs::{Band, Claim, Claimed, Running};
use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::row;
use crate::postgres::transaction::Transaction;
use crate::{Result, Time};
use tokio_postgres::Row;

/// Most rounds of one claim: whatever is left then is left for the next.
const ROUNDS_MAX: usize = 16;

const DEAL: &str = "SELECT * FROM tidegate_deal_2($1, $2, $3, $4, $5, $6, $7)";

/// Leases up to the claim's limit.
pub(super) async fn claim(transaction: &Transaction, claim: &Claim) -> Result<Claimed, Fault> {
    let allowed = rate::allowed(transaction, claim).await?;
    let mut hand = Hand::new(claim);
    for _ in 0..ROUNDS_MAX {
        let rest = allowed.saturating_sub(hand.claimed.jobs.len());
        if rest == 0 || hand.bands.is_empty() || !hand.draw(transaction, claim, rest).await? {
            break;
        }
    }
    rate::take(transaction, claim, hand.claimed.jobs.len()).await?;
    Ok(hand.claimed)
}

/// What was claimed so far, and where to go on.
struct Hand {
    claimed: Claimed,
    /// Where something may be ready, the first to be served first.
    bands: Vec<Band>,
    /// By band, where the next round begins.
    next: [String; 4],
}

impl Hand {
    fn new(claim: &Claim) -> Self {
        let mut turn = claim.turn.clone();
        turn.lowest_first = false;
        let mut bands = Band::ALL.to_vec();
        if claim.turn.lowest_first {
            bands.reverse();
        }
        Self { next: turn.after.clone(), claimed: Claimed { jobs: Vec::new(), turn }, bands }
    }

    /// Deals one round of up to `rest` jobs; `false` where nothing is ready.
    async fn draw(&mut self, transaction: &Transaction, claim: &Claim, rest: usize) -> Result<bool, Fault> {
        let rows = transaction
            .query(
                DEAL,
                params![
                    claim.queue,
                    self.bands.iter().map(|band| *band as i16).collect::<Vec<_>>(),
                    self.bands.iter().map(|band| self.next[*band as usize].as_str()).collect::<Vec<_>>(),
                    i64::try_from(rest).unwrap_or(i64::MAX),
                    claim.owner,
                    claim.now.after(claim.lease).0,
                    claim.now.0,
                ],
            )
            .await?;
        let Some(first) = rows.first() else { return Ok(false) };
        let band = row::band(first.try_get("dealt_band")?)?;
        self.next[band as usize] = first.try_get("bonus")?;
        if first.try_get::<_, i64>("picked_count")? == 0 {
            // Others are at all that is there.
            self.bands.retain(|other| *other != band);
        }
        self.take(band, &rows)?;
        Ok(true)
    }

    /// Takes what was dealt in turns: each one's first, then each one's second.
    fn take(&mut self, band: Band, rows: &[Row]) -> Result<(), Fault> {
        let mut dealt: Vec<(usize, Running)> = Vec::with_capacity(rows.len());
        for row in rows {
            if row.try_get::<_, Option<i64>>("id")?.is_none() {
                continue;
            }
            let job = running(row, band)?;
            let turn =
                dealt.last().filter(|(_, last)| last.tenant == job.tenant).map_or(0, |(turn, _)| turn + 1);
            dealt.push((turn, job));
        }
        dealt.sort_by_key(|(turn, _)| *turn);
        self.claimed.jobs.extend(dealt.into_iter().map(|(_, job)| job));
        if let Some(last) = self.claimed.jobs.last().filter(|last| last.band == band) {
            self.claimed.turn.after[band as usize].clone_from(&last.tenant);
        }
        Ok(())
    }
}

fn running(row: &Row, band: Band) -> Result<Running, Fault> {
    Ok(Running {
        lease: row::lease(row)?,
        tenant: row.try_get("tenant")?,
        kind: row.try_get("kind")?,
        band,
        attempt: row::count(row, "attempt")?,
        attempts_max: row::count(row, "attempts_max")?,
        created: Time(row.try_get("created")?),
        deadline: row::moment(row, "deadline")?,
        payload: row.try_get("payload")?,
    })
}
