//! Why a row could not be had.

/// What a method answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a row could not be had. What a caller of the store did wrong (an id that nobody has, a lease that was
/// lost, a key used twice) is no error but an answer, and has a type of its own at its method.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The database is gone, locked, full, or too slow; nothing acknowledged is lost, and another try may
    /// help.
    #[error("the database does not answer: {0}")]
    Away(String),
    /// The database is there and its content is not what we wrote.
    #[error(
        "the database holds what it should not: {0}; restore it from a backup, or give another with DATABASE_URL"
    )]
    Corrupt(String),
    /// The database was written by a newer release.
    #[error(
        "the database has schema {found}, and this release knows {known}; start the newer release, or give another with DATABASE_URL"
    )]
    TooNew {
        /// The schema's number.
        found: i64,
        /// The greatest that is known here.
        known: i64,
    },
    /// The address of the database cannot be understood.
    #[error("{0}; a database is `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`")]
    Address(String),
    /// The database refuses what it is told: a fault of ours.
    #[error("the database refuses: {0}")]
    Refused(String),
}

impl Error {
    /// Whether another try may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}
