//! From a request to 256 bits: equal for requests that may share an answer, and for no others.
//!
//! A key is a keyed BLAKE3 of everything that an answer depends on, each part with its length before it:
//!
//! * the **place**: operation, policy version, provider, base URL, credential scope, resolved model;
//! * the **tenant**, and within it the scope that a caller may set;
//! * the **form** of the answer, as streams and whole answers are stored apart;
//! * the **body**, canonical: the order of an object's members and the white space between tokens do not
//!   matter, the order of messages and every character inside a string do. See [`canonical`].
//!
//! The body is read once and hashed as it stands: a long prompt is not copied.

mod canonical;
mod sink;
#[cfg(test)]
mod tests;
mod walk;

use sink::Sink;
use std::fmt;
use std::ops::Range;

/// Changes whenever the meaning of a part does, so that old keys are never met again.
const VERSION: &str = "tidegate 2026-11-21 cache keys, version 2";

/// Why a text has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not JSON.
    #[error("the text is not JSON")]
    Malformed,
    /// Two members of one object have one name.
    #[error("an object has a key twice")]
    DuplicateKey,
    /// Deeper than [`wire::json::DEPTH_MAX`], or longer than [`wire::json::BYTES_MAX`].
    #[error("the text is nested too deeply or too long")]
    TooLarge,
}

/// 256 bits that stand for a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

/// What keys are made with. Replicas that share a cache share it; without it nobody can tell from a key what
/// was asked.
#[derive(Clone)]
pub struct Secret([u8; 32]);

/// The part of a key that configuration decides, hashed beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place([u8; 32]);

/// What makes a [`Place`].
#[derive(Clone, Copy, Debug)]
pub struct PlaceParts<'a> {
    /// What is asked for, such as `chat`.
    pub operation: &'a str,
    /// Grows with what is done to requests and answers on their way.
    pub policy: u64,
    /// The provider's name.
    pub provider: &'a str,
    /// Where it is.
    pub base_url: &'a str,
    /// Tells credentials of different reach apart; a digest of the credential will do.
    pub credential: &'a [u8],
    /// The model, as the provider names it.
    pub model: &'a str,
}

/// What makes a [`Key`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// What configuration decides.
    pub place: &'a Place,
    /// Whose request it is.
    pub tenant: &'a str,
    /// A narrower circle within the tenant.
    pub scope: &'a str,
    /// The answer's form: whole, stream, or a number of the caller's own.
    pub form: u8,
    /// Well-formed JSON.
    pub body: &'a str,
    /// Members of the body's top level that do not count; what is within them is not looked at.
    pub leave_out: &'a [&'a str],
    /// A string in the body that does not count: its span, quotes included. Where no string has just this
    /// span, everything counts.
    pub hole: Option<Range<usize>>,
}

impl Secret {
    /// From text of any length.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(blake3::derive_key(VERSION, text.as_bytes()))
    }
}

impl Place {
    /// Hashes what configuration decides.
    #[must_use]
    pub fn new(parts: &PlaceParts<'_>) -> Self {
        // Taken apart, so that a new part does not compile until it has its place here.
        let PlaceParts { operation, policy, provider, base_url, credential, model } = *parts;
        let mut hasher = blake3::Hasher::new();
        for part in [
            operation.as_bytes(),
            &policy.to_le_bytes(),
            provider.as_bytes(),
            base_url.as_bytes(),
            credential,
            model.as_bytes(),
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

impl Key {
    /// The key of a request.
    ///
    /// # Errors
    /// Where the body is not JSON, gives a key twice, or is nested deeper than is read.
    pub fn new(secret: &Secret, parts: &Parts<'_>) -> Result<Self, Fault> {
        let Parts { place, tenant, scope, form, body, leave_out, hole } = parts;
        let expected = 80 + tenant.len() + scope.len() + body.len() + body.len() / 8;
        let mut sink = Sink::new(&secret.0, expected);
        for part in [&place.0[..], tenant.as_bytes(), scope.as_bytes(), &[*form]] {
            sink.part(part);
        }
        canonical::feed(&mut sink, body, leave_out, hole.as_ref())?;
        Ok(Self(sink.finish()))
    }

    /// The key of a name of the caller's own; never equal to one that [`Key::new`] makes.
    #[must_use]
    pub fn named(secret: &Secret, tenant: &str, name: &str) -> Self {
        let mut sink = Sink::new(&secret.0, 64 + tenant.len() + name.len());
        for part in [&b"named"[..], tenant.as_bytes(), name.as_bytes()] {
            sink.part(part);
        }
        Self(sink.finish())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key that [`Key`]'s `Display` wrote: 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| digits.get(at).and_then(|digit| (*digit as char).to_digit(16));
            *byte = (digit(0)? << 4 | digit(1)?) as u8;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
