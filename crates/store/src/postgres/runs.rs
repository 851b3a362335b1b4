//! The rows of workflows.

mod advance;
mod definitions;
mod run;
mod steps;

use super::Postgres;
use super::fault::Fault;
use super::jobs::{add, counted, end};
use super::param::params;
use super::row::amount;
use super::transaction::Transaction;
use crate::jobs::{Cancel, Lease, NewJob};
use crate::runs::{Advanced, Decide, Definition, Run, RunState, Runs, Step};
use crate::{Answer, Error, Result, Time};

/// Runs forgotten in one step, so that no transaction is long.
const STEP: u32 = 100;

const LIST: &str = "
    SELECT * FROM tidegate_runs
    WHERE ($1 IS NULL OR tenant = $1) AND ($2 IS NULL OR workflow = $2) AND ($3 IS NULL OR state = $3)
        AND ($4 IS NULL OR number < (SELECT number FROM tidegate_runs WHERE id = $4))
    ORDER BY number DESC LIMIT $5";

const PURGE: &str = "
    WITH old AS MATERIALIZED (
        SELECT id FROM tidegate_runs WHERE ended < $1 ORDER BY ended LIMIT $2 FOR UPDATE SKIP LOCKED
    ), steps AS (
        DELETE FROM tidegate_run_steps s USING old WHERE s.run = old.id
    ), gone AS (
        DELETE FROM tidegate_runs r USING old WHERE r.id = old.id
    )
    SELECT count(*) FROM old";

impl Runs for Postgres {
    fn define(&self, tenant: &str, name: &str, source: Vec<u8>, now: Time) -> Answer<'_, Definition> {
        let new =
            Definition { tenant: tenant.to_owned(), name: name.to_owned(), version: 0, source, created: now };
        self.write(new, |transaction, new| Box::pin(definitions::define(transaction, new)))
    }

    fn definition(&self, tenant: &str, name: &str, version: Option<i64>) -> Answer<'_, Option<Definition>> {
        let given = (tenant.to_owned(), name.to_owned(), version);
        self.write(given, |transaction, (tenant, name, version)| {
            Box::pin(definitions::find(transaction, tenant, name, *version))
        })
    }

    fn definitions(&self, tenant: Option<&str>) -> Answer<'_, Vec<Definition>> {
        self.read(tenant.map(str::to_owned), |transaction, tenant| {
            Box::pin(definitions::newest(transaction, tenant.as_deref()))
        })
    }

    fn start(&self, run: Run, jobs: Vec<NewJob>, steps: Vec<Step>, key: Option<String>) -> Answer<'_, Run> {
        self.write((run, jobs, steps, key), |transaction, (run, jobs, steps, key)| {
            Box::pin(start(transaction, run, jobs, steps, key.as_deref()))
        })
    }

    fn started(&self, tenant: &str, workflow: &str, key: &str) -> Answer<'_, Option<Run>> {
        self.write([tenant, workflow, key].map(str::to_owned), |transaction, [tenant, workflow, key]| {
            Box::pin(async move {
                let sql =
                    "SELECT * FROM tidegate_runs WHERE tenant = $1 AND workflow = $2 AND start_key = $3";
                transaction
                    .last(sql, params![tenant, workflow, key])
                    .await?
                    .first()
                    .map(run::from_row)
                    .transpose()
            })
        })
    }

    fn advance(&self, id: &str, held: Option<Lease>, now: Time, decide: Decide) -> Answer<'_, Advanced> {
        self.write((id.to_owned(), held, now, decide), |transaction, (id, held, now, decide)| {
            Box::pin(advance::advance(transaction, id, *held, *now, decide))
        })
    }

    fn run(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<Run>> {
        self.write((id.to_owned(), tenant.map(str::to_owned)), |transaction, (id, tenant)| {
            Box::pin(async move {
                let sql = "SELECT * FROM tidegate_runs WHERE id = $1 AND ($2 IS NULL OR tenant = $2)";
                transaction.last(sql, params![id, tenant]).await?.first().map(run::from_row).transpose()
            })
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
        let words = [tenant, workflow, before].map(|word| word.map(str::to_owned));
        self.read((words, state, limit), |transaction, ([tenant, workflow, before], state, limit)| {
            Box::pin(async move {
                let state = state.map(|state| state as i16);
                let rows = transaction
                    .last(LIST, params![tenant, workflow, state, before, i64::from(*limit)])
                    .await?;
                rows.iter().map(run::from_row).collect()
            })
        })
    }

    fn steps(&self, id: &str, keys: Option<Vec<String>>, limit: u32) -> Answer<'_, Vec<Step>> {
        self.write((id.to_owned(), keys, limit), |transaction, (id, keys, limit)| {
            Box::pin(steps::read(transaction, id, keys.as_deref(), *limit))
        })
    }

    fn counts(&self) -> Answer<'_, Vec<(RunState, u64)>> {
        self.read((), |transaction, ()| {
            Box::pin(async move {
                let sql = "SELECT state, count(*) FROM tidegate_runs GROUP BY state ORDER BY state";
                let rows = transaction.last(sql, &[]).await?;
                rows.iter()
                    .map(|row| Ok((run::state(row.try_get("state")?)?, amount(row, "count")?)))
                    .collect()
            })
        })
    }

    fn purge(&self, before: Time, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            let (mut purged, mut step) = (0, STEP);
            while step == STEP && purged < limit {
                let given = (before, (limit - purged).min(STEP));
                let some = self.write(given, |transaction, (before, limit)| {
                    Box::pin(async move {
                        counted(&transaction.last(PURGE, params![before.0, i64::from(*limit)]).await?)
                    })
                });
                step = u32::try_from(some.await?).unwrap_or(STEP);
                purged += step;
            }
            Ok(purged.into())
        })
    }

    fn cancel_jobs(&self, id: &str, now: Time) -> Answer<'_, Vec<Cancel>> {
        self.write((id.to_owned(), now), |transaction, (id, now)| {
            Box::pin(end::cancel_under(transaction, id, *now, true))
        })
    }
}

async fn start(
    transaction: &Transaction,
    run: &Run,
    jobs: &[NewJob],
    steps: &[Step],
    key: Option<&str>,
) -> Result<Run, Fault> {
    if run::insert(transaction, run, key).await? {
        steps::write(transaction, &run.id, steps).await?;
        add::add(transaction, jobs, run.created).await?;
        return Ok(run.clone());
    }
    let gone = || Error::Away("the run that was started with this key has just been forgotten".to_owned());
    Ok(run::started(transaction, run, key).await?.ok_or_else(gone)?)
}
