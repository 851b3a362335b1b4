//! All rows, wherever they are kept.

use crate::batches::Batches;
use crate::files::Files;
use crate::jobs::Jobs;
use crate::keys::Keys;
use crate::parcels::Parcels;
use crate::runs::Runs;
use crate::schedules::Schedules;
use crate::usage::Ledger;
use crate::{Error, Result, postgres, sqlite};
use std::sync::Arc;
use std::time::Duration;

/// Which database, and how long it is waited for.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST:PORT/NAME`.
    pub url: String,
    /// Longest wait: for an answer of SQLite's, for a connection to PostgreSQL.
    pub wait_max: Duration,
    /// A PostgreSQL that follows the other, for reads that may be a moment old.
    pub replica: Option<String>,
    /// Connections to PostgreSQL that are kept.
    pub connections: usize,
    /// Connections above those, closed when they have lain unused.
    pub overflow: usize,
    /// How old a connection to PostgreSQL grows.
    pub age_max: Duration,
}

impl Options {
    /// The database at this address, all else as usual.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let url = url.into();
        let wait_max = Duration::from_secs(if url.starts_with("sqlite:") { 10 } else { 30 });
        let postgres::Options { base: connections, overflow, age_max, .. } = postgres::Options::new("");
        Self { url, wait_max, replica: None, connections, overflow, age_max }
    }

    /// Whether nothing can have been kept there yet: it is a file that does not exist.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let place = self.url.strip_prefix("sqlite:").and_then(|place| sqlite::Options::at(place).ok());
        place.is_some_and(|options| options.path.try_exists().is_ok_and(|exists| !exists))
    }
}

/// Without the address: it may hold a password.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("wait_max", &self.wait_max).finish_non_exhaustive()
    }
}

/// A database, by the kinds of its rows. A clone is another handle to the same.
#[derive(Clone)]
pub struct Store {
    /// Work to be done later.
    pub jobs: Arc<dyn Jobs>,
    /// What is to be added again and again.
    pub schedules: Arc<dyn Schedules>,
    /// Workflows under way.
    pub runs: Arc<dyn Runs>,
    /// Files that callers have brought.
    pub files: Arc<dyn Files>,
    /// Batches of requests.
    pub batches: Arc<dyn Batches>,
    /// What of them is handed to providers.
    pub parcels: Arc<dyn Parcels>,
    /// Callers' keys.
    pub keys: Arc<dyn Keys>,
    /// What was used and what it cost.
    pub ledger: Arc<dyn Ledger>,
}

impl Store {
    /// Opens the database, and brings its schema up to this release's.
    ///
    /// # Errors
    /// [`Error::Address`] where the address cannot be understood, [`Error::TooNew`] and [`Error::Corrupt`]
    /// where the database is not for this release, [`Error::Away`] where it does not answer now.
    pub async fn open(options: &Options) -> Result<Self> {
        match options.url.split_once(':') {
            Some(("sqlite", place)) => {
                let options = sqlite::Options { wait_max: options.wait_max, ..sqlite::Options::at(place)? };
                Ok(Self::from(sqlite::Sqlite::open(options).await?))
            }
            Some(("postgres" | "postgresql", _)) => {
                let options = postgres::Options {
                    wait: options.wait_max,
                    replica: options.replica.clone(),
                    base: options.connections,
                    overflow: options.overflow,
                    age_max: options.age_max,
                    ..postgres::Options::new(&options.url)
                };
                Ok(Self::from(postgres::Postgres::open(options).await?))
            }
            Some((scheme, _)) => Err(Error::Address(format!("no database is reached by `{scheme}:`"))),
            None => {
                Err(Error::Address("the address of the database does not say which kind it is".to_owned()))
            }
        }
    }
}

impl Store {
    /// Every kind of row in one place.
    fn of<T>(all: T) -> Self
    where
        T: Jobs + Schedules + Runs + Files + Batches + Parcels + Keys + Ledger + 'static,
    {
        let all = Arc::new(all);
        Self {
            jobs: all.clone(),
            schedules: all.clone(),
            runs: all.clone(),
            files: all.clone(),
            batches: all.clone(),
            parcels: all.clone(),
            keys: all.clone(),
            ledger: all,
        }
    }
}

impl From<sqlite::Sqlite> for Store {
    fn from(sqlite: sqlite::Sqlite) -> Self {
        Self::of(sqlite)
    }
}

impl From<postgres::Postgres> for Store {
    fn from(postgres: postgres::Postgres) -> Self {
        Self::of(postgres)
    }
}
