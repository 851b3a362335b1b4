//! How the files that the system lets a process open are shared out: each connection is one. What callers'
//! connections leave is for those to providers, unless the configuration says otherwise.

use super::raw;

/// For everything that is no connection of a request's: listeners, the log, the cache's disk and Redis.
const OTHERS: u64 = 256;
/// As many are allowed at least; where the system does not, it is told.
const LEAST: u64 = 16;
/// More cannot be open from one address of ours to one of a provider's: each takes a port.
const UPSTREAM_MAX: u32 = 65_536;

impl raw::File {
    /// Fills in how many connections to providers may be open, in all and to each, where nobody said. Of
    /// `open_files` that may be open, callers' connections never take so many that less than a third is left.
    pub(super) fn share_out(&mut self, open_files: Option<u64>) {
        let server = &mut self.server;
        let upstream = *server.upstream_connections_max.get_or_insert_with(|| {
            let left = open_files.unwrap_or(u64::MAX).saturating_sub(OTHERS);
            let share = left.saturating_sub(server.connections_max.into()).max(left / 3).max(LEAST);
            u32::try_from(share).unwrap_or(UPSTREAM_MAX).min(UPSTREAM_MAX)
        });
        for provider in self.providers.values_mut() {
            provider.connections.max.get_or_insert(upstream);
        }
    }
}

/// A number that [`raw::File::share_out`] has filled in where it was not given.
pub(super) fn given(max: Option<u32>) -> usize {
    max.unwrap_or(UPSTREAM_MAX) as usize
}

/// How many files are needed where all connections of both sides are open.
pub(super) fn needed(callers: usize, upstream: usize) -> u64 {
    (callers as u64).saturating_add(upstream as u64).saturating_add(OTHERS)
}
