//! Keeps what is known of stored keys as the store has it.

use super::copy;
use super::known::{Known, Row};
use crate::config::Config;
use crate::gateway::Gateway;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use store::keys::Keys;
use tokio::sync::watch;

/// How often it is asked whether anything has changed: a change at another replica is in force here within two.
const EVERY: Duration = Duration::from_secs(1);
/// How often all is read anew though nothing has changed: a database that was put in another's place may count alike.
const ANEW: Duration = Duration::from_secs(60);

/// Looks at the store, now and then and when asked to. Driven by one task.
pub(in crate::durable) struct Keeper {
    gateway: Arc<Gateway>,
    /// What the process started with: neither the store nor the data folder changes before it ends.
    config: Config,
    keys: Arc<dyn Keys>,
    asked: watch::Receiver<u64>,
    /// The version that was read last, and when.
    read: Option<(i64, Instant)>,
    /// The first line of the file in the data folder, which tells it from any other.
    copied: Option<String>,
    /// It was told that the store does not answer.
    told: bool,
}

impl Keeper {
    pub(in crate::durable) fn new(gateway: &Arc<Gateway>, config: &Config, keys: &Arc<dyn Keys>) -> Self {
        let asked = gateway.durable.keys.asked.subscribe();
        let (gateway, config, keys) = (Arc::clone(gateway), config.clone(), Arc::clone(keys));
        Self { gateway, config, keys, asked, read: None, copied: None, told: false }
    }

    /// Keeps looking; runs until dropped.
    pub(in crate::durable) async fn keep(mut self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                // Its sender lives as long as the gateway.
                _ = self.asked.changed() => {}
            }
            self.look().await;
        }
    }

    /// Looks once. While the store does not answer, what is known holds.
    pub(in crate::durable) async fn look(&mut self) {
        let number = *self.asked.borrow_and_update();
        let gateway = Arc::clone(&self.gateway);
        let ring = &gateway.durable.keys;
        match self.read_if_new().await {
            Ok(fresh) => {
                if let Some(rows) = fresh {
                    self.apply(rows).await;
                }
                // Only now: until they are in force here, whoever has one is to come again.
                ring.unread.store(false, Relaxed);
                ring.done.send_replace(number);
                self.told = false;
            }
            Err(error) => {
                ring.unread.store(true, Relaxed);
                if !self.told {
                    tracing::warn!(%error, "stored keys cannot be looked at now; those that are known stay valid");
                }
                self.told = true;
            }
        }
        ring.settle();
    }

    async fn read_if_new(&mut self) -> store::Result<Option<Vec<Row>>> {
        // Before the rows: what changes in between is read once more.
        let version = self.keys.version().await?;
        if self.read.is_some_and(|(read, at)| read == version && at.elapsed() < ANEW) {
            return Ok(None);
        }
        let rows = self.keys.all().await?;
        self.read = Some((version, Instant::now()));
        Ok(Some(rows))
    }

    async fn apply(&mut self, rows: Vec<Row>) {
        let before = self.gateway.stored();
        if !before.is(&rows) {
            if rows.is_empty() {
                tracing::error!(
                    keys = before.keys().len(),
                    "the database holds no key any more: those that were stored in it are not valid, and callers \
                     still need one"
                );
            }
            let known = Known::new(rows, before.ever());
            tracing::info!(keys = known.keys().len(), "stored keys are read");
            self.gateway.know(known);
        }
        self.copy().await;
    }

    /// Writes what is known for the next start.
    async fn copy(&mut self) {
        let text = copy::text(&self.config, &self.gateway.stored());
        let head = text.lines().next().unwrap_or_default().to_owned();
        if self.copied.as_ref() == Some(&head) {
            return;
        }
        let folder = self.config.data.clone();
        let written = tokio::task::spawn_blocking(move || copy::write(&folder, &text)).await;
        match written {
            Ok(Ok(())) => self.copied = Some(head),
            Ok(Err(error)) => {
                tracing::warn!(%error, "stored keys cannot be copied to the data folder: a start while the database is away would not know them");
            }
            Err(error) => tracing::error!(%error, "copying stored keys fell over"),
        }
    }
}
