//! The thread that owns the folder: it opens the engine, writes what is queued, rests after a failure, and
//! closes everything in its order.
//!
//! A life of the engine is a life of a tokio runtime on this thread, with one blocking thread beside it. The
//! runtime ends first and waits for calls under way; only then are the files closed and the folder let go, as
//! the engine's calls know their files by number alone.

use super::engine::Engine;
use super::folder::{Folder, Geometry};
use super::shared::{Live, Reader, Shared};
use super::{FLUSH_MAX, Journal, OpenError};
use crate::clock::Millis;
use crate::epochs::Epochs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

/// How often the ledger is written.
const SAVED_EVERY: Duration = Duration::from_secs(30);
/// Reads under way at once; those beyond wait for their turn.
const READS_MAX: usize = 64;
/// How much longer than entries their invalidations are kept, beyond a tenth: the longest making of one.
const JOURNAL_MARGIN: Duration = Duration::from_secs(24 * 3600);

/// What the thread has taken and keeps over failures.
#[derive(Default)]
struct Ground {
    folder: Option<Folder>,
    /// How the data are laid out, where this process knows them.
    geometry: Option<Geometry>,
}

type Outcome = oneshot::Sender<Option<OpenError>>;

/// What the thread leaves behind, however it ends.
pub(super) struct Last(pub(super) Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.change(|live| *live = Live::default());
        self.0.queue.close();
        self.0.ended.send_replace(true);
    }
}

impl Shared {
    pub(super) fn own(&self, epochs: &Arc<Epochs>, outcome: Outcome) {
        let (mut ground, mut outcome) = (Ground::default(), Some(outcome));
        let mut well = true;
        while !self.end.is_cancelled() {
            let error = match runtime() {
                Ok(runtime) => {
                    let lived = runtime.block_on(self.live_once(&runtime, &mut ground, epochs, &mut outcome));
                    self.change(|live| live.reader = None);
                    // Waits for calls under way.
                    drop(runtime);
                    match lived {
                        Ok(()) => break,
                        Err((was_open, error)) => {
                            well |= was_open;
                            error
                        }
                    }
                }
                Err(error) => error.into(),
            };
            self.fail(&ground, error, std::mem::take(&mut well), outcome.take());
        }
    }

    /// One warning an outage.
    fn fail(&self, ground: &Ground, error: OpenError, warn: bool, outcome: Option<Outcome>) {
        self.counters.outages.fetch_add(1, Ordering::Relaxed);
        if let Some(folder) = &ground.folder {
            folder.distrust();
        }
        if warn {
            let path = &self.options.path;
            tracing::warn!(?path, %error, "the disk cache fails; the gateway goes on without it for now");
        }
        self.queue.close();
        if let Some(outcome) = outcome {
            let _ = outcome.send(Some(error));
        }
        match runtime() {
            Ok(runtime) => {
                let rest =
                    async { self.end.run_until_cancelled(tokio::time::sleep(self.options.rest)).await };
                runtime.block_on(rest);
            }
            Err(_) => std::thread::park_timeout(self.options.rest),
        }
    }

    /// Opens everything and writes until the end, or until something fails: then with whether it had worked.
    async fn live_once(
        &self,
        runtime: &Runtime,
        ground: &mut Ground,
        epochs: &Arc<Epochs>,
        outcome: &mut Option<Outcome>,
    ) -> Result<(), (bool, OpenError)> {
        let opened = self.prepare(runtime, ground, epochs).await;
        let (engine, geometry) = opened.map_err(|error| (false, error))?;
        let engine = Arc::new(engine);
        self.queue.open();
        let turns = Arc::new(Semaphore::new(READS_MAX));
        let reader = Reader { engine: Arc::clone(&engine), runtime: runtime.handle().clone(), turns };
        self.change(|live| {
            live.reader = Some(reader);
            live.capacity = Some(geometry.capacity);
        });
        if let Some(outcome) = outcome.take() {
            let _ = outcome.send(None);
        }
        let mut wrote = false;
        self.serve(&engine, ground, geometry, &mut wrote).await.map_err(|error| (wrote, error.into()))
    }

