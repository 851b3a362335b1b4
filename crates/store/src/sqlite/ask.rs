//! What a thread with a connection is asked, how it answers, and how much may wait.

use crate::{Error, Result};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Most requests that may wait.
const WAITING_MAX: usize = 1024;
/// One place more for each so many bytes that a request holds: 64 MiB in all.
const BYTES_A_PLACE: usize = 64 << 10;

/// A request under way to a connection.
pub(super) trait Ask: Send {
    /// Whether anybody waits for the answer.
    fn is_wanted(&self) -> bool;

    /// Does the work, and keeps what came of it; says whether that was well.
    fn run(&mut self, db: &Connection) -> bool;

    /// Tells what came of it.
    fn answer(self: Box<Self>);

    /// Tells that nothing came of it.
    fn fail(self: Box<Self>, error: Error);
}

/// The way to the threads that have a connection.
pub(super) struct Queue {
    sender: SyncSender<Box<dyn Ask>>,
    places: Arc<Semaphore>,
    wait_max: Duration,
}

impl Queue {
    /// A queue, and the end that a thread takes from.
    pub(super) fn new(wait_max: Duration) -> (Self, Receiver<Box<dyn Ask>>) {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let places = Arc::new(Semaphore::new(WAITING_MAX));
        (Self { sender, places, wait_max }, receiver)
    }

    /// Has `work` done, and waits for what comes of it.
    pub(super) async fn ask<T, F>(&self, bytes: usize, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T> + Send + 'static,
    {
        let places = (1 + bytes / BYTES_A_PLACE).min(WAITING_MAX);
        let places = u32::try_from(places).unwrap_or(u32::MAX);
        let place = Arc::clone(&self.places).try_acquire_many_owned(places);
        let Ok(place) = place else { return Err(Error::Away("too much waits for it".to_owned())) };
        let (reply, answer) = oneshot::channel();
        let ask = Asked { work, outcome: None, reply, _place: place };
        if self.sender.try_send(Box::new(ask)).is_err() {
            return Err(Error::Away("its thread has ended".to_owned()));
        }
        match tokio::time::timeout(self.wait_max, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::Away("its thread has ended".to_owned())),
            Err(_) => Err(Error::Away(format!("no answer within {} ms", self.wait_max.as_millis()))),
        }
    }
}

/// A request, and who waits for it.
struct Asked<T, F> {
    work: F,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
    _place: OwnedSemaphorePermit,
}

impl<T, F> Ask for Asked<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T> + Send,
{
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, db: &Connection) -> bool {
        // Whatever a caller's function does, the thread and the others' work go on: theirs is undone.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(db)));
        let outcome = outcome.unwrap_or_else(|_| Err(Error::Refused("what was asked panicked".to_owned())));
        self.outcome.insert(outcome).is_ok()
    }

    fn answer(self: Box<Self>) {
        let nothing = || Err(Error::Refused("it was not asked".to_owned()));
        let _ = self.reply.send(self.outcome.unwrap_or_else(nothing));
    }

    fn fail(self: Box<Self>, error: Error) {
        let error = match self.outcome {
            Some(Err(own)) => own,
            _ => error,
        };
        let _ = self.reply.send(Err(error));
    }
}
