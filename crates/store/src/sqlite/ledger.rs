//! The rows of usage.

use super::Sqlite;
use crate::usage::{Filter, Ledger, Usage};
use crate::{Answer, Result};
use rusqlite::{Connection, Row, params};

/// How many days it is remembered what has been added: whoever repeats does so within minutes.
const REMEMBERED_DAYS: i32 = 14;

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
