//! Files that callers have brought, in pieces: none is ever held whole.

use crate::{Answer, Time};

/// A file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// `file-` and 24 letters and digits.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// `batch`, and whatever else callers say.
    pub purpose: String,
    /// As the caller named it.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// When it was brought.
    pub created: Time,
    /// Forgotten after.
    pub expires: Option<Time>,
}

/// The rows of files, and their content.
pub trait Files: Send + Sync {
    /// Adds a piece to a file that is being brought; pieces are numbered from 0. A piece brought twice is
    /// there once.
    fn write(&self, id: &str, piece: u32, bytes: Vec<u8>, now: Time) -> Answer<'_, ()>;

    /// The file is whole: from now on it is found.
    fn close(&self, file: File) -> Answer<'_, ()>;

    /// The file; `tenant` `None`: whosever it is.
    fn file(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<File>>;

    /// Files of a tenant from the newest to the oldest; those before the file `before` if given.
    fn list(
        &self,
        tenant: &str,
        purpose: Option<&str>,
        before: Option<&str>,
        limit: u32,
    ) -> Answer<'_, Vec<File>>;

    /// The piece with this number, as it was brought; `None` after the last.
    fn read(&self, id: &str, piece: u32) -> Answer<'_, Option<Vec<u8>>>;

    /// Forgets a file; whether there was one.
    fn remove(&self, id: &str, tenant: Option<&str>) -> Answer<'_, bool>;

    /// Forgets what has expired, and pieces begun before `abandoned` that were never closed; so many at most.
    fn sweep(&self, now: Time, abandoned: Time, limit: u32) -> Answer<'_, u64>;
}
