//! The rows of schedules.

use super::Postgres;
use super::fault::Fault;
use super::jobs::add;
use super::param::params;
use super::row::{self, int, new_job};
use super::transaction::Transaction;
use crate::jobs::{JobId, NewJob};
use crate::schedules::{Schedule, Schedules};
use crate::{Answer, Result, Time};
use tokio_postgres::Row;

const INSERT: &str = "
    INSERT INTO tidegate_schedules (
        tenant, name, version, cron, zone, paused, next, last_at, last_job, job_queue, job_tenant, job_kind,
        job_band, job_run_at, job_deadline, job_attempts_max, job_idem_key, job_idem_hash, job_uniq, job_payload,
        job_replay_of, job_keep
    )
    VALUES ($1, $2, $3 + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
    ON CONFLICT DO NOTHING RETURNING 1";

const UPDATE: &str = "
    UPDATE tidegate_schedules SET
        version = version + 1, cron = $4, zone = $5, paused = $6, next = $7, last_at = $8, last_job = $9,
        job_queue = $10, job_tenant = $11, job_kind = $12, job_band = $13, job_run_at = $14, job_deadline = $15,
        job_attempts_max = $16, job_idem_key = $17, job_idem_hash = $18, job_uniq = $19, job_payload = $20,
        job_replay_of = $21, job_keep = $22
    WHERE tenant = $1 AND name = $2 AND version = $3 RETURNING 1";

impl Schedules for Postgres {
    fn put(&self, schedule: Schedule) -> Answer<'_, bool> {
        self.write(schedule, |transaction, schedule| Box::pin(put(transaction, schedule)))
    }

    fn remove(&self, tenant: &str, name: &str) -> Answer<'_, bool> {
        self.write((tenant.to_owned(), name.to_owned()), |transaction, (tenant, name)| {
            Box::pin(async move {
                let sql = "DELETE FROM tidegate_schedules WHERE tenant = $1 AND name = $2 RETURNING 1";
                Ok(!transaction.last(sql, params![tenant, name]).await?.is_empty())
            })
        })
    }

    fn list(&self, tenant: Option<&str>) -> Answer<'_, Vec<Schedule>> {
        self.read(tenant.map(str::to_owned), |transaction, tenant| {
            Box::pin(async move {
                let sql =
                    "SELECT * FROM tidegate_schedules WHERE $1 IS NULL OR tenant = $1 ORDER BY name, tenant";
                transaction.last(sql, params![tenant]).await?.iter().map(from_row).collect()
            })
        })
    }

    fn due(&self, now: Time, limit: u32) -> Answer<'_, Vec<Schedule>> {
        self.write((now, limit), |transaction, (now, limit)| {
            Box::pin(async move {
                let sql =
                    "SELECT * FROM tidegate_schedules WHERE NOT paused AND next <= $1 ORDER BY next LIMIT $2";
                let rows = transaction.last(sql, params![now.0, i64::from(*limit)]).await?;
                rows.iter().map(from_row).collect()
            })
        })
    }

    fn fire(&self, schedule: Schedule, job: NewJob, at: Time) -> Answer<'_, Option<JobId>> {
        self.write((schedule, job, at), |transaction, (schedule, job, at)| {
            Box::pin(fire(transaction, schedule, job, *at))
        })
    }
}

async fn put(transaction: &Transaction, schedule: &Schedule) -> Result<bool, Fault> {
    let sql = if schedule.version == 0 { INSERT } else { UPDATE };
    let Schedule { name, tenant, cron, zone, job, paused, version, .. } = schedule;
    let rows = transaction
        .last(
            sql,
            params![
                tenant,
                name,
                version,
                cron,
                zone,
                paused,
                schedule.next.map(|at| at.0),
                schedule.last.map(|(at, _)| at.0),
                schedule.last.map(|(_, id)| id.0),
                job.queue,
                job.tenant,
                job.kind,
                job.band as i16,
                job.run_at.0,
                job.deadline.map(|at| at.0),
                int(job.attempts_max),
                job.idempotency.as_ref().map(|ours| ours.key.as_str()),
                job.idempotency.as_ref().map(|ours| &ours.hash[..]),
                job.unique,
                job.payload,
                job.replay_of.map(|id| id.0),
                job.keep,
            ],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// Whoever is first changes the version; the others wait for him, and find it changed.
async fn fire(
    transaction: &Transaction,
    schedule: &Schedule,
    job: &NewJob,
    at: Time,
) -> Result<Option<JobId>, Fault> {
    let Schedule { name, tenant, version, .. } = schedule;
    let sql = "
        UPDATE tidegate_schedules SET next = $4, last_at = $5, version = version + 1
        WHERE tenant = $1 AND name = $2 AND version = $3 RETURNING 1";
    let next = schedule.next.map(|at| at.0);
    if transaction.query(sql, params![tenant, name, version, next, at.0]).await?.is_empty() {
        return Ok(None);
    }
    let added = add::add(transaction, [job], at).await?;
    let id = added.first().map(|added| added.id());
    let sql = "UPDATE tidegate_schedules SET last_job = $3 WHERE tenant = $1 AND name = $2";
    transaction.last(sql, params![tenant, name, id.map(|id| id.0)]).await?;
    Ok(id)
}

fn from_row(row: &Row) -> Result<Schedule, Fault> {
    let job: Option<i64> = row.try_get("last_job")?;
    Ok(Schedule {
        name: row.try_get("name")?,
        tenant: row.try_get("tenant")?,
        cron: row.try_get("cron")?,
        zone: row.try_get("zone")?,
        job: new_job(row, "job_")?,
        paused: row.try_get("paused")?,
        next: row::moment(row, "next")?,
        last: row::moment(row, "last_at")?.zip(job.map(JobId)),
        version: row.try_get("version")?,
    })
}
