//! The rows of schedules.

use super::Sqlite;
use super::jobs::{add, row};
use crate::jobs::{JobId, NewJob};
use crate::schedules::{Schedule, Schedules};
use crate::{Answer, Result, Time};
use rusqlite::{Connection, Row, named_params, params};

/// Those that are due.
pub(in crate::sqlite) const DUE: &str = "SELECT * FROM schedules INDEXED BY schedules_due \
    WHERE paused = 0 AND next IS NOT NULL AND next <= ? ORDER BY next LIMIT ?";

impl Schedules for Sqlite {
    fn put(&self, schedule: Schedule) -> Answer<'_, bool> {
        self.write(
            move |db| if schedule.version == 0 { insert(db, &schedule) } else { update(db, &schedule) },
        )
    }

    fn remove(&self, tenant: &str, name: &str) -> Answer<'_, bool> {
        let (tenant, name) = (tenant.to_owned(), name.to_owned());
        self.write(move |db| {
            let mut sql = db.prepare_cached("DELETE FROM schedules WHERE tenant = ? AND name = ?")?;
            Ok(sql.execute(params![tenant, name])? > 0)
        })
    }

    fn list(&self, tenant: Option<&str>) -> Answer<'_, Vec<Schedule>> {
        let tenant = tenant.map(str::to_owned);
        self.read(move |db| {
            let only = if tenant.is_some() { "WHERE tenant = ?1" } else { "WHERE ?1 IS NULL" };
            let mut sql =
                db.prepare_cached(&format!("SELECT * FROM schedules {only} ORDER BY name, tenant"))?;
            Ok(sql.query_map([&tenant], from_row)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn due(&self, now: Time, limit: u32) -> Answer<'_, Vec<Schedule>> {
        self.read(move |db| {
            let mut sql = db.prepare_cached(DUE)?;
            Ok(sql.query_map(params![now.0, limit], from_row)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn fire(&self, schedule: Schedule, job: NewJob, at: Time) -> Answer<'_, Option<JobId>> {
        self.write(move |db| fire(db, &schedule, &job, at))
    }
}

fn fire(db: &Connection, schedule: &Schedule, job: &NewJob, at: Time) -> Result<Option<JobId>> {
    let mut sql = db.prepare_cached(
        "UPDATE schedules SET next = ?, last_at = ?, version = version + 1 \
         WHERE tenant = ? AND name = ? AND version = ?",
    )?;
    let next = schedule.next.map(|at| at.0);
    if sql.execute(params![next, at.0, schedule.tenant, schedule.name, schedule.version])? == 0 {
        return Ok(None);
    }
    let id = add::add(db, job, at)?.id();
    let mut sql = db.prepare_cached("UPDATE schedules SET last_job = ? WHERE tenant = ? AND name = ?")?;
    sql.execute(params![id.0, schedule.tenant, schedule.name])?;
    Ok(Some(id))
}

fn insert(db: &Connection, schedule: &Schedule) -> Result<bool> {
    write(
        db,
        schedule,
        "INSERT OR IGNORE INTO schedules (tenant, name, cron, zone, paused, next, last_at, last_job, version, \
         queue, kind, band, run_at, deadline, attempts_max, keep, idem_key, idem_hash, uniq, replay_of, \
         payload) VALUES (:tenant, :name, :cron, :zone, :paused, :next, :last_at, :last_job, :version + 1, \
         :queue, :kind, :band, :run_at, :deadline, :attempts_max, :keep, :idem_key, :idem_hash, :uniq, \
         :replay_of, :payload)",
    )
}

fn update(db: &Connection, schedule: &Schedule) -> Result<bool> {
    write(
        db,
        schedule,
        "UPDATE schedules SET cron = :cron, zone = :zone, paused = :paused, next = :next, last_at = :last_at, \
         last_job = :last_job, version = version + 1, queue = :queue, kind = :kind, band = :band, \
         run_at = :run_at, deadline = :deadline, attempts_max = :attempts_max, keep = :keep, \
         idem_key = :idem_key, idem_hash = :idem_hash, uniq = :uniq, replay_of = :replay_of, \
         payload = :payload WHERE tenant = :tenant AND name = :name AND version = :version",
    )
}

fn write(db: &Connection, schedule: &Schedule, sql: &str) -> Result<bool> {
    let job = &schedule.job;
    let changed = db.prepare_cached(sql)?.execute(named_params! {
        ":tenant": schedule.tenant,
        ":name": schedule.name,
        ":cron": schedule.cron,
        ":zone": schedule.zone,
        ":paused": schedule.paused,
        ":next": schedule.next.map(|at| at.0),
        ":last_at": schedule.last.map(|(at, _)| at.0),
        ":last_job": schedule.last.map(|(_, id)| id.0),
        ":version": schedule.version,
        ":queue": job.queue,
        ":kind": job.kind,
        ":band": job.band as i64,
        ":run_at": job.run_at.0,
        ":deadline": job.deadline.map(|at| at.0),
        ":attempts_max": job.attempts_max,
        ":keep": job.keep,
        ":idem_key": job.idempotency.as_ref().map(|ours| &ours.key),
        ":idem_hash": job.idempotency.as_ref().map(|ours| ours.hash),
        ":uniq": job.unique,
        ":replay_of": job.replay_of.map(|id| id.0),
        ":payload": job.payload,
    })?;
    Ok(changed > 0)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Schedule> {
    let last_job: Option<i64> = row.get("last_job")?;
    Ok(Schedule {
        name: row.get("name")?,
        tenant: row.get("tenant")?,
        cron: row.get("cron")?,
        zone: row.get("zone")?,
        job: row::new_job(row)?,
        paused: row.get("paused")?,
        next: row::time(row, "next")?,
        last: row::time(row, "last_at")?.zip(last_job.map(JobId)),
        version: row.get("version")?,
    })
}
