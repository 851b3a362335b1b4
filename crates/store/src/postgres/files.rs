//! The rows of files, and their content.
//!
//! A file that goes is first no longer found, in one step, and its pieces are loose; then they are removed a few
//! at a time, so that no transaction is long. Where that is cut short, [`Files::sweep`] goes on.

use super::Postgres;
use super::fault::Fault;
use super::param::params;
use super::row::{self, amount, big, readable};
use super::transaction::Transaction;
use crate::files::{File, Files};
use crate::{Answer, Result, Time};
use tokio_postgres::Row;

/// Pieces removed in one step.
const PIECES_A_STEP: i64 = 64;

/// Nothing where the file is whole already.
const WRITE: &str = "
    WITH loose AS (
        INSERT INTO tidegate_file_loose (file, begun)
        SELECT $1, $4 WHERE NOT EXISTS (SELECT FROM tidegate_files WHERE id = $1)
        ON CONFLICT DO NOTHING
    )
    INSERT INTO tidegate_file_pieces (file, piece, bytes)
    SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM tidegate_files WHERE id = $1)
    ON CONFLICT DO NOTHING";

const CLOSE: &str = "
    WITH whole AS (
        INSERT INTO tidegate_files (id, tenant, purpose, name, bytes, created, expires)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
    )
    DELETE FROM tidegate_file_loose WHERE file = $1";

/// From now on they are not found.
const LOOSEN: &str = "
    WITH gone AS (
        DELETE FROM tidegate_files WHERE id = $1 AND ($2 IS NULL OR tenant = $2) RETURNING id
    ), loose AS (
        INSERT INTO tidegate_file_loose (file, begun) SELECT id, 0 FROM gone
        ON CONFLICT (file) DO UPDATE SET begun = 0
    )
    SELECT FROM gone";

