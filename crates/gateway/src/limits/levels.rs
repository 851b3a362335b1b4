//! How a caller stands with its limits.

use super::account::{Line, Measure};
use crate::http::ratelimit;
use guard::quota::Level;
use http::HeaderMap;

/// The caller's own limits, of key and tenant, whichever leaves less. What it shares with other callers is
/// not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Requests a minute.
    pub requests: Option<Level>,
    /// Tokens a minute.
    pub tokens: Option<Level>,
}

impl Levels {
    /// Takes in how one line stands.
    pub(super) fn add(&mut self, line: &Line, level: Level) {
        let level = Level { limit: line.limit(), ..level };
        let told = match line.measure {
            Measure::Requests => &mut self.requests,
            _ => &mut self.tokens,
        };
        if line.scope.is_callers() && told.is_none_or(|told| level.remaining < told.remaining) {
            *told = Some(level);
        }
    }

    /// Writes `x-ratelimit-limit-requests` and its like, as far as there are limits.
    pub fn write(&self, headers: &mut HeaderMap) {
        if let Some(level) = self.requests {
            ratelimit::requests(headers, level);
        }
        if let Some(level) = self.tokens {
            ratelimit::tokens(headers, level);
        }
    }
}
