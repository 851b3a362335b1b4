//! The rows of files, and their content.
//!
//! A file that goes is first no longer found, in one step, and its pieces are loose; then they are removed a few
//! at a time, so that other writes get between. Where that is cut short, [`Files::sweep`] goes on.

use super::Sqlite;
use super::jobs::row;
use crate::files::{File, Files};
use crate::{Answer, Result, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Pieces removed in one step.
const PIECES_A_STEP: u32 = 16;
/// Pages given back to the disk in one step.
const PAGES_A_STEP: u32 = 1000;
/// Free pages that stay in the file, as they are soon used again: 16 MiB.
const PAGES_FREE: u32 = 4096;

impl Files for Sqlite {
    fn write(&self, id: &str, piece: u32, bytes: Vec<u8>, now: Time) -> Answer<'_, ()> {
        let id = id.to_owned();
        self.write_large(bytes.len(), move |db| write(db, &id, piece, &bytes, now))
    }

    fn close(&self, file: File) -> Answer<'_, ()> {
        Sqlite::write(self, move |db| close(db, &file))
    }

    fn file(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<File>> {
        let (id, tenant) = (id.to_owned(), tenant.map(str::to_owned));
        Sqlite::read(self, move |db| {
            let mut sql = db.prepare_cached("SELECT * FROM files WHERE id = ?")?;
            let found = sql.query_row([&id], from_row).optional()?;
            Ok(found.filter(|file| tenant.as_ref().is_none_or(|only| file.tenant == *only)))
        })
    }

    fn list(
        &self,
        tenant: &str,
        purpose: Option<&str>,
        before: Option<&str>,
        limit: u32,
    ) -> Answer<'_, Vec<File>> {
        let (tenant, purpose) = (tenant.to_owned(), purpose.map(str::to_owned));
        let before = before.map(str::to_owned);
        Sqlite::read(self, move |db| {
            let mut sql = db.prepare_cached(
                "SELECT * FROM files INDEXED BY files_tenant WHERE tenant = ?1 \
                 AND (?2 IS NULL OR purpose = ?2) \
                 AND (?3 IS NULL OR number < (SELECT number FROM files WHERE id = ?3)) \
                 ORDER BY number DESC LIMIT ?4",
            )?;
            let rows = sql.query_map(params![tenant, purpose, before, limit], from_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn read(&self, id: &str, piece: u32) -> Answer<'_, Option<Vec<u8>>> {
        let id = id.to_owned();
        Sqlite::read(self, move |db| {
            let mut sql = db.prepare_cached("SELECT bytes FROM file_pieces WHERE file = ? AND number = ?")?;
            Ok(sql.query_row(params![id, piece], |row| row.get(0)).optional()?)
        })
    }

    fn remove(&self, id: &str, tenant: Option<&str>) -> Answer<'_, bool> {
        let (id, tenant) = (id.to_owned(), tenant.map(str::to_owned));
        Box::pin(async move {
            let file = id.clone();
            let found = Sqlite::write(self, move |db| loosen(db, &file, tenant.as_deref())).await?;
            if found {
                self.remove_pieces(id).await?;
            }
            Ok(found)
        })
    }

    fn sweep(&self, now: Time, abandoned: Time, limit: u32) -> Answer<'_, u64> {
        Box::pin(async move {
            Sqlite::write(self, move |db| loosen_expired(db, now, limit)).await?;
            let loose = Sqlite::read(self, move |db| loose(db, abandoned, limit)).await?;
            let swept = loose.len() as u64;
            for file in loose {
                self.remove_pieces(file).await?;
            }
            self.give_back().await?;
            Ok(swept)
        })
    }
}

impl Sqlite {
    async fn remove_pieces(&self, file: String) -> Result<()> {
        loop {
            let file = file.clone();
            if Sqlite::write(self, move |db| remove_some(db, &file)).await? {
                return Ok(());
            }
        }
    }

    /// Gives free pages back to the disk.
    async fn give_back(&self) -> Result<()> {
        while Sqlite::write(self, give_some_back).await? {}
        Ok(())
    }
}

