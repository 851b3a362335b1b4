//! The keys of `[limits]`, and of what keys, aliases and providers say of rates and priorities.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What tenants may use.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Limits {
    /// Whether replicas count together, through the cache's Redis; where there is none each counts alone.
    pub(in crate::config) shared: bool,
    /// By tenant, as callers' keys name it.
    pub(in crate::config) tenants: BTreeMap<String, Allowance>,
    /// For each tenant that is not named.
    #[serde(rename = "default")]
    pub(in crate::config) fallback: Allowance,
}

impl Default for Limits {
    fn default() -> Self {
        Self { shared: true, tenants: BTreeMap::new(), fallback: Allowance::default() }
    }
}

/// What a tenant may use; by default anything.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Allowance {
    /// Most requests a minute.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(in crate::config) requests_per_minute: Option<u64>,
    /// Most tokens a minute, read and written.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub(in crate::config) tokens_per_minute: Option<u64>,
    /// Most requests under way at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) concurrent_requests: Option<u32>,
    /// Most streams under way at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) concurrent_streams: Option<u32>,
}

/// What all callers together may use of an alias or a provider; by default anything.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Rates {
    /// Most requests a minute.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(in crate::config) requests_per_minute: Option<u64>,
    /// Most tokens a minute, read and written.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub(in crate::config) tokens_per_minute: Option<u64>,
}

/// Who goes first where requests wait.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Priority {
    /// Before all others.
    High,
    /// What is not said otherwise.
    #[default]
    Normal,
    /// After those.
    Low,
    /// When nobody else waits; with a concurrency of its own.
    Batch,
}
