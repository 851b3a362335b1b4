//! Callers' keys, as they are kept: a hash, never the secret.

use crate::{Answer, Time};

/// A caller's key.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The public part.
    pub id: String,
    /// The keyed hash of the secret part.
    pub hash: Vec<u8>,
    /// Whose it is.
    pub tenant: String,
    /// Everything else that is said of it, as JSON in the form of the configuration file's `[[keys]]`.
    pub settings: Vec<u8>,
    /// When it was made.
    pub created: Time,
    /// When it was revoked.
    pub revoked: Option<Time>,
}

/// The rows of keys.
pub trait Keys: Send + Sync {
    /// Adds a key; `false` where one has this id.
    fn add(&self, key: Key) -> Answer<'_, bool>;

    /// Gives the key `was` another tenant and other settings; `false` where it is not, or not any more, as `was` says.
    fn change(&self, was: Key, tenant: &str, settings: Vec<u8>) -> Answer<'_, bool>;

    /// Revokes a key; whether there was one that was not.
    fn revoke(&self, id: &str, now: Time) -> Answer<'_, bool>;

    /// All keys, the revoked ones too, by id.
    fn all(&self) -> Answer<'_, Vec<Key>>;

    /// Counted up by each change: cheap to ask, so that a change is noticed soon.
    fn version(&self) -> Answer<'_, i64>;
}
