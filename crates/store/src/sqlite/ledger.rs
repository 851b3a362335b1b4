//! The rows of usage.

use super::Sqlite;
use crate::usage::{Filter, Ledger, Usage};
use crate::{Answer, Result};
use rusqlite::{Connection, Row, params};

/// How many days it is remembered what has been added: whoever repeats does so within minutes.
const REMEMBERED_DAYS: i32 = 14;
/// Most rows that are forgotten in one step, so that others get between.
const STEP: u32 = 500;

/// What names a row: its day, key, tenant and model.
type Name = (i32, String, String, String);

pub(super) const OLD: &str =
    "SELECT day, key, tenant, model FROM usage WHERE day < ? ORDER BY day, key, tenant, model LIMIT ?";

impl Ledger for Sqlite {
    fn add(&self, part: &str, usage: Vec<Usage>) -> Answer<'_, ()> {
        let part = part.to_owned();
        self.write(move |db| add(db, &part, &usage))
    }

    fn read(&self, filter: Filter, most: u32) -> Answer<'_, Vec<Usage>> {
        Sqlite::read(self, move |db| {
            let Filter { from, to, tenant, key } = &filter;
            let mut sql = db.prepare_cached(
                "SELECT * FROM usage WHERE day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR tenant = ?3) \
                 AND (?4 IS NULL OR key = ?4) ORDER BY day, key, tenant, model LIMIT ?5",
            )?;
            let rows = sql.query_map(params![from, to, tenant, key, most], from_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Searches where nobody waits, and removes what was found: nobody adds to days that are so long over.
    fn purge(&self, before: i32, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            let mut forgotten = 0;
            while forgotten < limit {
                let most = STEP.min(limit - forgotten);
                let found = Sqlite::read(self, move |db| old(db, before, most)).await?;
                let count = u32::try_from(found.len()).unwrap_or(most);
                self.write(move |db| remove_all(db, &found)).await?;
                forgotten += count;
                if count < most {
                    break;
                }
            }
            Ok(forgotten.into())
        })
    }
}

fn add(db: &Connection, part: &str, usage: &[Usage]) -> Result<()> {
    let Some(newest) = usage.iter().map(|usage| usage.day).max() else { return Ok(()) };
    let mut sql = db.prepare_cached("INSERT OR IGNORE INTO usage_parts VALUES (?, ?)")?;
    if sql.execute(params![part, newest])? == 0 {
        return Ok(());
    }
    let mut sql = db.prepare_cached("DELETE FROM usage_parts WHERE day < ?")?;
    sql.execute([newest.saturating_sub(REMEMBERED_DAYS)])?;
    usage.iter().try_for_each(|usage| add_one(db, usage))
}

fn add_one(db: &Connection, usage: &Usage) -> Result<()> {
    let mut sql = db.prepare_cached(
        "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (day, key, tenant, model) DO UPDATE SET requests = requests + ?5, hits = hits + ?6, \
         failed = failed + ?7, tokens_in = tokens_in + ?8, tokens_out = tokens_out + ?9, \
         cost_micro_usd = cost_micro_usd + ?10",
    )?;
    sql.execute(params![
        usage.day,
        usage.key,
        usage.tenant,
        usage.model,
        usage.requests,
        usage.hits,
        usage.failed,
        usage.tokens_in,
        usage.tokens_out,
        usage.cost_micro_usd,
    ])?;
    Ok(())
}

/// The first rows of days before `before`.
fn old(db: &Connection, before: i32, most: u32) -> Result<Vec<Name>> {
    let mut sql = db.prepare_cached(OLD)?;
    let rows =
        sql.query_map(params![before, most], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn remove_all(db: &Connection, names: &[Name]) -> Result<()> {
    let mut sql =
        db.prepare_cached("DELETE FROM usage WHERE day = ? AND key = ? AND tenant = ? AND model = ?")?;
    for (day, key, tenant, model) in names {
        sql.execute(params![day, key, tenant, model])?;
    }
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Usage> {
    Ok(Usage {
        day: row.get("day")?,
        key: row.get("key")?,
        tenant: row.get("tenant")?,
        model: row.get("model")?,
        requests: row.get("requests")?,
        hits: row.get("hits")?,
        failed: row.get("failed")?,
        tokens_in: row.get("tokens_in")?,
        tokens_out: row.get("tokens_out")?,
        cost_micro_usd: row.get("cost_micro_usd")?,
    })
}
