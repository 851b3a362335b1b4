//! Connections to the file, and what each is told first.

use super::Options;
use super::fault::is_busy;
use crate::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::time::{Duration, Instant};

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 256;
/// How long to wait before trying again where SQLite itself does not wait.
const PAUSE: Duration = Duration::from_millis(10);

/// The connection that writes, to a file that may not be there yet.
pub(super) fn first(options: &Options) -> Result<Connection> {
    make_file(options).map_err(|error| Error::Away(format!("{}: {error}", options.path.display())))?;
    writing(options)
}

/// The connection that writes, to a file that is there.
pub(super) fn writing(options: &Options) -> Result<Connection> {
    let db = open(options)?;
    // Heeded where the file is still empty: later, room is given back in small steps.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    write_ahead(&db, options.busy_max)?;
    // An answer is a promise: each commit is synced. In the log, as WAL has it, that is one sync for each.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 4000)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    db.pragma_update(None, "cache_size", -32_768)?;
    if let Some(pages) = options.pages_max {
        db.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(db)
}

/// A connection that reads.
pub(super) fn reading(options: &Options) -> Result<Connection> {
    let db = open(options)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cache_size", -4096)?;
    Ok(db)
}

fn open(options: &Options) -> Result<Connection> {
    // Never made anew where it was there: an empty file is not what was lost.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&options.path, flags)?;
    db.busy_timeout(options.busy_max)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // A plan is made once and not anew for each value: making it costs more than a search.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(db)
}

/// Makes the file where it is missing, for its owner alone: it holds what callers have sent.
fn make_file(options: &Options) -> std::io::Result<()> {
    if let Some(folder) = options.path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new();
    file.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.open(&options.path)?;
    Ok(())
}

/// Turns the write-ahead log on. Two that do so at once refuse each other without waiting.
fn write_ahead(db: &Connection, wait_max: Duration) -> Result<()> {
    let began = Instant::now();
    loop {
        match db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(Error::Away(format!("this disk cannot keep a write-ahead log, but `{mode}`")));
            }
            Err(error) if is_busy(&error) && began.elapsed() < wait_max => pause(),
            Err(error) => return Err(error.into()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "on a thread of our own, where nothing else waits")]
fn pause() {
    std::thread::sleep(PAUSE);
}
