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
    /// The header's value. Those of fixed text are checked when this is compiled, not with every answer.
    #[must_use]
    pub fn header(self) -> HeaderValue {
        match self {
            Self::Hit(TierName::Memory) => const { HeaderValue::from_static("hit; tier=memory") },
            Self::Hit(TierName::Redis) => const { HeaderValue::from_static("hit; tier=redis") },
            Self::Hit(TierName::Disk) => const { HeaderValue::from_static("hit; tier=disk") },
            Self::Alike(similarity) => alike(similarity),
            Self::Miss => const { HeaderValue::from_static("miss") },
            Self::Coalesced => const { HeaderValue::from_static("coalesced") },
            Self::Bypass(Bypass::Disabled) => const { HeaderValue::from_static("bypass; reason=disabled") },
            Self::Bypass(Bypass::NoStore) => const { HeaderValue::from_static("bypass; reason=no-store") },
            Self::Bypass(Bypass::NoCache) => const { HeaderValue::from_static("bypass; reason=no-cache") },
            Self::Bypass(Bypass::Temperature) => {
                const { HeaderValue::from_static("bypass; reason=temperature") }
            }
            Self::Bypass(Bypass::Stateful) => const { HeaderValue::from_static("bypass; reason=stateful") },
            Self::Bypass(Bypass::NoScope) => const { HeaderValue::from_static("bypass; reason=no-scope") },
        }
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
