//! What PostgreSQL, PgBouncer or the way to them say when something fails, told in the store's own words.
//!
//! Nothing of a failing row is repeated: of what the server says only the code and the first line are, never
//! the detail.

use crate::Error;
use deadpool_postgres::{PoolError, TimeoutType};
use std::error::Error as _;
use tokio_postgres::error::SqlState;

/// Why a transaction failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server said so, or the way to it is broken.
    Postgres(tokio_postgres::Error),
    /// Said by ourselves.
    Ours(Error),
}

impl Fault {
    /// Whether the transaction was given up in favour of another, and is to be begun anew.
    pub(super) fn is_collision(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        error.code().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Postgres(error) => tell(&error),
            Fault::Ours(error) => error,
        }
    }
}

/// Told for callers of the store.
pub(super) fn tell(error: &tokio_postgres::Error) -> Error {
    let Some(said) = error.as_db_error() else {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        return if is_ours(error) {
            Error::Refused(format!("{error}"))
        } else {
            Error::Away(format!("{error}{cause}"))
        };
    };
    let code = said.code().code();
    let text = format!("{} ({code})", said.message());
    match kind(code) {
        Kind::Passes => Error::Away(text),
        Kind::Rots => Error::Corrupt(text),
        Kind::Stays => Error::Refused(text),
    }
}

/// Told of a pool that has no connection to give.
pub(super) fn tell_pool(error: &PoolError) -> Error {
    match error {
        PoolError::Backend(error) => tell(error),
        PoolError::Timeout(TimeoutType::Wait) => Error::Away("all connections are in use".to_owned()),
        PoolError::Timeout(_) => Error::Away("no connection in time".to_owned()),
        PoolError::Closed => Error::Away("the store is closed".to_owned()),
        PoolError::PostCreateHook(_) | PoolError::NoRuntimeSpecified => Error::Refused(error.to_string()),
    }
}

/// Whether a value did not go into a column's type or did not come out of it, or we cannot say who we are.
/// tokio-postgres tells its own kinds apart by their texts alone.
fn is_ours(error: &tokio_postgres::Error) -> bool {
    const OURS: [&str; 5] = [
        "error serializing",
        "error deserializing",
        "error encoding",
        "error during authentication",
        "invalid configuration",
    ];
    let text = error.to_string();
    OURS.iter().any(|start| text.starts_with(start))
}

enum Kind {
    Passes,
    Rots,
    Stays,
}

/// By the code's class: appendix A of PostgreSQL's manual.
fn kind(code: &str) -> Kind {
    match code {
        // Data corrupted, index corrupted.
        "XX001" | "XX002" => Kind::Rots,
        // A statement or lock that took too long, one that somebody cancelled, a lock that is not to be had.
        "57014" | "55P03" => Kind::Passes,
        // Read-only: a standby that was, or is to be, the primary; a prepared transaction's way out of it.
        "25006" => Kind::Passes,
        _ => match code.get(..2) {
            // Connections, all of PgBouncer's own complaints (08P01) among them; rollbacks; resources: disk
            // full, memory, too many connections; an operator's intervention; the system's own faults.
            Some("08" | "40" | "53" | "57" | "58") => Kind::Passes,
            // A session that was ended while it was idle within a transaction, and what follows of it.
            Some("25") => Kind::Passes,
            _ => Kind::Stays,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_stays() {
        for (code, passes) in [
            ("08006", true),
            ("08P01", true),
            ("25006", true),
            ("25P03", true),
            ("40001", true),
            ("40P01", true),
            ("53100", true),
            ("53300", true),
            ("55P03", true),
            ("57014", true),
            ("57P01", true),
            ("57P03", true),
            ("58030", true),
            ("22021", false),
            ("23505", false),
            ("28P01", false),
            ("3D000", false),
            ("42P01", false),
        ] {
            assert_eq!(matches!(kind(code), Kind::Passes), passes, "{code}");
        }
        assert!(matches!(kind("XX001"), Kind::Rots));
    }
}
