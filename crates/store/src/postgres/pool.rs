//! Connections: kept, counted, looked after, and given up in time.
//!
//! The pool grows to `base + overflow`. Whoever gives a connection back puts it on top, so that those that are
//! too many lie at the bottom, unused, until they are closed. A connection that has lain for a while is asked
//! whether it still lives before it is handed out; where one does not answer in time, all that have lain as long
//! are closed unasked, so that a frozen server costs one wait and not fifty.

use super::Options;
use super::address::Address;
use super::fault::tell_pool;
use crate::{Error, Result};
use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Metrics, Pool, QueueMode, RecyclingMethod, Runtime,
    Timeouts,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::{interval, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// A connection used within this time is taken to live.
const FRESH: Duration = Duration::from_secs(5);
/// Longest wait for a sign of life.
const SIGN_MAX: Duration = Duration::from_secs(2);
/// Between two looks for connections to close.
const SWEEP: Duration = Duration::from_secs(5);

/// Connections to one database.
pub(super) struct Connections {
    pool: Pool,
    wait: Duration,
    frozen: Frozen,
    _end: DropGuard,
}

/// When a connection last failed to answer in time: those unused since are not worth another wait.
#[derive(Clone, Default)]
struct Frozen(Arc<Mutex<Option<Instant>>>);

impl Frozen {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn covers(&self, metrics: &Metrics) -> bool {
        let used = metrics.recycled.unwrap_or(metrics.created);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| used < at)
    }
}

impl Connections {
    /// Makes a pool; connects nowhere yet.
    ///
    /// # Errors
    /// [`Error::Address`] where the certificate authorities cannot be read.
    pub(super) fn open(address: Address, options: &Options, tasks: &TaskTracker) -> Result<Self> {
        let tls = super::tls::connector(&address.trust)?;
        let mut config = address.config;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(options.connect_max);
        }
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let frozen = Frozen::default();
        let pool = Pool::builder(Manager::from_config(config, tls, recycling))
            .max_size(options.base + options.overflow)
            .timeouts(Timeouts {
                wait: Some(options.wait),
                create: Some(options.connect_max),
                recycle: Some(SIGN_MAX),
            })
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .pre_recycle(look_after(options.age_max, frozen.clone()))
            .build()
            .map_err(|error| Error::Refused(error.to_string()))?;
        let end = CancellationToken::new();
        let sweep = sweep(pool.clone(), options.clone());
        let ended = end.clone();
        tasks.spawn(async move { ended.run_until_cancelled(sweep).await });
        Ok(Self { pool, wait: options.wait, frozen, _end: end.drop_guard() })
    }

    /// A connection. Waits its turn, and gives up after [`Options::wait`] in all.
    ///
    /// # Errors
    /// [`Error::Away`] where there is none in time.
    pub(super) async fn get(&self) -> Result<Client> {
        match timeout(self.wait, self.pool.get()).await {
            Ok(got) => got.map_err(|error| tell_pool(&error)),
            Err(_) => Err(Error::Away("no connection in time".to_owned())),
        }
    }

    /// A statement was not answered in time.
    pub(super) fn note_frozen(&self) {
        self.frozen.note();
    }
}

/// What is asked of a connection before it is handed out again.
fn look_after(age_max: Duration, frozen: Frozen) -> Hook {
    Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, metrics: &Metrics| {
        let frozen = frozen.clone();
        Box::pin(async move {
            if metrics.age() > age_max {
                return Err(HookError::message("too old"));
            }
            if frozen.covers(metrics) {
                return Err(HookError::message("unused since the server did not answer"));
            }
            if metrics.last_used() < FRESH {
                return Ok(());
            }
            match timeout(SIGN_MAX, client.simple_query("")).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(HookError::Backend(error)),
                Err(_) => {
                    frozen.note();
                    Err(HookError::message("gives no sign of life"))
                }
            }
        })
    })
}

/// Closes what is too old, and what is above the base and has lain too long.
async fn sweep(pool: Pool, options: Options) {
    let mut ticks = interval(SWEEP.min(options.idle_max));
    loop {
        ticks.tick().await;
        let mut above = pool.status().size.saturating_sub(options.base);
        // Dropped here, outside the pool's lock.
        drop(pool.retain(|_, metrics| {
            let goes =
                metrics.age() > options.age_max || (above > 0 && metrics.last_used() > options.idle_max);
            above = above.saturating_sub(usize::from(goes));
            !goes
        }));
    }
}