const LOOSEN_EXPIRED: &str = "
    WITH gone AS (
        DELETE FROM tidegate_files WHERE id IN (
            SELECT id FROM tidegate_files WHERE expires <= $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING id
    )
    INSERT INTO tidegate_file_loose (file, begun) SELECT id, 0 FROM gone
    ON CONFLICT (file) DO UPDATE SET begun = 0";

/// Some pieces of a file that is no more; one that was brought to its end after all keeps its own.
const REMOVE_SOME: &str = "
    WITH gone AS (
        DELETE FROM tidegate_file_pieces WHERE file = $1 AND piece IN (
            SELECT piece FROM tidegate_file_pieces WHERE file = $1 ORDER BY piece LIMIT $2
        ) AND NOT EXISTS (SELECT FROM tidegate_files WHERE id = $1)
        RETURNING 1
    )
    SELECT count(*) FROM gone";

impl Files for Postgres {
    fn write(&self, id: &str, piece: u32, bytes: Vec<u8>, now: Time) -> Answer<'_, ()> {
        Postgres::write(self, (id.to_owned(), piece, bytes, now), |transaction, (id, piece, bytes, now)| {
            Box::pin(async move {
                transaction.last(WRITE, params![id, i64::from(*piece), bytes, now.0]).await?;
                Ok(())
            })
        })
    }

    fn close(&self, file: File) -> Answer<'_, ()> {
        Postgres::write(self, file, |transaction, file| Box::pin(close(transaction, file)))
    }

    fn file(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<File>> {
        let given = (id.to_owned(), tenant.map(str::to_owned));
        Postgres::write(self, given, |transaction, (id, tenant)| {
            Box::pin(async move {
                let sql = "SELECT * FROM tidegate_files WHERE id = $1 AND ($2 IS NULL OR tenant = $2)";
                transaction.last(sql, params![id, tenant]).await?.first().map(from_row).transpose()
            })
        })
    }

    fn list(
        &self,
        tenant: &str,
        purpose: Option<&str>,
        before: Option<&str>,
        limit: u32,
    ) -> Answer<'_, Vec<File>> {
        let [purpose, before] = [purpose, before].map(|word| word.map(str::to_owned));
        let given = (tenant.to_owned(), purpose, before, limit);
        Postgres::read(self, given, |transaction, (tenant, purpose, before, limit)| {
            Box::pin(async move {
                let sql = "
                    SELECT * FROM tidegate_files WHERE tenant = $1 AND ($2 IS NULL OR purpose = $2)
                        AND ($3 IS NULL OR number < (SELECT number FROM tidegate_files WHERE id = $3))
                    ORDER BY number DESC LIMIT $4";
                let rows = transaction.last(sql, params![tenant, purpose, before, i64::from(*limit)]).await?;
                rows.iter().map(from_row).collect()
            })
        })
    }

    fn read(&self, id: &str, piece: u32) -> Answer<'_, Option<Vec<u8>>> {
        Postgres::write(self, (id.to_owned(), piece), |transaction, (id, piece)| {
            Box::pin(async move {
                let sql = "SELECT bytes FROM tidegate_file_pieces WHERE file = $1 AND piece = $2";
                let rows = transaction.last(sql, params![id, i64::from(*piece)]).await?;
                rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
            })
        })
    }

    fn remove(&self, id: &str, tenant: Option<&str>) -> Answer<'_, bool> {
        let (id, tenant) = (id.to_owned(), tenant.map(str::to_owned));
        Box::pin(async move {
            let loosened = Postgres::write(self, (id.clone(), tenant), |transaction, (id, tenant)| {
                Box::pin(async move { Ok(!transaction.last(LOOSEN, params![id, tenant]).await?.is_empty()) })
            });
            let found = loosened.await?;
            if found {
                self.remove_pieces(id).await?;
            }
            Ok(found)
        })
    }

    fn sweep(&self, now: Time, abandoned: Time, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            let given = (now, abandoned, i64::from(limit));
            let loose = Postgres::write(self, given, |transaction, (now, abandoned, limit)| {
                Box::pin(async move {
                    transaction.query(LOOSEN_EXPIRED, params![now.0, limit]).await?;
                    let sql = "SELECT file FROM tidegate_file_loose WHERE begun < $1 ORDER BY begun LIMIT $2";
                    let rows = transaction.last(sql, params![abandoned.0, limit]).await?;
                    rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<String>, Fault>>()
                })
            });
            let loose = loose.await?;
            let swept = loose.len() as u64;
            for file in loose {
                self.remove_pieces(file).await?;
            }
            Ok(swept)
        })
    }
}

impl Postgres {
    async fn remove_pieces(&self, file: String) -> Result<()> {
        let step = || {
            Postgres::write(self, file.clone(), |transaction, file| Box::pin(remove_some(transaction, file)))
        };
        while !step().await? {}
        Ok(())
    }
}

async fn close(transaction: &Transaction, file: &File) -> Result<(), Fault> {
    let File { id, tenant, .. } = file;
    transaction
        .last(
            CLOSE,
            params![
                id,
                tenant,
                readable(&file.purpose),
                readable(&file.name),
                big(file.bytes),
                file.created.0,
                file.expires.map(|at| at.0),
            ],
        )
        .await?;
    Ok(())
}

/// Removes some pieces of a file that is no more; whether those were the last.
async fn remove_some(transaction: &Transaction, file: &String) -> Result<bool, Fault> {
    let removed = super::jobs::counted(&transaction.query(REMOVE_SOME, params![file, PIECES_A_STEP]).await?)?;
    let is_last = removed < PIECES_A_STEP.unsigned_abs();
    if is_last {
        transaction.last("DELETE FROM tidegate_file_loose WHERE file = $1", params![file]).await?;
    }
    Ok(is_last)
}

fn from_row(row: &Row) -> Result<File, Fault> {
    Ok(File {
        id: row.try_get("id")?,
        tenant: row.try_get("tenant")?,
        purpose: row.try_get("purpose")?,
        name: row.try_get("name")?,
        bytes: amount(row, "bytes")?,
        created: Time(row.try_get("created")?),
        expires: row::moment(row, "expires")?,
    })
}
