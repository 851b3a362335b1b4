//! The rows of usage.

use super::Postgres;
use super::fault::Fault;
use super::jobs::counted;
use super::param::params;
use super::row::{amount, big};
use super::transaction::Transaction;
use crate::usage::{Filter, Ledger, Usage};
use crate::{Answer, Result};
use tokio_postgres::Row;

/// How many days it is remembered what has been added: whoever repeats does so within minutes.
const REMEMBERED_DAYS: i32 = 14;

/// A row may be named more than once, and is written once. Rows are locked in the order of their key, so that
/// replicas that add at once do not wait for each other in a ring.
const ADD: &str = "
    WITH part AS (
        INSERT INTO tidegate_usage_parts (part, day) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING part
    ), forgotten AS (
        DELETE FROM tidegate_usage_parts WHERE day < $3 AND EXISTS (SELECT FROM part)
    )
    INSERT INTO tidegate_usage AS u (
        day, key, tenant, model, requests, hits, failed, tokens_in, tokens_out, cost_micro_usd
    )
    SELECT day, key, tenant, model, sum(requests)::bigint, sum(hits)::bigint, sum(failed)::bigint,
           sum(tokens_in)::bigint, sum(tokens_out)::bigint, sum(cost_micro_usd)::bigint
    FROM unnest($4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS g (
        day, key, tenant, model, requests, hits, failed, tokens_in, tokens_out, cost_micro_usd
    )
    WHERE EXISTS (SELECT FROM part)
    GROUP BY day, key, tenant, model ORDER BY day, key, tenant, model
    ON CONFLICT (day, key, tenant, model) DO UPDATE SET
        requests = u.requests + excluded.requests, hits = u.hits + excluded.hits,
        failed = u.failed + excluded.failed, tokens_in = u.tokens_in + excluded.tokens_in,
        tokens_out = u.tokens_out + excluded.tokens_out,
        cost_micro_usd = u.cost_micro_usd + excluded.cost_micro_usd";

/// Most rows that are forgotten in one transaction.
const STEP: u32 = 500;

const PURGE: &str = "
    WITH old AS MATERIALIZED (
        SELECT day, key, tenant, model FROM tidegate_usage WHERE day < $1
        ORDER BY day, key, tenant, model LIMIT $2 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM tidegate_usage u USING old
        WHERE (u.day, u.key, u.tenant, u.model) = (old.day, old.key, old.tenant, old.model)
    )
    SELECT count(*) FROM old";

impl Ledger for Postgres {
    fn add(&self, part: &str, usage: Vec<Usage>) -> Answer<'_, ()> {
        self.write((part.to_owned(), usage), |transaction, (part, usage)| {
            Box::pin(add(transaction, part, usage))
        })
    }

    fn read(&self, filter: Filter, most: u32) -> Answer<'_, Vec<Usage>> {
        Postgres::read(self, (filter, most), |transaction, (filter, most)| {
            Box::pin(async move {
                let (Filter { from, to, tenant, key }, most) = (filter, i64::from(*most));
                let sql = "
                    SELECT * FROM tidegate_usage WHERE day BETWEEN $1 AND $2
                        AND ($3 IS NULL OR tenant = $3) AND ($4 IS NULL OR key = $4)
                    ORDER BY day, key, tenant, model LIMIT $5";
                let rows = transaction.last(sql, params![from, to, tenant, key, most]).await?;
                rows.iter().map(from_row).collect()
            })
        })
    }

    fn purge(&self, before: i32, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            let (mut forgotten, mut step) = (0, STEP);
            while step == STEP && forgotten < limit {
                let given = (before, (limit - forgotten).min(STEP));
                let some = self.write(given, |transaction, (before, most)| {
                    Box::pin(async move {
                        counted(&transaction.last(PURGE, params![before, i64::from(*most)]).await?)
                    })
                });
                step = u32::try_from(some.await?).unwrap_or(STEP);
                forgotten += step;
            }
            Ok(forgotten.into())
        })
    }
}

async fn add(transaction: &Transaction, part: &str, usage: &[Usage]) -> Result<(), Fault> {
    let Some(newest) = usage.iter().map(|usage| usage.day).max() else { return Ok(()) };
    let sums = |of: fn(&Usage) -> u64| usage.iter().map(|usage| big(of(usage))).collect::<Vec<_>>();
    transaction
        .last(
            ADD,
            params![
                part,
                newest,
                newest.saturating_sub(REMEMBERED_DAYS),
                usage.iter().map(|usage| usage.day).collect::<Vec<_>>(),
                usage.iter().map(|usage| usage.key.as_str()).collect::<Vec<_>>(),
                usage.iter().map(|usage| usage.tenant.as_str()).collect::<Vec<_>>(),
                usage.iter().map(|usage| usage.model.as_str()).collect::<Vec<_>>(),
                sums(|usage| usage.requests),
                sums(|usage| usage.hits),
                sums(|usage| usage.failed),
                sums(|usage| usage.tokens_in),
                sums(|usage| usage.tokens_out),
                sums(|usage| usage.cost_micro_usd),
            ],
        )
        .await?;
    Ok(())
}

fn from_row(row: &Row) -> Result<Usage, Fault> {
    Ok(Usage {
        day: row.try_get("day")?,
        key: row.try_get("key")?,
        tenant: row.try_get("tenant")?,
        model: row.try_get("model")?,
        requests: amount(row, "requests")?,
        hits: amount(row, "hits")?,
        failed: amount(row, "failed")?,
        tokens_in: amount(row, "tokens_in")?,
        tokens_out: amount(row, "tokens_out")?,
        cost_micro_usd: amount(row, "cost_micro_usd")?,
    })
}
