//! The rows of workflows.

mod advance;
mod define;
mod row;
mod steps;

use super::Sqlite;
use super::jobs::{add, belong};
use crate::jobs::{Cancel, Lease, NewJob, State};
use crate::runs::{Advanced, Decide, Definition, Run, RunState, Runs, Step};
use crate::{Answer, Result, Time};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

impl Runs for Sqlite {
    fn define(&self, tenant: &str, name: &str, source: Vec<u8>, now: Time) -> Answer<'_, Definition> {
        let (tenant, name) = (tenant.to_owned(), name.to_owned());
        self.write_large(source.len(), move |db| define::define(db, &tenant, &name, &source, now))
    }

    fn definition(&self, tenant: &str, name: &str, version: Option<i64>) -> Answer<'_, Option<Definition>> {
        let (tenant, name) = (tenant.to_owned(), name.to_owned());
        self.read(move |db| define::definition(db, &tenant, &name, version))
    }

    fn definitions(&self, tenant: Option<&str>) -> Answer<'_, Vec<Definition>> {
        let tenant = tenant.map(str::to_owned);
        self.read(move |db| define::newest(db, tenant.as_deref()))
    }

    fn start(&self, run: Run, jobs: Vec<NewJob>, steps: Vec<Step>, key: Option<String>) -> Answer<'_, Run> {
        let bytes = run.input.len() + run.definition.len();
        self.write_large(bytes, move |db| start(db, &run, &jobs, &steps, key.as_deref()))
    }

    fn started(&self, tenant: &str, workflow: &str, key: &str) -> Answer<'_, Option<Run>> {
        let [tenant, workflow, key] = [tenant, workflow, key].map(str::to_owned);
        self.read(move |db| row::keyed(db, &tenant, &workflow, &key))
    }

    fn advance(&self, id: &str, held: Option<Lease>, now: Time, decide: Decide) -> Answer<'_, Advanced> {
        let id = id.to_owned();
        self.write(move |db| advance::advance(db, &id, held, now, &decide))
    }

    fn run(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<Run>> {
        let (id, tenant) = (id.to_owned(), tenant.map(str::to_owned));
        self.read(move |db| {
            let found = row::run(db, &id)?;
            Ok(found.filter(|run| tenant.as_ref().is_none_or(|only| run.tenant == *only)))
        })
    }

    fn runs(
        &self,
        tenant: Option<&str>,
        workflow: Option<&str>,
        state: Option<RunState>,
        before: Option<&str>,
        limit: u32,
    ) -> Answer<'_, Vec<Run>> {
        let [tenant, workflow, before] = [tenant, workflow, before].map(|word| word.map(str::to_owned));
        self.read(move |db| list(db, [&tenant, &workflow, &before], state, limit))
    }

    fn steps(&self, id: &str, keys: Option<Vec<String>>, limit: u32) -> Answer<'_, Vec<Step>> {
        let id = id.to_owned();
        self.read(move |db| steps::read(db, &id, keys.as_deref(), limit))
    }

    fn counts(&self) -> Answer<'_, Vec<(RunState, u64)>> {
        self.read(|db| {
            let mut sql =
                db.prepare_cached("SELECT state, count(*) FROM runs GROUP BY state ORDER BY state")?;
            let rows = sql.query_map([], |found| Ok((row::state(found.get(0)?)?, found.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn purge(&self, before: Time, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            let over = self.read(move |db| over(db, before, limit)).await?;
            let mut purged = 0;
            for run in over {
                purged += u64::from(self.write(move |db| remove(db, run, before)).await?);
            }
            Ok(purged)
        })
    }

    fn cancel_jobs(&self, id: &str, now: Time) -> Answer<'_, Vec<Cancel>> {
        let id = id.to_owned();
        self.write(move |db| belong::cancel_parts(db, &id, State::Running, now))
    }
}

fn start(db: &Connection, run: &Run, jobs: &[NewJob], steps: &[Step], key: Option<&str>) -> Result<Run> {
    if let Some(started) = row::started(db, run, key)? {
        return Ok(started);
    }
    let number = row::insert(db, run, key)?;
    steps.iter().try_for_each(|step| steps::write(db, number, step))?;
    for job in jobs {
        add::add(db, job, run.created)?;
    }
    Ok(run.clone())
}

fn list(
    db: &Connection,
    [tenant, workflow, before]: [&Option<String>; 3],
    state: Option<RunState>,
    limit: u32,
) -> Result<Vec<Run>> {
    let mut text = format!("{} WHERE TRUE", row::SELECT);
    let mut values: Vec<Value> = Vec::new();
    let conditions = [
        ("tenant = ?", tenant.clone().map(Value::from)),
        ("workflow = ?", workflow.clone().map(Value::from)),
        ("state = ?", state.map(|state| Value::from(state as i64))),
        ("number < (SELECT number FROM runs WHERE id = ?)", before.clone().map(Value::from)),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            text.push_str(" AND ");
            text.push_str(condition);
            values.push(value);
        }
    }
    text.push_str(" ORDER BY number DESC LIMIT ?");
    values.push(limit.into());
    let mut sql = db.prepare_cached(&text)?;
    let rows = sql.query_map(params_from_iter(values), row::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The numbers of those that were over before `before`.
fn over(db: &Connection, before: Time, limit: u32) -> Result<Vec<i64>> {
    let mut sql = db.prepare_cached(
        "SELECT number FROM runs INDEXED BY runs_over WHERE ended IS NOT NULL AND ended < ? \
         ORDER BY ended LIMIT ?",
    )?;
    Ok(sql.query_map(params![before.0, limit], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Removes a run with its steps, unless it goes on again.
fn remove(db: &Connection, run: i64, before: Time) -> Result<bool> {
    let mut sql = db.prepare_cached("DELETE FROM runs WHERE number = ? AND ended < ?")?;
    if sql.execute(params![run, before.0])? == 0 {
        return Ok(false);
    }
    db.prepare_cached("DELETE FROM run_givens WHERE run = ?")?.execute([run])?;
    db.prepare_cached("DELETE FROM run_steps WHERE run = ?")?.execute([run])?;
    Ok(true)
}
