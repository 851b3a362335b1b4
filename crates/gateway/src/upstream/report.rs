//! How a provider's connections stand, and what should be set otherwise.

use super::room::{Bound, Waits};
use crate::config::Connections;
use measure::metrics::PoolTotals;
use std::time::Duration;

/// How one provider's connections stand, over all workers.
#[derive(Clone, Debug)]
pub struct PoolReport {
    /// The provider's name.
    pub provider: String,
    /// HTTP/1.1 connections that lie idle.
    pub idle: usize,
    /// All others that are open or being opened, an HTTP/2 connection among them also while it is idle.
    pub busy: usize,
    /// Requests that wait for a connection now.
    pub waiting: usize,
    /// Most that may be open.
    pub max: usize,
    /// The most that were open at once, of the last five to ten minutes.
    pub most: usize,
    /// What has been counted since the process began.
    pub totals: PoolTotals,
    /// How long ago the provider's name was resolved.
    pub dns_age: Option<Duration>,
    /// What should be set otherwise, in words; `None` where all is well.
    pub advice: Option<String>,
}

/// What has happened in the last minutes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    /// Connections opened.
    pub(super) opened: u64,
    /// Requests that found one.
    pub(super) reused: u64,
    /// Connections closed because as many lay idle as may.
    pub(super) crowded: u64,
    /// Requests that had to wait.
    pub(super) waits: Waits,
    /// The most that were open at once.
    pub(super) most: usize,
    /// The most requests that waited at once.
    pub(super) most_waiting: usize,
}

/// Uses of a connection before which its reuse says nothing.
const ENOUGH: u64 = 100;
/// Uses of a connection before which a bound is not called too large.
const PLENTY: u64 = 1000;
/// A bound as low as this is never called too large.
const SMALL: usize = 16;

impl Recent {
    /// What to change, if anything; the gravest first. `all_max` is the bound of all providers' connections.
    pub(super) fn advice(&self, settings: &Connections, all_max: usize) -> Option<String> {
        self.starved(settings, all_max)
            .or_else(|| self.reopened(settings))
            .or_else(|| self.oversized(settings, all_max))
    }

    fn starved(&self, settings: &Connections, all_max: usize) -> Option<String> {
        let Waits { provider, all } = self.waits;
        let (bound, max, others) = match all > provider {
            true => (Bound::All, all_max, "all providers"),
            false => (Bound::Provider, settings.max, "this provider"),
        };
        let (waits, at_once, key) = (provider + all, self.most_waiting, bound.key());
        let enough = (max + at_once.max(1)).next_power_of_two();
        (waits > 0).then(|| {
            format!(
                "{waits} requests had to wait for a connection, up to {at_once} at once: raise `{key}` ({max}) to \
                 {enough}, as far as the limit on open files allows, or ask {others} for less at once"
            )
        })
    }

    fn reopened(&self, settings: &Connections) -> Option<String> {
        let Self { opened, reused, crowded, .. } = *self;
        let uses = opened + reused;
        if uses < ENOUGH || opened * 4 < uses {
            return None;
        }
        let share = format!("{opened} of {uses} requests needed a new connection");
        Some(match crowded * 2 > opened {
            true => format!(
                "{share}, while others were closed: raise `connections.per_host` ({})",
                settings.per_host
            ),
            false => format!(
                "{share}: raise `connections.warm` ({}) if the load comes in bursts; if it does not, the provider \
                 closes connections after use, or callers leave before their answers end",
                settings.warm
            ),
        })
    }

    /// Where a provider has a bound of its own.
    fn oversized(&self, settings: &Connections, all_max: usize) -> Option<String> {
        let Self { opened, reused, most, .. } = *self;
        if settings.max >= all_max {
            return None;
        }
        let ample = (most * 4).next_power_of_two().max(SMALL);
        (opened + reused >= PLENTY && most * 10 < settings.max && ample < settings.max).then(|| {
            let max = settings.max;
            format!("never more than {most} of {max} were open: `connections.max` may be lowered to {ample}")
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Recent;
    use crate::config::Connections;
    use crate::upstream::room::Waits;
    use std::time::Duration;

    #[test]
    fn a_pool_that_is_too_small_or_too_large_says_what_to_set() {
        let settings = Connections { max: 1024, per_host: 256, idle: Duration::from_secs(90), warm: 2 };
        let well = Recent { opened: 200, reused: 4000, most: 200, ..Recent::default() };
        for (recent, advice) in [
            (Recent::default(), None),
            (well, None),
            (
                Recent { waits: Waits { provider: 9, all: 0 }, most_waiting: 5, ..well },
                Some("up to 5 at once: raise `connections.max` (1024) to 2048"),
            ),
            (
                Recent { waits: Waits { provider: 1, all: 2 }, most_waiting: 3, ..well },
                Some(
                    "3 requests had to wait for a connection, up to 3 at once: raise `server.upstream_connections_max` (4000) to 4096",
                ),
            ),
            (Recent { opened: 98, reused: 1, ..well }, None),
            (Recent { opened: 99, reused: 1, ..well }, Some("raise `connections.warm` (2)")),
            (
                Recent { opened: 99, reused: 1, crowded: 60, ..well },
                Some("raise `connections.per_host` (256)"),
            ),
            (
                Recent { most: 102, ..well },
                Some("never more than 102 of 1024 were open: `connections.max` may be lowered to 512"),
            ),
            (Recent { most: 1, ..well }, Some("lowered to 16")),
            (Recent { most: 1, opened: 1, reused: 900, ..well }, None),
        ] {
            let given = recent.advice(&settings, 4000);
            let is_it = match advice {
                None => given.is_none(),
                Some(part) => given.as_ref().is_some_and(|given| given.contains(part)),
            };
            assert!(is_it, "{given:?} instead of {advice:?}");
        }
    }
}
