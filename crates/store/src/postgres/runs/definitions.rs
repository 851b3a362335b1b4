//! Definitions of workflows, in all their versions.

use crate::postgres::fault::Fault;
use crate::postgres::param::params;
use crate::postgres::transaction::Transaction;
use crate::runs::Definition;
use crate::{Error, Result, Time};
use tokio_postgres::Row;

/// How often somebody else may be quicker.
const TRIES: usize = 5;

/// Adds a version, unless the newest is the same.
pub(super) async fn define(transaction: &Transaction, new: &Definition) -> Result<Definition, Fault> {
    for _ in 0..TRIES {
        let newest = find(transaction, &new.tenant, &new.name, None).await?;
        let version = match newest {
            Some(newest) if newest.source == new.source => return Ok(newest),
            Some(newest) => newest.version + 1,
            None => 1,
        };
        let sql = "
            INSERT INTO tidegate_definitions (tenant, name, version, source, created) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING RETURNING 1";
        let Definition { tenant, name, source, created, .. } = new;
        if !transaction.query(sql, params![tenant, name, version, source, created.0]).await?.is_empty() {
            return Ok(Definition { version, ..new.clone() });
        }
    }
    Err(Error::Away("others define the same workflow all the time".to_owned()).into())
}

/// A version, or the newest.
pub(super) async fn find(
    transaction: &Transaction,
    tenant: &str,
    name: &str,
    version: Option<i64>,
) -> Result<Option<Definition>, Fault> {
    let sql = "
        SELECT * FROM tidegate_definitions WHERE tenant = $1 AND name = $2 AND ($3 IS NULL OR version = $3)
        ORDER BY version DESC LIMIT 1";
    transaction.query(sql, params![tenant, name, version]).await?.first().map(from_row).transpose()
}

/// The newest version of each.
pub(super) async fn newest(
    transaction: &Transaction,
    tenant: Option<&str>,
) -> Result<Vec<Definition>, Fault> {
    let sql = "
        SELECT DISTINCT ON (name, tenant) * FROM tidegate_definitions WHERE $1 IS NULL OR tenant = $1
        ORDER BY name, tenant, version DESC";
    transaction.last(sql, params![tenant]).await?.iter().map(from_row).collect()
}

fn from_row(row: &Row) -> Result<Definition, Fault> {
    Ok(Definition {
        tenant: row.try_get("tenant")?,
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        source: row.try_get("source")?,
        created: Time(row.try_get("created")?),
    })
}
