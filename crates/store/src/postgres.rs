//! Rows in PostgreSQL 13 or newer, straight or behind PgBouncer in transaction mode, for any number of gateways.
//!
//! Every call is one transaction, and most are one round trip; see `transaction`. Reads that may be a moment old
//! go to a replica where there is one.
//!
//! What it does not use, as PgBouncer hands a server's connection on after each transaction: prepared statements,
//! settings of a session, its locks, LISTEN.

mod address;
mod batches;
mod fault;
mod files;
mod jobs;
mod keys;
mod ledger;
mod param;
mod parcels;
mod pool;
mod row;
mod runs;
mod schedules;
mod schema;
mod tls;
mod transaction;

use crate::{Answer, Result};
use address::Address;
use pool::Connections;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;
use transaction::{Database, Work};

/// Where the database is, and how it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// `postgres://USER:PASSWORD@HOST:PORT/NAME`, with libpq's parameters: `sslmode`, `sslrootcert` and others.
    pub url: String,
    /// A database that follows it, for reads that may be a moment old.
    pub replica: Option<String>,
    /// Connections that are kept.
    pub base: usize,
    /// Connections above those, closed after [`Options::idle_max`] without use.
    pub overflow: usize,
    /// Longest wait for a connection.
    pub wait: Duration,
    /// Longest time to make a connection, encryption and password included.
    pub connect_max: Duration,
    /// Longest time for a transaction: the server ends a statement after it, we wait a second longer.
    pub statement_max: Duration,
    /// How old a connection grows.
    pub age_max: Duration,
    /// How long a connection above the base lies unused.
    pub idle_max: Duration,
}

impl Options {
    /// The database at this address, all else as usual.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            replica: None,
            base: 20,
            overflow: 30,
            wait: Duration::from_secs(30),
            connect_max: Duration::from_secs(5),
            statement_max: Duration::from_secs(10),
            age_max: Duration::from_secs(3600),
            idle_max: Duration::from_secs(10),
        }
    }
}

/// Without the addresses: they may hold passwords.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("base", &self.base)
            .field("overflow", &self.overflow)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// A PostgreSQL database. Dropped, it lets transactions under way come to their end, and closes.
#[derive(Clone)]
pub struct Postgres {
    database: Arc<Database>,
}

impl Postgres {
    /// Connects, and brings the schema up to this release's.
    ///
    /// # Errors
    /// Where an address cannot be understood, the database is of a newer release, or does not answer now. A
    /// replica that does not answer is no error.
    pub async fn open(options: Options) -> Result<Self> {
        let tasks = TaskTracker::new();
        let connect = |url: &str| Connections::open(url.parse::<Address>()?, &options, &tasks);
        let primary = connect(&options.url)?;
        let replica = options.replica.as_deref().map(connect).transpose()?;
        let database = Database::new(primary, replica, tasks.clone(), options.statement_max);
        schema::bring_up(&database).await?;
        Ok(Self { database: Arc::new(database) })
    }

    /// Does `work` in a transaction.
    fn write<D, T>(&self, given: D, work: Work<D, T>) -> Answer<'_, T>
    where
        D: Send + Sync + 'static,
        T: Send + 'static,
    {
        Box::pin(self.database.run(given, work))
    }

    /// Reads what may be a moment old.
    fn read<D, T>(&self, given: D, work: Work<D, T>) -> Answer<'_, T>
    where
        D: Clone + Send + Sync + 'static,
        T: Send + 'static,
    {
        Box::pin(self.database.read(given, work))
    }

    /// Reads something that is named: what a replica does not find may be new, and is looked for where it is made.
    fn look_up<D, T>(&self, given: D, work: Work<D, Option<T>>) -> Answer<'_, Option<T>>
    where
        D: Clone + Send + Sync + 'static,
        T: Send + 'static,
    {
        Box::pin(async move {
            match self.database.read(given.clone(), work).await? {
                None if self.database.has_replica() => self.database.run(given, work).await,
                found => Ok(found),
            }
        })
    }
}
