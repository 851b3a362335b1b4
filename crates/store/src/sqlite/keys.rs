//! The rows of callers' keys.

use super::Sqlite;
use super::jobs::row;
use crate::keys::{Key, Keys};
use crate::{Answer, Result, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};

impl Keys for Sqlite {
    fn add(&self, key: Key) -> Answer<'_, bool> {
        self.write(move |db| {
            let mut sql = db.prepare_cached("INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?, ?, ?)")?;
            let revoked = key.revoked.map(|at| at.0);
            let values = params![key.id, key.hash, key.tenant, key.settings, key.created.0, revoked];
            count(db, sql.execute(values)?)
        })
    }

    fn change(&self, was: Key, tenant: &str, settings: Vec<u8>) -> Answer<'_, bool> {
        let tenant = tenant.to_owned();
        self.write(move |db| {
            let mut sql = db.prepare_cached(
                "UPDATE keys SET tenant = ?, settings = ? \
                 WHERE id = ? AND tenant = ? AND settings = ? AND revoked IS NULL",
            )?;
            count(db, sql.execute(params![tenant, settings, was.id, was.tenant, was.settings])?)
        })
    }

    fn revoke(&self, id: &str, now: Time) -> Answer<'_, bool> {
        let id = id.to_owned();
        self.write(move |db| {
            let mut sql =
                db.prepare_cached("UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL")?;
            count(db, sql.execute(params![now.0, id])?)
        })
    }

    fn all(&self) -> Answer<'_, Vec<Key>> {
        self.read(|db| {
            let mut sql = db.prepare_cached("SELECT * FROM keys ORDER BY id")?;
            Ok(sql.query_map([], from_row)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn version(&self) -> Answer<'_, i64> {
        self.read(|db| {
            let mut sql = db.prepare_cached("SELECT version FROM versions WHERE name = 'keys'")?;
            Ok(sql.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
        })
    }
}

/// Whether anything changed; if so, it is counted.
fn count(db: &Connection, changed: usize) -> Result<bool> {
    if changed > 0 {
        let mut sql = db.prepare_cached(
            "INSERT INTO versions VALUES ('keys', 1) ON CONFLICT (name) DO UPDATE SET version = version + 1",
        )?;
        sql.execute([])?;
    }
    Ok(changed > 0)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key {
        id: row.get("id")?,
        hash: row.get("hash")?,
        tenant: row.get("tenant")?,
        settings: row.get("settings")?,
        created: Time(row.get("created")?),
        revoked: row::time(row, "revoked")?,
    })
}
