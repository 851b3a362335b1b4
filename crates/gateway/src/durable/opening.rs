//! Opens the store, as often as it takes.

use guard::retry::Backoff;
use std::time::{Duration, Instant};
use store::{Options, Store};
use tokio_util::sync::CancellationToken;

/// The pauses between tries while the database is away.
const AWAY: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(2) };
/// The pause where the fault is not likely to pass by itself: an operator may put another file in place.
const FAULTY: Duration = Duration::from_secs(10);

/// Opens the store; says once that it is away, and once that it is there again. Cancels `failed` where the first
/// try does not succeed.
pub(super) async fn open(options: &Options, failed: &CancellationToken) -> Store {
    let (began, mut tries, mut told) = (Instant::now(), 0, None);
    loop {
        match Store::open(options).await {
            Ok(store) => {
                if told.is_some() {
                    tracing::info!(seconds = began.elapsed().as_secs(), "the database is there now");
                }
                return store;
            }
            Err(error) => {
                failed.cancel();
                let text = error.to_string();
                if told.is_none() {
                    tracing::warn!(
                        "{text}; jobs wait until it can be opened, keys that are known stay valid, all else is served. \
                         Where it is, `store.url` says (DATABASE_URL), or else `data`, whose folder it is in"
                    );
                } else if told.as_ref() != Some(&text) {
                    tracing::debug!("{text}");
                }
                let pause = match error.may_pass() {
                    true => AWAY.delay(tries, fastrand::u64(..)),
                    false => FAULTY,
                };
                (tries, told) = (tries.saturating_add(1), Some(text));
                tokio::time::sleep(pause).await;
            }
        }
    }
}