fn write(db: &Connection, id: &str, piece: u32, bytes: &[u8], now: Time) -> Result<()> {
    if is_closed(db, id)? {
        return Ok(());
    }
    db.prepare_cached("INSERT OR IGNORE INTO file_loose VALUES (?, ?)")?.execute(params![id, now.0])?;
    db.prepare_cached("INSERT OR IGNORE INTO file_pieces VALUES (?, ?, ?)")?
        .execute(params![id, piece, bytes])?;
    Ok(())
}

fn is_closed(db: &Connection, id: &str) -> Result<bool> {
    let mut sql = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM files WHERE id = ?)")?;
    Ok(sql.query_row([id], |row| row.get(0))?)
}

fn close(db: &Connection, file: &File) -> Result<()> {
    let mut sql = db.prepare_cached(
        "INSERT OR IGNORE INTO files (id, tenant, purpose, name, bytes, created, expires) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    let expires = file.expires.map(|at| at.0);
    let File { id, tenant, purpose, name, bytes, created, .. } = file;
    sql.execute(params![id, tenant, purpose, name, bytes, created.0, expires])?;
    db.prepare_cached("DELETE FROM file_loose WHERE file = ?")?.execute([id])?;
    Ok(())
}

/// From now on it is not found; whether it was.
fn loosen(db: &Connection, id: &str, tenant: Option<&str>) -> Result<bool> {
    let mut sql = db.prepare_cached("DELETE FROM files WHERE id = ?1 AND tenant = coalesce(?2, tenant)")?;
    let found = sql.execute(params![id, tenant])? > 0;
    if found {
        db.prepare_cached("INSERT OR REPLACE INTO file_loose VALUES (?, 0)")?.execute([id])?;
    }
    Ok(found)
}

fn loosen_expired(db: &Connection, now: Time, limit: u32) -> Result<()> {
    let mut sql = db.prepare_cached(
        "SELECT id FROM files INDEXED BY files_expire WHERE expires IS NOT NULL AND expires <= ? \
         ORDER BY expires LIMIT ?",
    )?;
    let rows = sql.query_map(params![now.0, limit], |row| row.get(0))?;
    for id in rows.collect::<rusqlite::Result<Vec<String>>>()? {
        loosen(db, &id, None)?;
    }
    Ok(())
}

/// Files that are no more, and those that were begun too long ago.
fn loose(db: &Connection, abandoned: Time, limit: u32) -> Result<Vec<String>> {
    let mut sql = db.prepare_cached("SELECT file FROM file_loose WHERE begun < ? LIMIT ?")?;
    let rows = sql.query_map(params![abandoned.0, limit], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes some pieces of a file that is no more; whether those were the last.
fn remove_some(db: &Connection, file: &str) -> Result<bool> {
    if is_closed(db, file)? {
        // It was brought to its end after all, meanwhile.
        return Ok(true);
    }
    let mut sql = db.prepare_cached(
        "DELETE FROM file_pieces WHERE rowid IN (SELECT rowid FROM file_pieces WHERE file = ? LIMIT ?)",
    )?;
    let removed = sql.execute(params![file, PIECES_A_STEP])?;
    let is_last = removed < usize::try_from(PIECES_A_STEP).unwrap_or(usize::MAX);
    if is_last {
        db.prepare_cached("DELETE FROM file_loose WHERE file = ?")?.execute([file])?;
    }
    Ok(is_last)
}

/// Gives some free pages back; whether there are more.
fn give_some_back(db: &Connection) -> Result<bool> {
    let free = |db: &Connection| db.pragma_query_value(None, "freelist_count", |row| row.get::<_, u32>(0));
    if free(db)? < PAGES_FREE + PAGES_A_STEP {
        return Ok(false);
    }
    let mut sql = db.prepare(&format!("PRAGMA incremental_vacuum({PAGES_A_STEP})"))?;
    let mut rows = sql.query([])?;
    while rows.next()?.is_some() {}
    Ok(true)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<File> {
    Ok(File {
        id: row.get("id")?,
        tenant: row.get("tenant")?,
        purpose: row.get("purpose")?,
        name: row.get("name")?,
        bytes: row.get("bytes")?,
        created: Time(row.get("created")?),
        expires: row::time(row, "expires")?,
    })
}
