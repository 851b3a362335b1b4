//! What SQLite's errors mean to whoever asked.

use crate::Error;
use rusqlite::ErrorCode;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use ErrorCode::*;
        use rusqlite::Error::*;
        let message = error.to_string();
        match error {
            SqliteFailure(fault, _) => match fault.code {
                DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | SystemIoFailure
                | CannotOpen
                | ReadOnly
                | OutOfMemory
                | OperationInterrupted
                | OperationAborted
                | PermissionDenied
                | FileLockingProtocolFailed => Self::Away(message),
                DatabaseCorrupt | NotADatabase => Self::Corrupt(message),
                _ => Self::Refused(message),
            },
            FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..) => Self::Corrupt(message),
            _ => Self::Refused(message),
        }
    }
}

/// Whether somebody else holds a lock: the connection itself is well.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
