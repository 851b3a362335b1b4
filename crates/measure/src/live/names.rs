//! What is measured, of whom, and over how long.

use super::detail::SLOT_MS;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A duration that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// From the request's arrival to the end of its answer.
    Total,
    /// Of that, our own time: see [`stopwatch`](crate::stopwatch).
    Overhead,
    /// To the first token.
    FirstToken,
    /// From one token to the next.
    BetweenTokens,
    /// Of a look-up in the cache, all tiers.
    Cache,
    /// Of one call to somebody else: a provider, a database.
    External,
}

impl Figure {
    /// Every figure, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Total, Self::Overhead, Self::FirstToken, Self::BetweenTokens, Self::Cache, Self::External];

    /// As it is called in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Overhead => "overhead",
            Self::FirstToken => "first_token",
            Self::BetweenTokens => "between_tokens",
            Self::Cache => "cache",
            Self::External => "external",
        }
    }
}

/// Of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Of all requests.
    All,
    /// Of those on one route.
    Route,
    /// Of those that one target answered.
    Target,
    /// Of those with one key.
    Key,
    /// Of those for one alias.
    Alias,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::All, Self::Route, Self::Target, Self::Key, Self::Alias];

    /// As it is called in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Route => "route",
            Self::Target => "target",
            Self::Key => "key",
            Self::Alias => "alias",
        }
    }
}

/// The time before now that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Window {
    /// Ten seconds.
    #[serde(rename = "10s")]
    S10,
    /// A minute.
    #[serde(rename = "1m")]
    M1,
    /// Ten minutes.
    #[serde(rename = "10m")]
    M10,
    /// An hour.
    #[serde(rename = "1h")]
    H1,
    /// A day.
    #[serde(rename = "24h")]
    H24,
}

impl Window {
    /// Every window, the shortest first.
    pub const ALL: [Self; 5] = [Self::S10, Self::M1, Self::M10, Self::H1, Self::H24];

    /// As it is called in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S10 => "10s",
            Self::M1 => "1m",
            Self::M10 => "10m",
            Self::H1 => "1h",
            Self::H24 => "24h",
        }
    }

    /// How long it is.
    #[must_use]
    pub fn length(self) -> Duration {
        Duration::from_millis(u64::from(self.slots()) * SLOT_MS)
    }

    /// The same in slots.
    pub(super) fn slots(self) -> u32 {
        match self {
            Self::S10 => 5,
            Self::M1 => 30,
            Self::M10 => 300,
            Self::H1 => 1800,
            Self::H24 => 43_200,
        }
    }

    /// How many slots a step of its chart has.
    pub(super) fn step(self) -> u32 {
        match self {
            Self::S10 | Self::M1 => 1,
            Self::M10 => 5,
            Self::H1 => 30,
            Self::H24 => 300,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Figure, Kind, Window};
    use serde_json::json;

    #[test]
    fn names_are_those_of_the_json() {
        for figure in Figure::ALL {
            assert_eq!(serde_json::to_value(figure).unwrap(), json!(figure.name()));
        }
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.name()));
        }
        for window in Window::ALL {
            assert_eq!(serde_json::from_value::<Window>(json!(window.name())).unwrap(), window);
        }
    }

    #[test]
    fn the_numbers_of_figures_and_kinds_are_their_places() {
        assert!(Figure::ALL.iter().enumerate().all(|(index, figure)| *figure as usize == index));
        assert!(Kind::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
    }
}
