//! The keys of `[observe]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::quantity::{Size, Span};

/// What is seen of requests. Nothing of what they say is in it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Observe {
    /// Whether requests are looked at: live figures, the requests that are kept, a line for each slow one.
    pub(in crate::config) enabled: bool,
    /// A request that takes longer is slow: it is told in the log, and kept for longer.
    pub(in crate::config) slow: Span,
    /// How many of the newest requests are kept, with where their time went. Where more come in a second than the larger of
    /// that and 2,000, it is every so many-th, and all that were slow or failed.
    #[schemars(range(max = 100_000))]
    pub(in crate::config) requests: u32,
    /// How many slow ones are kept besides.
    #[schemars(range(max = 100_000))]
    pub(in crate::config) requests_slow: u32,
    /// How many are kept besides that a provider or the gateway failed.
    #[schemars(range(max = 100_000))]
    pub(in crate::config) requests_failed: u32,
    /// What all that are kept may take in memory.
    pub(in crate::config) requests_bytes_max: Size,
    /// What the figures of the last day may take in memory; a change holds from the next start.
    pub(in crate::config) figures_bytes_max: Size,
    /// Days of which the figures are kept by the minute, in `history` in the data folder; 0: none. A change holds
    /// from the next start.
    #[schemars(range(max = 366))]
    pub(in crate::config) history_days: u16,
    /// What they may take on disk.
    pub(in crate::config) history_bytes_max: Size,
}

impl Default for Observe {
    fn default() -> Self {
        Self {
            enabled: true,
            slow: Span::seconds(5),
            requests: 2000,
            requests_slow: 500,
            requests_failed: 500,
            requests_bytes_max: Size(4 << 20),
            figures_bytes_max: Size(8 << 20),
            history_days: 30,
            history_bytes_max: Size(512 << 20),
        }
    }
}
