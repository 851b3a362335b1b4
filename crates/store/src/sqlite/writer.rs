//! The one thread that writes: whatever waits goes into one transaction, and is answered after its commit.
//!
//! Hardly ever does one fail. Where one does, all are undone and done again with a savepoint each, to which the
//! one that fails is undone alone: savepoints from the beginning would cost a tenth of everything. Where the whole
//! transaction is lost (the disk is full, a write failed) each is tried once more by itself, so that one that is
//! too large for the disk's last room does not take the others with it. After such a failure the file is opened
//! anew.

use super::ask::{Ask, Queue};
use super::fault::is_busy;
use super::{Options, connect, migrate};
use crate::{Error, Result};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// Most requests in one transaction.
const GROUP_MAX: usize = 256;
/// Longest wait for another process's lock where the last wait was in vain: who asks meanwhile hears soon.
const BUSY_AGAIN_MAX: Duration = Duration::from_secs(1);

type Asks = Receiver<Box<dyn Ask>>;

/// Opens the file on a thread of its own, which ends when the queue is dropped.
pub(super) async fn start(options: Options) -> Result<Queue> {
    let (queue, asks) = Queue::new(options.wait_max);
    let (opened, outcome) = oneshot::channel();
    thread::Builder::new()
        .name("store-write".to_owned())
        .spawn(move || run(options, &asks, opened))
        .map_err(|error| Error::Away(format!("there is no thread for it: {error}")))?;
    outcome.await.unwrap_or_else(|_| Err(Error::Away("its thread has ended".to_owned())))?;
    Ok(queue)
}

fn run(options: Options, asks: &Asks, opened: oneshot::Sender<Result<()>>) {
    let outcome = connect::first(&options).and_then(|db| migrate::migrate(&db).map(|()| db));
    let db = match outcome {
        Ok(db) => db,
        Err(error) => return drop(opened.send(Err(error))),
    };
    if opened.send(Ok(())).is_err() {
        return;
    }
    let mut writer = Writer { options, db: Some(db), was_busy: false };
    while let Ok(first) = asks.recv() {
        let mut group = vec![first];
        group.extend(asks.try_iter().take(GROUP_MAX - 1));
        group.retain(|ask| ask.is_wanted());
        writer.serve(group);
    }
}

/// Why a whole transaction came to nothing.
enum Lost {
    /// One of its requests failed.
    Spoiled,
    /// It could not begin.
    Unbegun(Error),
    /// It was given up on its way, or could not be committed.
    Midway(Error),
}

/// What is undone where a request fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undo {
    /// The whole transaction.
    All,
    /// What the request has done.
    One,
}

struct Writer {
    options: Options,
    db: Option<Connection>,
    was_busy: bool,
}

impl Writer {
    fn serve(&mut self, mut group: Vec<Box<dyn Ask>>) {
        let outcome = match self.together(&mut group, Undo::All) {
            Err(Lost::Spoiled) if group.len() > 1 => self.together(&mut group, Undo::One),
            outcome => outcome,
        };
        match outcome {
            Ok(()) | Err(Lost::Spoiled) => group.into_iter().for_each(Ask::answer),
            Err(Lost::Midway(_)) if group.len() > 1 => self.one_by_one(group),
            Err(Lost::Unbegun(error) | Lost::Midway(error)) => fail(group, &error),
        }
    }

    fn one_by_one(&mut self, group: Vec<Box<dyn Ask>>) {
        let mut rest = group.into_iter();
        while let Some(ask) = rest.next() {
            let mut alone = vec![ask];
            match self.together(&mut alone, Undo::All) {
                Ok(()) | Err(Lost::Spoiled) => alone.into_iter().for_each(Ask::answer),
                Err(Lost::Midway(error)) => fail(alone, &error),
                Err(Lost::Unbegun(error)) => {
                    fail(alone, &error);
                    // The others would wait as long again, one after the other.
                    return fail(rest.collect(), &error);
                }
            }
        }
    }

    /// Runs all of the group in one transaction, and commits it.
    fn together(&mut self, group: &mut [Box<dyn Ask>], undo: Undo) -> Result<(), Lost> {
        let db = self.db.take().map_or_else(|| connect::writing(&self.options), Ok).map_err(Lost::Unbegun)?;
        let outcome = self.begin(&db).and_then(|whole| run_all(whole, group, undo));
        // A connection whose transaction was lost may not know what is on disk: the next gets a new one.
        if self.was_busy || matches!(outcome, Ok(()) | Err(Lost::Spoiled)) {
            self.db = Some(db);
        }
        outcome
    }

    fn begin<'db>(&mut self, db: &'db Connection) -> Result<Transaction<'db>, Lost> {
        let began = Transaction::new_unchecked(db, TransactionBehavior::Immediate);
        let is_busy = began.as_ref().is_err_and(is_busy);
        if is_busy != self.was_busy {
            self.was_busy = is_busy;
            let wait =
                if is_busy { BUSY_AGAIN_MAX.min(self.options.busy_max) } else { self.options.busy_max };
            db.busy_timeout(wait).map_err(|error| Lost::Unbegun(error.into()))?;
        }
        began.map_err(|error| Lost::Unbegun(error.into()))
    }
}

fn run_all(whole: Transaction<'_>, group: &mut [Box<dyn Ask>], undo: Undo) -> Result<(), Lost> {
    for ask in group {
        let is_well = match undo {
            Undo::All => ask.run(&whole),
            Undo::One => run_apart(&whole, ask.as_mut())?,
        };
        if whole.is_autocommit() {
            return Err(Lost::Midway(Error::Away("the transaction was given up".to_owned())));
        }
        if !is_well && undo == Undo::All {
            return whole
                .rollback()
                .map_or_else(|error| Err(Lost::Midway(error.into())), |()| Err(Lost::Spoiled));
        }
    }
    whole.commit().map_err(|error| Lost::Midway(error.into()))
}

/// Runs one behind a savepoint, and undoes it alone where it fails.
fn run_apart(whole: &Connection, ask: &mut dyn Ask) -> Result<bool, Lost> {
    let step = |sql| whole.execute_batch(sql).map_err(|error| Lost::Midway(error.into()));
    step("SAVEPOINT ask")?;
    let is_well = ask.run(whole);
    if !whole.is_autocommit() {
        step(if is_well { "RELEASE ask" } else { "ROLLBACK TO ask; RELEASE ask" })?;
    }
    Ok(is_well)
}

fn fail(group: Vec<Box<dyn Ask>>, error: &Error) {
    for ask in group {
        ask.fail(error.clone());
    }
}
