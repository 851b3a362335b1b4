//! What the owning thread and its callers share: how callers read, and what they are told.

use super::engine::{Engine, Found};
use super::owner::Last;
use super::queue::{Queue, Ticket};
use super::{Counts, Journal, Ledger, OpenError, Options, State};
use crate::clock::Millis;
use crate::entry::Entry;
use crate::epochs::Epochs;
use crate::key::Key;
use crate::tier::Error;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Keys of the ledger.
const LEDGER_KEYS: usize = 10_000;
/// After so many late or failed reads in a row the disk is left alone.
const FAILURES_MAX: u32 = 8;

/// What the thread and its callers share.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) queue: Queue,
    pub(super) ledger: Ledger,
    pub(super) end: CancellationToken,
    pub(super) live: RwLock<Live>,
    pub(super) ended: watch::Sender<bool>,
    pub(super) counters: Counters,
    /// Late or failed reads in a row.
    failures: AtomicU32,
    /// Nothing is read before this, in milliseconds since 1970.
    reads_rest_until: AtomicU64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) written: AtomicU64,
    pub(super) torn: AtomicU64,
    pub(super) given_up: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) outages: AtomicU64,
}

/// What is open.
#[derive(Default)]
pub(super) struct Live {
    /// Stays once it is there.
    pub(super) journal: Option<Journal>,
    pub(super) capacity: Option<u64>,
    pub(super) reader: Option<Reader>,
}

/// Reads, on the thread's runtime.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) engine: Arc<Engine>,
    pub(super) runtime: Handle,
    pub(super) turns: Arc<Semaphore>,
}

impl Shared {
    /// Starts the thread. The receiver is told of the first attempt.
    pub(super) fn start(
        options: Options,
        epochs: Arc<Epochs>,
    ) -> io::Result<(Arc<Self>, oneshot::Receiver<Option<OpenError>>)> {
        let shared = Arc::new(Self {
            options,
            queue: Queue::new(),
            ledger: Ledger::new(LEDGER_KEYS),
            end: CancellationToken::new(),
            live: RwLock::default(),
            ended: watch::Sender::new(false),
            counters: Counters::default(),
            failures: AtomicU32::new(0),
            reads_rest_until: AtomicU64::new(0),
        });
        let (outcome, told) = oneshot::channel();
        let thread = std::thread::Builder::new().name("disk cache".to_owned());
        let last = Last(Arc::clone(&shared));
        thread.spawn(move || last.0.own(&epochs, outcome))?;
        Ok((shared, told))
    }

    /// What is under `key` on disk.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<Arc<Entry>>, Error> {
        let Some(reader) = self.reader() else { return Err(self.absence()) };
        if !reader.engine.may_hold(key) {
            return Ok(None);
        }
        if Millis::now().0 < self.reads_rest_until.load(Ordering::Relaxed) {
            return Err(Error::Tripped);
        }
        match tokio::time::timeout(self.options.read_max, reader.read(*key)).await {
            Ok(Ok(found)) => {
                self.failures.store(0, Ordering::Relaxed);
                Ok(self.whole(key, found))
            }
            Ok(Err(error)) => {
                self.count_failure(&error.to_string());
                Err(Error::Unavailable(error.to_string()))
            }
            Err(_) => {
                self.counters.late.fetch_add(1, Ordering::Relaxed);
                self.count_failure("it answers too late");
                Err(Error::Timeout)
            }
        }
    }

    fn whole(&self, key: &Key, found: Found) -> Option<Arc<Entry>> {
        match found {
            Found::Whole(entry) => Some(Arc::new(*entry)),
            Found::Nothing => None,
            Found::Torn => {
                self.counters.torn.fetch_add(1, Ordering::Relaxed);
                self.queue.remove_stored(key);
                None
            }
        }
    }

    fn count_failure(&self, why: &str) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 == FAILURES_MAX {
            self.failures.store(0, Ordering::Relaxed);
            self.counters.outages.fetch_add(1, Ordering::Relaxed);
            let until = Millis::now().after(self.options.rest);
            self.reads_rest_until.store(until.0, Ordering::Relaxed);
            tracing::warn!(path = ?self.options.path, why, "the disk cache is not read for a while");
        }
    }

    /// Whether there is certainly nothing under `key`, neither on disk nor on its way there.
    pub(super) fn holds_nothing(&self, key: &Key) -> bool {
        self.queue.find(key).is_none() && self.reader().is_some_and(|reader| !reader.engine.may_hold(key))
    }

    /// Waits until what was handed in up to `ticket` has reached the system.
    pub(super) async fn settle(&self, ticket: Ticket, within: Duration) -> Result<(), Error> {
        match tokio::time::timeout(within, self.queue.wait(ticket)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Tripped),
            Err(_) => Err(Error::Timeout),
        }
    }

    pub(super) fn journal(&self) -> Result<Journal, Error> {
        self.live(|live| live.journal.clone()).ok_or_else(|| self.absence())
    }

    pub(super) fn give_up(&self, count: u64) {
        self.counters.given_up.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn state(&self) -> State {
        match self.reader() {
            Some(_) => State::Open,
            None if self.end.is_cancelled() => State::Closed,
            None => State::Resting,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let Counters { written, torn, given_up, late, outages } = &self.counters;
        let [written, torn, given_up, late, outages] =
            [written, torn, given_up, late, outages].map(|count| count.load(Ordering::Relaxed));
        Counts { written, torn, given_up, late, outages }
    }

    pub(super) fn capacity(&self) -> Option<u64> {
        self.live(|live| live.capacity)
    }

    /// Waits for the thread's end.
    pub(super) async fn ended(&self) {
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Why nothing can be asked for now.
    pub(super) fn absence(&self) -> Error {
        if self.end.is_cancelled() { Error::Unavailable("closed".to_owned()) } else { Error::Tripped }
    }

    pub(super) fn reader(&self) -> Option<Reader> {
        self.live(|live| live.reader.clone())
    }

    pub(super) fn live<T>(&self, ask: impl FnOnce(&Live) -> T) -> T {
        ask(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Live)) {
        change(&mut self.live.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Reader {
    /// Goes on to its end where the caller leaves; its turn lasts as long.
    async fn read(self, key: Key) -> io::Result<Found> {
        let Self { engine, runtime, turns } = self;
        let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
        let reading = runtime.spawn(async move {
            let found = engine.read(&key).await;
            drop(turn);
            found
        });
        reading.await?
    }
}
