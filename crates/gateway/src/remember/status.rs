//! What the cache had to do with an answer, and what a caller reads of that: `x-tidegate-cache`.

use cache::tier::TierName;
use http::HeaderValue;

/// Why the cache was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// It is switched off, for all or for this alias.
    Disabled,
    /// The caller said `no-store`.
    NoStore,
    /// The caller said `no-cache`: the answer is fetched anew, and kept.
    NoCache,
    /// The temperature is above 0 or not given, and the alias does not opt in.
    Temperature,
    /// The request leaves something behind, or its answer depends on more than the request.
    Stateful,
    /// The alias keeps answers to one user, and the request names none.
    NoScope,
}

/// What the cache had to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    /// It was remembered, there.
    Hit(TierName),
    /// The answer to another question serves; how near that is.
    Alike(f32),
    /// Nothing was there.
    Miss,
    /// Another request under way got the answer for both.
    Coalesced,
    /// The cache was not asked.
    Bypass(Bypass),
}

impl Status {
    /// The header's value.
    #[must_use]
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Hit(TierName::Memory) => "hit; tier=memory",
            Self::Hit(TierName::Redis) => "hit; tier=redis",
            Self::Hit(TierName::Disk) => "hit; tier=disk",
            Self::Alike(similarity) => return alike(similarity),
            Self::Miss => "miss",
            Self::Coalesced => "coalesced",
            Self::Bypass(Bypass::Disabled) => "bypass; reason=disabled",
            Self::Bypass(Bypass::NoStore) => "bypass; reason=no-store",
            Self::Bypass(Bypass::NoCache) => "bypass; reason=no-cache",
            Self::Bypass(Bypass::Temperature) => "bypass; reason=temperature",
            Self::Bypass(Bypass::Stateful) => "bypass; reason=stateful",
            Self::Bypass(Bypass::NoScope) => "bypass; reason=no-scope",
        })
    }

    /// Whether it was remembered.
    #[must_use]
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Hit(_) | Self::Alike(_))
    }
}

fn alike(similarity: f32) -> HeaderValue {
    let value = format!("hit; tier=semantic; similarity={similarity:.2}");
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("hit; tier=semantic"))
}
