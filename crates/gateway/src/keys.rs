//! Callers' keys: their form, their hashes, and finding the one a caller presented.
//!
//! A key is `tg-<12 alphanumerics>-<43 alphanumerics>`: a public id, which may stand in logs and rules, and a
//! secret of 256 bits, which is shown once. What is stored is BLAKE3 of the secret, keyed by a key derived
//! from the id, so equal secrets under two ids have unlike hashes and a table for all ids cannot be made. A
//! slow hash would gain nothing: the secret is random, not chosen by a person.
//!
//! Nothing here knows of the configuration, HTTP, or what a key allows. Nothing is cached by a part of a key:
//! id and secret are compared whole, each time (an authentication cached on a prefix has let strangers in
//! elsewhere: CVE-2026-35030).

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use subtle::ConstantTimeEq;

/// What hashing keys are derived for; changing it voids every key.
const CONTEXT: &str = "tidegate 2026 caller key";
const PREFIX: &str = "tg-";
/// Bytes of an id, prefix included.
pub const ID_BYTES: usize = PREFIX.len() + 12;
/// Bytes of a secret: 43 characters of 62 kinds are 256 bits.
pub const SECRET_BYTES: usize = 43;
/// Bytes of a whole key.
pub const KEY_BYTES: usize = ID_BYTES + 1 + SECRET_BYTES;
/// How the text of a hash begins: it names the algorithm.
const HASH_PREFIX: &str = "b3:";

/// A key as a caller presents it; nothing is copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallerKey<'a> {
    /// The public part, `tg-` included.
    pub id: &'a str,
    /// The secret part.
    pub secret: &'a [u8],
}

impl<'a> CallerKey<'a> {
    /// Takes a key apart; `None` for anything that is not exactly of a key's form.
    #[must_use]
    pub fn parse(presented: &'a [u8]) -> Option<Self> {
        if presented.len() != KEY_BYTES {
            return None;
        }
        let (id, rest) = presented.split_at(ID_BYTES);
        let secret = rest.strip_prefix(b"-")?;
        let id = std::str::from_utf8(id).ok().filter(|id| is_id(id))?;
        secret.iter().all(u8::is_ascii_alphanumeric).then_some(Self { id, secret })
    }
}

impl fmt::Debug for CallerKey<'_> {
    /// The id alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Whether text is an id: `tg-` and 12 alphanumerics.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == ID_BYTES
        && text.strip_prefix(PREFIX).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The keyed hash of a key's secret.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// What an unknown id is compared with, so that it costs what a known one costs and timing tells nothing
    /// of which ids exist. No secret hashes to it.
    pub const NOBODY: Self = Self([0; 32]);

    /// The hash of a secret under an id.
    #[must_use]
    pub fn of(id: &str, secret: &[u8]) -> Self {
        // `blake3::derive_key(CONTEXT, id)`, but for the context, which is hashed once and not on every request.
        static CONTEXT_KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context(CONTEXT));
        let key = blake3::Hasher::new_from_context_key(&CONTEXT_KEY).update(id.as_bytes()).finalize();
        Self(*blake3::keyed_hash(key.as_bytes(), secret).as_bytes())
    }

    /// The hash of these bytes, as a store keeps it; `None` where they are no hash.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes, for a store to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a presented key has this hash, in a time that does not depend on how much of it is right.
    #[must_use]
    pub fn verify(&self, presented: &CallerKey<'_>) -> bool {
        *self == Self::of(presented.id, presented.secret)
    }
}

impl PartialEq for KeyHash {
    /// In constant time, so that no careless comparison can leak.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyHash {}

impl fmt::Debug for KeyHash {
    /// Hidden: a hash is no secret's equal, yet nobody needs it in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl fmt::Display for KeyHash {
    /// The form of the file: `b3:` and 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HASH_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key's hash: `b3:` and 64 hexadecimal digits")]
pub struct NotAHash;

impl FromStr for KeyHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digits = text.strip_prefix(HASH_PREFIX).ok_or(NotAHash)?;
        blake3::Hash::from_hex(digits).map(|hash| Self(*hash.as_bytes())).map_err(|_| NotAHash)
    }
}

/// A key just made; its text is to be shown once and forgotten.
pub struct FreshKey {
    /// The public part.
    pub id: String,
    /// What is stored.
    pub hash: KeyHash,
    /// The whole key, for the caller.
    pub text: String,
}

impl FreshKey {
    /// Makes a key of the system's randomness, under a given id or a fresh one. `id` must satisfy [`is_id`].
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn make(id: Option<&str>) -> Result<Self, getrandom::Error> {
        let id = match id {
            Some(id) => id.to_owned(),
            None => format!("{PREFIX}{}", alphanumerics(ID_BYTES - PREFIX.len())?),
        };
        let secret = alphanumerics(SECRET_BYTES)?;
        let hash = KeyHash::of(&id, secret.as_bytes());
        let text = format!("{id}-{secret}");
        Ok(Self { id, hash, text })
    }
}

/// Uniformly random letters and digits.
fn alphanumerics(length: usize) -> Result<String, getrandom::Error> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // Bytes above the largest multiple of 62 are thrown away: the remainder would favour some letters.
    const FAIR: u8 = 248;
    let mut text = String::with_capacity(length);
    let mut pool = [0_u8; 64];
    while text.len() < length {
        getrandom::fill(&mut pool)?;
        let fair = pool.iter().filter(|byte| **byte < FAIR);
        let letters = fair.map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
        text.extend(letters.take(length - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
