//! The schema, and how a database comes to it: forward only, one numbered step after the other.
//!
//! All that is missing is done in one transaction under a lock that ends with it, so that of several replicas that
//! start at once one does it and the others find it done. A step that has been released is never changed; what is
//! to be otherwise is a step of its own, and one that the release before can live with, as replicas are replaced
//! one by one.

use super::fault::{Fault, tell};
use super::transaction::Database;
use crate::{Error, Result};
use deadpool_postgres::Object;
use std::time::Duration;
use tokio::time::timeout;

/// Every step, from the first on.
const STEPS: [&str; 4] = [
    include_str!("schema/1_tables.sql"),
    include_str!("schema/2_functions.sql"),
    include_str!("schema/3_untold.sql"),
    include_str!("schema/4_parcels.sql"),
];
/// Longest time for all of them, the wait for another replica that is at it included.
const LONGEST: Duration = Duration::from_secs(600);
/// The lock's number, for everybody who brings a database up: `tide` in ASCII.
const LOCK: i64 = 0x7469_6465;

/// Brings the database up to this release's schema.
///
/// # Errors
/// [`Error::TooNew`] where a newer release has written it; whatever hinders the rest.
pub(super) async fn bring_up(database: &Database) -> Result<()> {
    // Closed whatever comes of it: nothing is worth keeping of a connection that may be amid a transaction.
    let client = Object::take(database.client().await?);
    match timeout(LONGEST, bring_up_by(&client)).await {
        Ok(outcome) => outcome.map_err(Error::from),
        Err(_) => Err(Error::Away("its schema could not be brought up in time".to_owned())),
    }
}

async fn bring_up_by(client: &tokio_postgres::Client) -> Result<(), Fault> {
    let ms = LONGEST.as_millis();
    client
        .batch_execute(&format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {ms}; SET LOCAL client_min_messages = warning;
             SELECT pg_advisory_xact_lock({LOCK});
             CREATE TABLE IF NOT EXISTS tidegate_schema (
                 version bigint PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now()
             )"
        ))
        .await?;
    let sql = "SELECT coalesce(max(version), 0) FROM tidegate_schema";
    let row = client.query_typed_one(sql, &[]).await?;
    let found: i64 = row.try_get(0)?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(Error::TooNew { found, known }.into());
    }
    for (version, step) in (1..=known).zip(STEPS).filter(|(version, _)| *version > found) {
        client.batch_execute(step).await.map_err(|error| misstep(version, &error))?;
        client.batch_execute(&format!("INSERT INTO tidegate_schema (version) VALUES ({version})")).await?;
    }
    client.batch_execute("COMMIT").await?;
    Ok(())
}

/// Which step failed, and why.
fn misstep(version: i64, error: &tokio_postgres::Error) -> Error {
    match tell(error) {
        Error::Refused(why) => Error::Refused(format!("step {version} of the schema: {why}")),
        other => other,
    }
}
