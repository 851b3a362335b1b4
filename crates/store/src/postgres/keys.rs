//! The rows of callers' keys.

use super::Postgres;
use super::fault::Fault;
use super::param::params;
use super::row;
use crate::keys::{Key, Keys};
use crate::{Answer, Result, Time};
use tokio_postgres::Row;

/// Each change counts the version up in the same statement: whoever sees the one sees the other.
const ADD: &str = "
    WITH added AS (
        INSERT INTO tidegate_keys (id, hash, tenant, settings, created, revoked) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT DO NOTHING RETURNING 1
    ), counted AS (
        UPDATE tidegate_keys_version SET version = version + 1 WHERE EXISTS (SELECT FROM added)
    )
    SELECT FROM added";

const CHANGE: &str = "
    WITH changed AS (
        UPDATE tidegate_keys SET tenant = $1, settings = $2
        WHERE id = $3 AND tenant = $4 AND settings = $5 AND revoked IS NULL RETURNING 1
    ), counted AS (
        UPDATE tidegate_keys_version SET version = version + 1 WHERE EXISTS (SELECT FROM changed)
    )
    SELECT FROM changed";

const REVOKE: &str = "
    WITH revoked AS (
        UPDATE tidegate_keys SET revoked = $2 WHERE id = $1 AND revoked IS NULL RETURNING 1
    ), counted AS (
        UPDATE tidegate_keys_version SET version = version + 1 WHERE EXISTS (SELECT FROM revoked)
    )
    SELECT FROM revoked";

impl Keys for Postgres {
    fn add(&self, key: Key) -> Answer<'_, bool> {
        self.write(key, |transaction, key| {
            Box::pin(async move {
                let Key { id, hash, tenant, settings, .. } = key;
                let revoked = key.revoked.map(|at| at.0);
                let rows = transaction
                    .last(ADD, params![id, hash, tenant, settings, key.created.0, revoked])
                    .await?;
                Ok(!rows.is_empty())
            })
        })
    }

    fn change(&self, was: Key, tenant: &str, settings: Vec<u8>) -> Answer<'_, bool> {
        self.write((was, tenant.to_owned(), settings), |transaction, (was, tenant, settings)| {
            Box::pin(async move {
                let Key { id, tenant: before, settings: were, .. } = was;
                let rows = transaction.last(CHANGE, params![tenant, settings, id, before, were]).await?;
                Ok(!rows.is_empty())
            })
        })
    }

    fn revoke(&self, id: &str, now: Time) -> Answer<'_, bool> {
        self.write((id.to_owned(), now), |transaction, (id, now)| {
            Box::pin(async move { Ok(!transaction.last(REVOKE, params![id, now.0]).await?.is_empty()) })
        })
    }

    /// Not of a replica: a key that is revoked is to be known at once.
    fn all(&self) -> Answer<'_, Vec<Key>> {
        self.write((), |transaction, ()| {
            Box::pin(async move {
                let sql = "SELECT * FROM tidegate_keys ORDER BY id";
                transaction.last(sql, &[]).await?.iter().map(from_row).collect()
            })
        })
    }

    fn version(&self) -> Answer<'_, i64> {
        self.write((), |transaction, ()| {
            Box::pin(async move {
                let rows = transaction.last("SELECT version FROM tidegate_keys_version", &[]).await?;
                rows.first().map_or(Ok(0), |row| Ok(row.try_get(0)?))
            })
        })
    }
}

fn from_row(row: &Row) -> Result<Key, Fault> {
    Ok(Key {
        id: row.try_get("id")?,
        hash: row.try_get("hash")?,
        tenant: row.try_get("tenant")?,
        settings: row.try_get("settings")?,
        created: Time(row.try_get("created")?),
        revoked: row::moment(row, "revoked")?,
    })
}
