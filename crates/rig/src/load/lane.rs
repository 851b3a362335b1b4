//! One thread's way to one target: the target and the connections to it that wait for use.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::connection::Connection;
use super::fault::Failed;
use super::target::Target;

/// A target with a keep-alive pool that belongs to one thread.
///
/// The pool holds no more connections than were ever in use at once, so the load's own bound on
/// what is under way bounds it too.
pub(super) struct Lane {
    pub(super) target: Arc<Target>,
    idle: RefCell<Vec<Connection>>,
    opened: Cell<u64>,
}

impl Lane {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { target, idle: RefCell::new(Vec::new()), opened: Cell::new(0) }
    }

    /// The connection used last that is still good, or a new one.
    pub(super) async fn take(&self) -> Result<Connection, Failed> {
        loop {
            let Some(mut connection) = self.idle.borrow_mut().pop() else {
                return self.open().await;
            };
            if connection.ready().await {
                return Ok(connection);
            }
        }
    }

    pub(super) async fn open(&self) -> Result<Connection, Failed> {
        let connection = Connection::open(&self.target).await?;
        self.opened.set(self.opened.get() + 1);
        Ok(connection)
    }

    /// Takes back a connection whose answer was read to its end.
    pub(super) fn give_back(&self, connection: Connection) {
        self.idle.borrow_mut().push(connection);
    }

    /// How many connections were opened since this was last asked.
    pub(super) fn take_opened(&self) -> u64 {
        self.opened.take()
    }
}
