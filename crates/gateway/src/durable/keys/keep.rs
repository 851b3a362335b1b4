//! Keeps what is known of stored keys as the store has it.

use super::copy;
use super::known::{Known, Row};
use crate::config::Config;
use crate::gateway::Gateway;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use store::keys::Keys;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often it is asked whether anything has changed: a change at another replica is in force here within two.
const EVERY: Duration = Duration::from_secs(1);
/// How often all is read anew though nothing has changed: a database that was put in another's place may count alike.
const ANEW: Duration = Duration::from_secs(60);
/// The longest that a look waits for its copy: a data folder that hangs keeps no revoked key valid.
const COPY_MAX: Duration = Duration::from_millis(500);

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
    /// That of the copy under way, and the copy.
    copying: Option<(String, JoinHandle<io::Result<()>>)>,
    /// What is known was read after the last copy was begun.
    to_copy: bool,
    /// What writes it.
    write: fn(&Path, &str) -> io::Result<()>,
    /// It was told that the store does not answer.
    told: bool,
}

impl Keeper {
    pub(in crate::durable) fn new(gateway: &Arc<Gateway>, config: &Config, keys: &Arc<dyn Keys>) -> Self {
        let asked = gateway.durable.keys.asked.subscribe();
        let (gateway, config, keys) = (Arc::clone(gateway), config.clone(), Arc::clone(keys));
        Self {
            gateway,
            config,
            keys,
            asked,
            read: None,
            copied: None,
            copying: None,
            to_copy: false,
            write: copy::write,
            told: false,
        }
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
                    self.apply(rows);
                }
                self.copy().await;
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

    fn apply(&mut self, rows: Vec<Row>) {
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
        self.to_copy = true;
    }

    /// Writes what is known for the next start, one copy at a time. One that hangs is waited for once, and for no
    /// longer than [`COPY_MAX`]; what is known by its end is written then.
    async fn copy(&mut self) {
        self.settle(Duration::ZERO).await;
        if self.copying.is_some() || !std::mem::take(&mut self.to_copy) {
            return;
        }
        let text = copy::text(&self.config, &self.gateway.stored());
        let head = text.lines().next().unwrap_or_default().to_owned();
        if self.copied.as_ref() != Some(&head) {
            let (folder, write) = (self.config.data.clone(), self.write);
            let copying = tokio::task::spawn_blocking(move || write(&folder, &text));
            self.copying = Some((head, copying));
            self.settle(COPY_MAX).await;
        }
    }

    /// Waits so long for the copy under way.
    async fn settle(&mut self, longest: Duration) {
        let Some((head, copying)) = &mut self.copying else { return };
        let Ok(written) = tokio::time::timeout(longest, copying).await else { return };
        match written {
            Ok(Ok(())) => self.copied = Some(std::mem::take(head)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "stored keys cannot be copied to the data folder: a start while the database is away would not know them");
            }
            Err(error) => tracing::error!(%error, "copying stored keys fell over"),
        }
        self.copying = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::stand::Stand;
    use std::sync::{Condvar, Mutex};
    use store::Time;

    /// How many copies were begun, and whether the data folder hangs.
    static FOLDER: (Mutex<(u32, bool)>, Condvar) = (Mutex::new((0, true)), Condvar::new());

    fn hangs(_: &Path, _: &str) -> io::Result<()> {
        let mut state = FOLDER.0.lock().unwrap();
        state.0 += 1;
        drop(FOLDER.1.wait_while(state, |(_, hangs)| *hangs).unwrap());
        Ok(())
    }

    fn begun() -> u32 {
        FOLDER.0.lock().unwrap().0
    }

    fn row(id: &str) -> Row {
        let (hash, settings) = (vec![7; 32], b"{}".to_vec());
        Row { id: id.to_owned(), hash, tenant: String::new(), settings, created: Time(1), revoked: None }
    }

    /// Whether a key that is made now is known within a look.
    async fn learns(keeper: &mut Keeper, id: &str) -> bool {
        assert!(keeper.keys.add(row(id)).await.unwrap());
        let looked = tokio::time::timeout(Duration::from_secs(20), keeper.look()).await;
        looked.is_ok() && keeper.gateway.stored().row(id).is_some()
    }

    #[tokio::test]
    async fn a_data_folder_that_hangs_keeps_nobody_from_looking() {
        let folder = tempfile::tempdir().unwrap();
        let stand = Stand::lasting(folder.path(), "");
        let open = stand.open().await;
        let config = stand.gateway.snapshot(0).config.clone();
        let mut keeper = Keeper { write: hangs, ..Keeper::new(&stand.gateway, &config, &open.store.keys) };
        let first = learns(&mut keeper, "tg-AAAAAAAAAAAA").await;
        let second = learns(&mut keeper, "tg-BBBBBBBBBBBB").await;
        let while_it_hung = begun();
        FOLDER.0.lock().unwrap().1 = false;
        FOLDER.1.notify_all();
        assert!(first && second);
        assert_eq!(while_it_hung, 1, "one at a time");
        while begun() < 2 || keeper.copying.is_some() {
            keeper.look().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let text = copy::text(&config, &stand.gateway.stored());
        assert_eq!(keeper.copied.as_deref(), text.lines().next(), "what came meanwhile is written");
    }
}
