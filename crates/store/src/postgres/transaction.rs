//! Transactions, each in a task of its own, so that a caller who leaves does not leave one open.
//!
//! Nothing here outlives a transaction on the server's side: no prepared statement, no setting, no lock. That is
//! what PgBouncer asks for when it hands a server's connection to another client after each transaction. Each
//! statement is unnamed and carries its parameters' types (`query_typed`), and `BEGIN` and, where nothing is to be
//! decided any more, `COMMIT` go in the same packet: most calls of the store are one round trip.
//!
//! A connection goes back to the pool only after its transaction has ended well; otherwise it is closed, which
//! ends the transaction whatever state it was in.

use super::fault::Fault;
use super::param::Param;
use super::pool::Connections;
use crate::{Error, Result};
use deadpool_postgres::{Client, Object};
use futures_util::future::join3;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_util::task::TaskTracker;

/// How often a transaction is begun anew that was given up in favour of another.
const TRIES: u32 = 5;
/// How much longer than the server we wait for a statement that the server should have ended.
const GRACE: Duration = Duration::from_secs(1);

/// What a transaction comes to.
pub(super) type Outcome<'t, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 't>>;
/// What a transaction does with what it was given. It may be run more than once.
pub(super) type Work<D, T> = for<'t> fn(&'t Transaction, &'t D) -> Outcome<'t, T>;

/// The database, and perhaps one that follows it.
pub(super) struct Database {
    primary: Arc<Connections>,
    replica: Option<Arc<Connections>>,
    tasks: TaskTracker,
    begin: Arc<str>,
    statement_max: Duration,
}

impl Database {
    pub(super) fn new(
        primary: Connections,
        replica: Option<Connections>,
        tasks: TaskTracker,
        statement_max: Duration,
    ) -> Self {
        let (primary, replica) = (Arc::new(primary), replica.map(Arc::new));
        Self { primary, replica, tasks, begin: begin(statement_max).into(), statement_max }
    }

    /// Runs `work` in a transaction.
    pub(super) async fn run<D, T>(&self, given: D, work: Work<D, T>) -> Result<T>
    where
        D: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.run_on(&self.primary, given, work).await
    }

    /// Runs `work`, which only reads and may read what is a moment old, on the replica; without one, or where
    /// that is away, on the primary.
    pub(super) async fn read<D, T>(&self, given: D, work: Work<D, T>) -> Result<T>
    where
        D: Clone + Send + Sync + 'static,
        T: Send + 'static,
    {
        if let Some(replica) = &self.replica {
            match self.run_on(replica, given.clone(), work).await {
                Err(Error::Away(_)) => {}
                other => return other,
            }
        }
        self.run(given, work).await
    }

    /// Whether [`Database::read`] may be behind.
    pub(super) fn has_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// A connection of the primary's, for whoever begins his transactions himself.
    pub(super) async fn client(&self) -> Result<Client> {
        self.primary.get().await
    }

    /// Whoever leaves while he waits for a connection has asked for nothing; once there is one, the transaction
    /// goes on to its end without him.
    async fn run_on<D, T>(&self, connections: &Arc<Connections>, given: D, work: Work<D, T>) -> Result<T>
    where
        D: Send + Sync + 'static,
        T: Send + 'static,
    {
        let client = connections.get().await?;
        let transaction = Transaction::new(client, Arc::clone(&self.begin));
        let (connections, longest) = (Arc::clone(connections), self.statement_max + GRACE);
        let task = self.tasks.spawn(async move {
            let outcome = repeat(transaction, &given, work, longest).await;
            if outcome.is_none() {
                connections.note_frozen();
            }
            outcome
        });
        match task.await {
            Ok(Some(outcome)) => outcome.map_err(Error::from),
            Ok(None) => Err(Error::Away("no answer in time".to_owned())),
            Err(error) if error.is_panic() => Err(Error::Refused("a decision could not be made".to_owned())),
            Err(_) => Err(Error::Away("this process is ending".to_owned())),
        }
    }
}

