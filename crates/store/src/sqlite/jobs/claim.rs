//! Claiming: what is ready goes to whoever asks, the urgent first and tenants by turns.
//!
//! Nothing is read that is not taken: the index of what is ready stands in the order in which it is dealt, and
//! each step is one search in it. What is over, scheduled or running is not in that index.

use super::deal::{Hand, Table};
use super::{end, rate};
use crate::jobs::{Band, Claim, Claimed, Fault, JobId, Lease, Running, Token};
use crate::sqlite::text::following;
use crate::{Result, Time};
use rusqlite::{Connection, OptionalExtension, params};

/// Most jobs past their deadline that one claim removes: the next goes on.
const LATE_MAX: usize = 1000;

/// The next tenant that has something ready, from a name on, and since when.
pub(in crate::sqlite) const NEXT_TENANT: &str = "SELECT tenant, run_at FROM jobs INDEXED BY jobs_ready \
    WHERE state = 1 AND queue = ? AND band = ? AND tenant >= ? ORDER BY tenant, run_at LIMIT 1";

/// The first jobs of a tenant.
pub(in crate::sqlite) const READY: &str = "SELECT id, token, kind, attempt, attempts_max, created, deadline \
    FROM jobs INDEXED BY jobs_ready \
    WHERE state = 1 AND queue = ? AND band = ? AND tenant = ? ORDER BY run_at, id LIMIT ?";

/// Leases up to the claim's limit.
pub(super) fn claim(db: &Connection, claim: &Claim) -> Result<Claimed> {
    let allowed = rate::allowed(db, claim)?;
    let mut claimed = Claimed { jobs: Vec::new(), turn: claim.turn.clone() };
    claimed.turn.lowest_first = false;
    let mut bands = Band::ALL;
    if claim.turn.lowest_first {
        bands.reverse();
    }
    let mut late = 0;
    for band in bands {
        let rest = allowed - claimed.jobs.len();
        if rest == 0 {
            break;
        }
        let mut shelf = Shelf { db, claim, band, late: &mut late };
        let table = Table::deal(&mut shelf, &claim.turn.after[band as usize], rest)?;
        if let Some(last) = table.last_served() {
            claimed.turn.after[band as usize] = last.to_owned();
        }
        claimed.jobs.extend(table.into_jobs());
    }
    rate::take(db, claim, claimed.jobs.len())?;
    Ok(claimed)
}

/// What is ready in one band of a queue.
pub(super) struct Shelf<'a> {
    db: &'a Connection,
    claim: &'a Claim,
    band: Band,
    late: &'a mut usize,
}

impl Shelf<'_> {
    /// Who has something ready, so many at most: those after `after` by name, and then from the first on.
    pub(super) fn tenants(&self, after: &str, most: usize) -> Result<Vec<Hand>> {
        let mut found = Vec::new();
        self.find_tenants(following(after), None, most, &mut found)?;
        self.find_tenants(String::new(), Some(after), most, &mut found)?;
        Ok(found)
    }

    fn find_tenants(
        &self,
        mut from: String,
        to: Option<&str>,
        most: usize,
        found: &mut Vec<Hand>,
    ) -> Result<()> {
        let mut sql = self.db.prepare_cached(NEXT_TENANT)?;
        while found.len() < most {
            let next = sql.query_row(params![self.claim.queue, self.band as i64, from], |row| row.get(0));
            let Some(tenant): Option<String> = next.optional()? else { break };
            if to.is_some_and(|to| tenant.as_str() > to) {
                break;
            }
            from = following(&tenant);
            found.push(Hand::of(tenant));
        }
        Ok(())
    }

    /// Leases the first jobs of a tenant, so many at most; removes on the way what is too late.
    pub(super) fn take(&mut self, tenant: &str, most: usize) -> Result<Vec<Running>> {
        let mut taken = Vec::new();
        while taken.len() < most && *self.late < LATE_MAX {
            let rows = self.first(tenant, most - taken.len())?;
            let all_in_time = rows.iter().all(|job| !self.is_late(job));
            for job in rows {
                if self.is_late(&job) {
                    *self.late += 1;
                    self.bury(&job)?;
                } else {
                    taken.push(self.lease(job)?);
                }
            }
            if all_in_time {
                break;
            }
        }
        Ok(taken)
    }

    fn first(&self, tenant: &str, most: usize) -> Result<Vec<Running>> {
        let mut sql = self.db.prepare_cached(READY)?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = sql.query_map(params![self.claim.queue, self.band as i64, tenant, most], |row| {
            Ok(Running {
                lease: Lease { id: JobId(row.get(0)?), token: Token(row.get(1)?) },
                tenant: tenant.to_owned(),
                kind: row.get(2)?,
                band: self.band,
                attempt: row.get(3)?,
                attempts_max: row.get(4)?,
                created: Time(row.get(5)?),
                deadline: row.get::<_, Option<i64>>(6)?.map(Time),
                payload: Vec::new(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn is_late(&self, job: &Running) -> bool {
        job.deadline.is_some_and(|deadline| deadline <= self.claim.now)
    }

    fn bury(&self, job: &Running) -> Result<()> {
        let fault = Fault {
            class: "deadline".to_owned(),
            message: "its deadline passed before it was begun".to_owned(),
        };
        end::bury(self.db, job.lease.id, job.attempt, self.claim.now, &fault)
    }

    fn lease(&self, job: Running) -> Result<Running> {
        let Claim { owner, now, lease, .. } = self.claim;
        let mut sql = self.db.prepare_cached(
            "UPDATE jobs SET state = 2, attempt = attempt + 1, token = token + 1, owner = ?, lease_until = ?, \
             started = ? WHERE id = ?",
        )?;
        sql.execute(params![owner, now.after(*lease).0, now.0, job.lease.id.0])?;
        let mut sql = self.db.prepare_cached("SELECT payload FROM job_payloads WHERE job = ?")?;
        let payload = sql.query_row([job.lease.id.0], |row| row.get(0))?;
        let lease = Lease { token: Token(job.lease.token.0 + 1), ..job.lease };
        Ok(Running { lease, attempt: job.attempt + 1, payload, ..job })
    }
}
