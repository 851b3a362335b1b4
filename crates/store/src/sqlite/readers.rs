//! The threads that read. Each opens its connection when it is first asked, and anew after a failure.

use super::ask::{Ask, Queue};
use super::{Options, connect};
use crate::{Error, Result};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

type Asks = Arc<Mutex<Receiver<Box<dyn Ask>>>>;

/// Starts the threads; they end when the queue is dropped.
pub(super) fn start(options: &Options) -> Result<Queue> {
    let (queue, asks) = Queue::new(options.wait_max);
    let asks = Arc::new(Mutex::new(asks));
    for number in 0..options.readers.max(1) {
        let (asks, options) = (Arc::clone(&asks), options.clone());
        thread::Builder::new()
            .name(format!("store-read-{number}"))
            .spawn(move || Reader { options, db: None }.run(&asks))
            .map_err(|error| Error::Away(format!("there is no thread for it: {error}")))?;
    }
    Ok(queue)
}

struct Reader {
    options: Options,
    db: Option<Connection>,
}

impl Reader {
    fn run(mut self, asks: &Asks) {
        loop {
            // One of those that are free waits in `recv` and the others for the lock: who asks next wakes one.
            let next = asks.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(ask) = next else { return };
            if ask.is_wanted() {
                self.serve(ask);
            }
        }
    }

    fn serve(&mut self, mut ask: Box<dyn Ask>) {
        match self.look(ask.as_mut()) {
            Ok(true) => ask.answer(),
            Ok(false) => {
                self.db = None;
                ask.answer();
            }
            Err(error) => {
                self.db = None;
                ask.fail(error);
            }
        }
    }

    /// Runs the request on one view of the file; says whether that went well.
    fn look(&mut self, ask: &mut dyn Ask) -> Result<bool> {
        let db = match &self.db {
            Some(db) => db,
            None => self.db.insert(connect::reading(&self.options)?),
        };
        let view = Transaction::new_unchecked(db, TransactionBehavior::Deferred)?;
        Ok(ask.run(&view))
    }
}
