//! How many jobs wait, looked at now and then, so that no scrape waits for a database.

use super::Open;
use std::time::Duration;

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// Keeps what is known of the depths fresh; runs until dropped. While the store is away, what was known stays.
pub(super) async fn keep(open: &Open) {
    loop {
        match open.jobs.depths().await {
            Ok(depths) => open.depths.store(depths.into()),
            Err(error) => tracing::debug!(%error, "how many jobs wait could not be looked at"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
