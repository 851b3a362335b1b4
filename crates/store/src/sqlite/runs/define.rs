//! Definitions of workflows, in all their versions.

use crate::runs::Definition;
use crate::{Result, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Adds a version, unless the newest is the same.
pub(super) fn define(
    db: &Connection,
    tenant: &str,
    name: &str,
    source: &[u8],
    now: Time,
) -> Result<Definition> {
    let newest = definition(db, tenant, name, None)?;
    let version = match newest {
        Some(newest) if newest.source == source => return Ok(newest),
        Some(newest) => newest.version + 1,
        None => 1,
    };
    let mut sql = db.prepare_cached("INSERT INTO definitions VALUES (?, ?, ?, ?, ?)")?;
    sql.execute(params![tenant, name, version, source, now.0])?;
    let (tenant, name) = (tenant.to_owned(), name.to_owned());
    Ok(Definition { tenant, name, version, source: source.to_vec(), created: now })
}

/// A version, or the newest.
pub(super) fn definition(
    db: &Connection,
    tenant: &str,
    name: &str,
    version: Option<i64>,
) -> Result<Option<Definition>> {
    let mut sql = db.prepare_cached(
        "SELECT * FROM definitions WHERE tenant = ?1 AND name = ?2 AND version = coalesce(?3, version) \
         ORDER BY version DESC LIMIT 1",
    )?;
    Ok(sql.query_row(params![tenant, name, version], from_row).optional()?)
}

/// The newest version of each.
pub(super) fn newest(db: &Connection, tenant: Option<&str>) -> Result<Vec<Definition>> {
    let mut sql = db.prepare_cached(
        "SELECT * FROM definitions AS one WHERE (?1 IS NULL OR tenant = ?1) AND version = \
         (SELECT max(version) FROM definitions WHERE tenant = one.tenant AND name = one.name) \
         ORDER BY name, tenant",
    )?;
    Ok(sql.query_map([tenant], from_row)?.collect::<rusqlite::Result<_>>()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Definition> {
    Ok(Definition {
        tenant: row.get("tenant")?,
        name: row.get("name")?,
        version: row.get("version")?,
        source: row.get("source")?,
        created: Time(row.get("created")?),
    })
}
