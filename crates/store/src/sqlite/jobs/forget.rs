//! Forgetting jobs that are over.

use super::{end, look};
use crate::jobs::{Filter, JobId, State};
use crate::sqlite::Sqlite;
use crate::{Result, Time};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// Most jobs that are forgotten in one step, so that others get between.
const STEP: u32 = 500;

impl Sqlite {
    /// Searches where nobody waits, and removes what was found: what is over stays over.
    pub(super) async fn forget_jobs(&self, filter: Filter, before: Time, limit: u32) -> Result<u64> {
        let mut removed = 0;
        for state in [State::Done, State::Dead, State::Cancelled] {
            if filter.state.is_some_and(|only| only != state) {
                continue;
            }
            let filter = Filter { state: Some(state), ..filter.clone() };
            while removed < u64::from(limit) {
                let most = u64::from(STEP).min(u64::from(limit) - removed);
                let filter = filter.clone();
                let found = self.read(move |db| over(db, &filter, before, most)).await?;
                let is_last = (found.len() as u64) < most;
                removed += self.write(move |db| remove_all(db, &found)).await?;
                if is_last {
                    break;
                }
            }
        }
        Ok(removed)
    }
}

/// The first of those that were over before `before`.
fn over(db: &Connection, filter: &Filter, before: Time, most: u64) -> Result<Vec<JobId>> {
    let state = filter.state.unwrap_or(State::Done);
    let mut text =
        "SELECT id FROM jobs INDEXED BY jobs_over WHERE state >= 3 AND state = ? AND ended < ? AND untold = 0"
            .to_owned();
    let mut values: Vec<Value> = vec![(state as i64).into(), before.0.into()];
    look::narrow(filter, &mut text, &mut values);
    text.push_str(" ORDER BY ended LIMIT ?");
    values.push(i64::try_from(most).unwrap_or(i64::MAX).into());
    let mut sql = db.prepare_cached(&text)?;
    let rows = sql.query_map(params_from_iter(values), |row| row.get(0).map(JobId))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn remove_all(db: &Connection, ids: &[JobId]) -> Result<u64> {
    let mut removed = 0;
    let mut sql = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?)")?;
    for id in ids {
        removed += u64::from(sql.query_row([id.0], |row| row.get::<_, bool>(0))?);
        end::remove(db, *id, true)?;
    }
    Ok(removed)
}
