//! What can go wrong with a call, and what that says.

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The name was not resolved.
    Dns,
    /// No connection came about.
    Connect,
    /// The handshake failed.
    Tls,
    /// No answer in time.
    Timeout,
    /// The answer broke off.
    Cut,
    /// An answer of 5xx.
    Status,
    /// 429: too many calls.
    RateLimited,
    /// 503 or 529: the provider takes no more for now.
    Overloaded,
    /// 401 or 403: the credential is not accepted.
    Credential,
    /// 402, or a 429 that says so: the credential has no budget left.
    Quota,
    /// An answer that makes no sense.
    Nonsense,
}

/// Whose a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The model's, or that of the provider behind it.
    Model,
    /// The model's, but it may work for the next call.
    Load,
    /// The credential's.
    Credential,
}

impl Kind {
    /// Every kind, in the order in which they are counted.
    pub const ALL: [Self; 11] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Cut,
        Self::Status,
        Self::RateLimited,
        Self::Overloaded,
        Self::Credential,
        Self::Quota,
        Self::Nonsense,
    ];

    pub(super) fn blame(self) -> Blame {
        match self {
            Self::RateLimited | Self::Credential | Self::Quota => Blame::Credential,
            Self::Overloaded => Blame::Load,
            _ => Blame::Model,
        }
    }

    /// Whether the provider was not even reached.
    pub(super) fn is_unreached(self) -> bool {
        matches!(self, Self::Dns | Self::Connect | Self::Tls)
    }

    /// Whether the provider answered, be it with an error. A time-out says neither.
    pub(super) fn is_answer(self) -> bool {
        !self.is_unreached() && self != Self::Timeout
    }

    /// In words, for after "fails with".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Dns => "DNS errors",
            Self::Connect => "connection errors",
            Self::Tls => "TLS errors",
            Self::Timeout => "time-outs",
            Self::Cut => "answers cut short",
            Self::Status => "5xx",
            Self::RateLimited => "429",
            Self::Overloaded => "overload",
            Self::Credential => "refused credentials",
            Self::Quota => "exhausted quotas",
            Self::Nonsense => "answers that make no sense",
        }
    }
}
