//! How many jobs wait, batches are open and runs go on, looked at now and then, so that no scrape waits for a
//! database.

use super::Open;
use std::time::Duration;
use store::batches::{Batch, BatchState};
use work::batches::OPEN_MAX;

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// Keeps what is known of the depths fresh; runs until dropped. While the store is away, what was known stays.
pub(super) async fn keep(open: &Open) {
    loop {
        match open.jobs.depths().await {
            Ok(depths) => open.depths.store(depths.into()),
            Err(error) => tracing::debug!(%error, "how many jobs wait could not be looked at"),
        }
        match open.batches.open(OPEN_MAX).await {
            Ok(batches) => open.open_batches.store(by_state(&batches).into()),
            Err(error) => tracing::debug!(%error, "how many batches are open could not be looked at"),
        }
        match open.store.runs.counts().await {
            Ok(counts) => open.runs.store(counts.into()),
            Err(error) => tracing::debug!(%error, "how many runs go on could not be looked at"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// How many of these are in each state that is not final.
fn by_state(batches: &[Batch]) -> Vec<(BatchState, u64)> {
    let open = BatchState::ALL.into_iter().filter(|state| !state.is_final());
    open.map(|state| (state, batches.iter().filter(|batch| batch.state == state).count() as u64)).collect()
}