    async fn prepare(
        &self,
        runtime: &Runtime,
        ground: &mut Ground,
        epochs: &Arc<Epochs>,
    ) -> Result<(Engine, Geometry), OpenError> {
        if ground.folder.is_none() {
            let folder = Folder::open(&self.options.path)?;
            ground.geometry = folder.trusted();
            self.ledger.load(folder.path());
            ground.folder = Some(folder);
        }
        let Some(folder) = &ground.folder else {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        };
        folder.probe()?;
        if self.live(|live| live.journal.is_none()) {
            let life = self.options.ttl.mul_f64(1.1) + JOURNAL_MARGIN;
            let data = ground.geometry.is_some();
            let journal = Journal::open(folder.path(), life, Arc::clone(epochs), data)?;
            self.change(|live| live.journal = Some(journal));
        }
        let before = ground.geometry.filter(|_| !self.queue.lost_all());
        let geometry = folder.plan(self.options.bytes, before)?;
        if before != Some(geometry) {
            ground.geometry = None;
            folder.wipe()?;
            self.queue.forget_lost();
        }
        if geometry.capacity < self.options.bytes {
            let (bytes, capacity) = (self.options.bytes, geometry.capacity);
            tracing::warn!(bytes, capacity, "the disk has less room than the disk cache may take");
        }
        let engine = Engine::open(folder, geometry, self.options.compress_above, runtime.handle()).await?;
        ground.geometry = Some(geometry);
        Ok((engine, geometry))
    }

    async fn serve(
        &self,
        engine: &Engine,
        ground: &Ground,
        geometry: Geometry,
        wrote: &mut bool,
    ) -> io::Result<()> {
        let Some(folder) = &ground.folder else { return Err(io::ErrorKind::NotFound.into()) };
        // What was lost while it rested is removed before the data are trusted again.
        while !self.queue.is_empty() {
            self.write(engine, folder).await?;
        }
        folder.trust(geometry)?;
        let mut saving = tokio::time::interval(SAVED_EVERY);
        loop {
            tokio::select! {
                () = self.end.cancelled() => break,
                () = self.queue.filled() => {
                    self.write(engine, folder).await?;
                    *wrote = true;
                    if self.queue.lost_all() {
                        return Err(io::Error::other("writes come faster than the disk takes them"));
                    }
                }
                _ = saving.tick() => self.save(folder),
            }
        }
        self.finish(engine, folder).await
    }

    async fn write(&self, engine: &Engine, folder: &Folder) -> io::Result<()> {
        let batch = self.queue.take(engine.batch_bytes);
        match engine.write(&batch).await {
            Ok(written) => {
                self.counters.written.fetch_add(written.entries, Ordering::Relaxed);
                self.give_up(written.large);
                self.queue.done();
                Ok(())
            }
            // The engine does not say why; the folder may.
            Err(error) => Err(folder.probe().err().unwrap_or(error)),
        }
    }

    /// Writes what waits, as far as there is time.
    async fn finish(&self, engine: &Engine, folder: &Folder) -> io::Result<()> {
        self.change(|live| live.reader = None);
        let rest = async {
            while !self.queue.is_empty() {
                self.write(engine, folder).await?;
            }
            io::Result::Ok(())
        };
        let written = tokio::time::timeout(FLUSH_MAX, rest).await;
        self.queue.close();
        if !matches!(written, Ok(Ok(()))) {
            folder.distrust();
            tracing::warn!(path = ?self.options.path, "the disk cache was closed before all was written");
        }
        engine.close().await;
        self.save(folder);
        Ok(())
    }

    fn save(&self, folder: &Folder) {
        if let Err(error) = self.ledger.save(folder.path(), Millis::now()) {
            tracing::debug!(%error, "the disk cache's ledger was not written");
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_time().max_blocking_threads(1).thread_name("disk cache io").build()
}
