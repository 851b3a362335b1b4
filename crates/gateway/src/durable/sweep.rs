//! Forgetting what is old: some rows, and some more while there are any, and after a while again.

use std::time::Duration;

/// How often what is old is looked for.
const EVERY: Duration = Duration::from_secs(600);
/// Between two steps of a long work, so that others come between.
const BREATH: Duration = Duration::from_millis(20);

/// Forgets `most` at a time of what `purge` finds to be old, which says how many it has forgotten; never ends. `what`
/// says in the log what could not be forgotten.
pub(super) async fn sweep<Purged>(what: &str, most: u32, purge: impl Fn(u32) -> Purged)
where
    Purged: Future<Output = store::Result<u64>>,
{
    loop {
        let pause = match purge(most).await {
            Ok(forgotten) if forgotten >= u64::from(most) => BREATH,
            Ok(_) => EVERY,
            Err(error) => {
                tracing::debug!(%error, "{what} cannot be forgotten now");
                EVERY
            }
        };
        tokio::time::sleep(pause).await;
    }
}
