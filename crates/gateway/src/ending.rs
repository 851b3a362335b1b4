//! How one try at a provider ended: what it counts as, what was at fault, and whether another may help. What
//! is done about it is decided in `dispatch`; what a breaker or a limiter learns of it, in `protect`.

use crate::upstream::Error;
use ::http::StatusCode;
use measure::metrics::AttemptResult;
use std::time::Duration;

pub use guard::pattern::Kind as Fault;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How it is counted.
    pub result: AttemptResult,
    /// What was at fault on the provider's side; `None` where all was well, the request was at fault, or
    /// nobody wanted the answer any more.
    pub fault: Option<Fault>,
    /// How long the provider asks to be left alone.
    pub after: Option<Duration>,
}

/// Where another try may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Nowhere: the request itself is at fault.
    Nowhere,
    /// At another target: this one refuses us.
    Elsewhere,
    /// At another target or, a little later, at the same.
    Anywhere,
}

impl Ending {
    /// A good answer.
    pub const GOOD: Self = Self { result: AttemptResult::Ok, fault: None, after: None };
    /// Whoever asked has left.
    pub const CANCELLED: Self = Self { result: AttemptResult::Cancelled, fault: None, after: None };
    /// The provider answered, and the request was at fault.
    pub const REFUSED: Self = Self { result: AttemptResult::Refused, fault: None, after: None };
    /// The provider was not asked: we have as many connections open as we may. That says nothing of it.
    pub const STARVED: Self = Self { result: AttemptResult::Starved, fault: None, after: None };

    /// The provider was at fault.
    pub fn of(fault: Fault) -> Self {
        let result = match fault {
            Fault::Dns | Fault::Connect | Fault::Tls => AttemptResult::Unreachable,
            Fault::Timeout => AttemptResult::TimedOut,
            Fault::Cut => AttemptResult::Cut,
            Fault::RateLimited => AttemptResult::RateLimited,
            Fault::Credential | Fault::Quota => AttemptResult::Refused,
            Fault::Status | Fault::Overloaded | Fault::Nonsense => AttemptResult::Failed,
        };
        Self { result, fault: Some(fault), after: None }
    }

    /// There was no answer.
    pub fn unsent(error: &Error) -> Self {
        match error {
            Error::Unresolved(_) | Error::Forbidden { .. } => Self::of(Fault::Dns),
            Error::Unreachable(_) => Self::of(Fault::Connect),
            Error::ConnectTimeout => Self { result: AttemptResult::TimedOut, ..Self::of(Fault::Connect) },
            Error::Starved(_) => Self::STARVED,
            Error::Tls(_) => Self::of(Fault::Tls),
            Error::Cut(_) => Self::of(Fault::Cut),
            Error::TooLarge(_) => Self::of(Fault::Nonsense),
        }
    }

    /// The answer had this status, which is no success.
    pub fn status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 | 403 => Self::of(Fault::Credential),
            402 => Self::of(Fault::Quota),
            408 | 504 => Self::of(Fault::Timeout),
            429 => Self::of(Fault::RateLimited),
            503 | 529 => Self::of(Fault::Overloaded),
            400..=499 => Self::REFUSED,
            _ => Self::of(Fault::Status),
        }
    }

    /// With the provider's word on how long to wait.
    pub fn after(self, after: Option<Duration>) -> Self {
        Self { after, ..self }
    }

    /// Where another try may help.
    pub fn again(&self) -> Again {
        match self.fault {
            // It has waited its time here; another provider may have room.
            None if self.result == AttemptResult::Starved => Again::Elsewhere,
            None => Again::Nowhere,
            Some(Fault::Credential | Fault::Quota) => Again::Elsewhere,
            Some(_) => Again::Anywhere,
        }
    }

    /// Whether the provider may have taken the request up, and done and billed the work: it then must not be
    /// asked twice, unless the operator says that this does no harm. An error's status is a word that it has
    /// not, but for the two by which somebody on the way says that he has not heard.
    pub fn may_be_taken_up(&self) -> bool {
        matches!(self.fault, Some(Fault::Timeout | Fault::Cut | Fault::Nonsense))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Again, Ending, Fault};
    use crate::upstream::{Bound, Error};
    use ::http::StatusCode;

    #[test]
    fn another_try_is_made_only_where_it_may_help_and_does_no_harm() {
        let status = |code| Ending::status(StatusCode::from_u16(code).unwrap());
        for (ending, again, may_be_taken_up) in [
            (Ending::GOOD, Again::Nowhere, false),
            (status(400), Again::Nowhere, false),
            (status(422), Again::Nowhere, false),
            (status(401), Again::Elsewhere, false),
            (status(402), Again::Elsewhere, false),
            (status(429), Again::Anywhere, false),
            (status(500), Again::Anywhere, false),
            (status(503), Again::Anywhere, false),
            (status(529), Again::Anywhere, false),
            (status(504), Again::Anywhere, true),
            (status(408), Again::Anywhere, true),
            (status(302), Again::Anywhere, false),
            (Ending::unsent(&Error::ConnectTimeout), Again::Anywhere, false),
            (Ending::unsent(&Error::Unreachable(String::new())), Again::Anywhere, false),
            (Ending::unsent(&Error::Starved(Bound::Provider)), Again::Elsewhere, false),
            (Ending::unsent(&Error::Cut(String::new())), Again::Anywhere, true),
            (Ending::of(Fault::Nonsense), Again::Anywhere, true),
        ] {
            assert_eq!(ending.again(), again, "{ending:?}");
            assert_eq!(ending.may_be_taken_up(), may_be_taken_up, "{ending:?}");
        }
    }
}