/// Opens a transaction, with all that is set for it alone. What is written here relies on each statement seeing
/// what was committed before it, whatever the server's default is.
fn begin(statement_max: Duration) -> String {
    let ms = statement_max.as_millis();
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {ms}; SET LOCAL idle_in_transaction_session_timeout = {ms}; \
         SET LOCAL jit = off"
    )
}

/// Runs `work`, anew where it collides with another transaction; `None` where the server did not answer in time.
async fn repeat<D, T>(
    mut transaction: Transaction,
    given: &D,
    work: Work<D, T>,
    longest: Duration,
) -> Option<Result<T, Fault>> {
    let mut tries = 0;
    loop {
        tries += 1;
        let fault = match timeout(longest, attempt(&transaction, given, work)).await.ok()? {
            Ok(done) => {
                transaction.release();
                return Some(Ok(done));
            }
            Err(fault) => fault,
        };
        let is_clean = timeout(longest, transaction.roll_back()).await.ok()?;
        if is_clean && fault.is_collision() && tries < TRIES {
            continue;
        }
        if is_clean {
            transaction.release();
        }
        return Some(Err(fault));
    }
}

async fn attempt<D, T>(transaction: &Transaction, given: &D, work: Work<D, T>) -> Result<T, Fault> {
    let done = work(transaction, given).await?;
    transaction.commit().await?;
    Ok(done)
}

/// A transaction: begun by its first statement.
pub(super) struct Transaction {
    client: Option<Client>,
    begin: Arc<str>,
    begun: AtomicBool,
    ended: AtomicBool,
}

impl Transaction {
    fn new(client: Client, begin: Arc<str>) -> Self {
        let (begun, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { client: Some(client), begin, begun, ended }
    }

    /// Sends a statement, and gives its rows.
    pub(super) async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Fault> {
        self.send(sql, params, false).await
    }

    /// Sends a statement and `COMMIT` in one packet: nothing more may follow.
    pub(super) async fn last(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Fault> {
        self.send(sql, params, true).await
    }

    /// The one or the other.
    pub(super) async fn send(
        &self,
        sql: &str,
        params: &[Param<'_>],
        is_last: bool,
    ) -> Result<Vec<Row>, Fault> {
        let client = self.client()?;
        let is_first = !self.begun.swap(true, Ordering::Relaxed);
        // Each is sent when it is first polled, and they are polled in this order.
        let (begun, rows, ended) = join3(
            async { if is_first { client.batch_execute(&self.begin).await } else { Ok(()) } },
            client.query_typed(sql, params),
            async { if is_last { client.batch_execute("COMMIT").await } else { Ok(()) } },
        )
        .await;
        begun?;
        let rows = rows?;
        ended?;
        self.ended.store(is_last, Ordering::Relaxed);
        Ok(rows)
    }

    async fn commit(&self) -> Result<(), Fault> {
        if self.begun.load(Ordering::Relaxed) && !self.ended.load(Ordering::Relaxed) {
            self.client()?.batch_execute("COMMIT").await?;
        }
        Ok(())
    }

    /// Whether the connection may begin another transaction.
    async fn roll_back(&self) -> bool {
        let Ok(client) = self.client() else { return false };
        let is_clean = client.batch_execute("ROLLBACK").await.is_ok();
        self.begun.store(false, Ordering::Relaxed);
        self.ended.store(false, Ordering::Relaxed);
        is_clean
    }

    /// Gives the connection back to the pool.
    fn release(&mut self) {
        drop(self.client.take());
    }

    fn client(&self) -> Result<&Client, Fault> {
        self.client.as_ref().ok_or_else(|| Error::Refused("a transaction that is over".to_owned()).into())
    }
}

impl Drop for Transaction {
    /// Closes the connection of a transaction that did not come to an end.
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}
