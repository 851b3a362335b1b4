//! The keys of `[advice]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an operator might change, from what was seen of requests. Nothing of what they say is kept for it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Advice {
    /// Whether advice is given; it needs `observe.enabled`, too.
    pub(in crate::config) enabled: bool,
    /// The fewest requests within the hour that anything is concluded from.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) requests_min: u64,
}

impl Default for Advice {
    fn default() -> Self {
        Self { enabled: true, requests_min: 200 }
    }
}
