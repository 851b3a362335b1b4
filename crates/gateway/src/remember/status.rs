//! What a caller reads of the cache: `x-tidegate-cache`.

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

impl Bypass {
    /// The header's value.
    #[must_use]
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Disabled => "bypass; reason=disabled",
            Self::NoStore => "bypass; reason=no-store",
            Self::NoCache => "bypass; reason=no-cache",
            Self::Temperature => "bypass; reason=temperature",
            Self::Stateful => "bypass; reason=stateful",
            Self::NoScope => "bypass; reason=no-scope",
        })
    }
}

/// Nothing was there.
#[must_use]
pub fn miss() -> HeaderValue {
    HeaderValue::from_static("miss")
}

/// Another request under way got the answer for both.
#[must_use]
pub fn coalesced() -> HeaderValue {
    HeaderValue::from_static("coalesced")
}

/// The answer to another question serves; how near that is.
#[must_use]
pub fn semantic(similarity: f32) -> HeaderValue {
    let value = format!("hit; tier=semantic; similarity={similarity:.2}");
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("hit; tier=semantic"))
}

/// It was remembered.
#[must_use]
pub fn hit(tier: TierName) -> HeaderValue {
    HeaderValue::from_static(match tier {
        TierName::Memory => "hit; tier=memory",
        TierName::Redis => "hit; tier=redis",
        TierName::Disk => "hit; tier=disk",
    })
}
