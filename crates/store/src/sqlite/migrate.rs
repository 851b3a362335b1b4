//! The schema, step by step from nothing to this release's. It only ever goes forward.

use crate::{Error, Result};
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Says whose file it is: "Tide".
pub(super) const APPLICATION: i64 = 0x5469_6465;

/// Each step once, in this order; the file knows how many it has had. A step that was released never changes.
pub(super) const STEPS: &[&str] = &[
    include_str!("schema/0001_jobs.sql"),
    include_str!("schema/0002_schedules.sql"),
    include_str!("schema/0003_runs.sql"),
    include_str!("schema/0004_files.sql"),
    include_str!("schema/0005_batches.sql"),
    include_str!("schema/0006_keys.sql"),
    include_str!("schema/0007_untold.sql"),
    include_str!("schema/0008_parcels.sql"),
];

/// Brings the file up to this release's schema. Several processes that do so at once wait for each other, and
/// all but the first find nothing to do.
pub(super) fn migrate(db: &Connection) -> Result<()> {
    let step = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    let found: i64 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    check_owner(&step)?;
    if found > known {
        return Err(Error::TooNew { found, known });
    }
    if found < known {
        for sql in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            step.execute_batch(sql)?;
        }
        step.pragma_update(None, "user_version", known)?;
        step.pragma_update(None, "application_id", APPLICATION)?;
    }
    step.commit()?;
    Ok(())
}

/// Refuses a file that some other program has filled.
fn check_owner(db: &Connection) -> Result<()> {
    let owner: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner != APPLICATION && (owner != 0 || tables != 0) {
        return Err(Error::Corrupt("the file is another program's".to_owned()));
    }
    Ok(())
}
