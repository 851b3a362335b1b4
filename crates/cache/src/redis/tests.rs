//! The tier before real Redis processes of the tests' own: killed, frozen, slowed, filled and restarted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod breaker;
mod claims;
mod cluster;
mod door;
mod entries;
mod faults;
mod invalidation;
mod pending;
mod proxy;
mod server;

use super::{Options, Redis};
use crate::epochs::Epochs;
use crate::tier::Off;
use crate::{Cache, Options as CacheOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// No condition takes so long, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// One process of several that share a Redis, as far as its cache goes.
struct Replica {
    cache: Cache<Redis, Off>,
    redis: Redis,
    epochs: Arc<Epochs>,
    _drain: DropGuard,
}

impl Replica {
    /// A replica whose tier runs; it may not be connected yet.
    fn start(options: Options) -> Self {
        let epochs = Arc::new(Epochs::default());
        let redis = Redis::new(options, Arc::clone(&epochs)).unwrap();
        let (tasks, drain) = (TaskTracker::new(), CancellationToken::new());
        let (running, token) = (redis.clone(), drain.clone());
        tasks.spawn(async move { running.run(token).await });
        let cache = Cache::new(CacheOptions::default(), Some(redis.clone()), None, Arc::clone(&epochs));
        Self { cache, redis, epochs, _drain: drain.drop_guard() }
    }

    /// A replica that is connected and in step.
    async fn join(options: Options) -> Self {
        let replica = Self::start(options);
        eventually("in step", async || replica.known() > 0).await;
        replica
    }

    fn known(&self) -> u64 {
        self.redis.0.sync.known().0
    }
}

/// A tier at `url` with a budget that a busy machine keeps.
fn options(url: impl Into<String>) -> Options {
    Options { url: url.into(), budget: Duration::from_secs(2), ..Options::default() }
}

/// Waits until `holds` does.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "never came to be: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// What comes of `call`, which must be over long before anybody loses patience.
async fn bounded<T>(call: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), call).await.expect("a call that does not end")
}
