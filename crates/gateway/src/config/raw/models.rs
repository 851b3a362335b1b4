//! The keys of `[models]`: aliases.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AliasCache, Rates};
use crate::config::quantity::Span;

/// An alias.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["targets"]))]
pub(in crate::config) struct Alias {
    /// What it stands for; with several, each gets its weight's share of the requests.
    #[schemars(length(min = 1, max = 64))]
    pub(in crate::config) targets: Vec<Target>,
    /// Who is asked when none of the targets answers: `provider/model`, in this order.
    #[schemars(length(max = 64))]
    pub(in crate::config) fallback: Vec<String>,
    /// How one of several targets is chosen.
    pub(in crate::config) balance: Balance,
    /// Whether a conversation stays with its target while that is healthy: providers remember what they have
    /// read.
    pub(in crate::config) affinity: bool,
    /// What its targets' breakers trip on: a preset, or a strategy of `[guard.strategies]`; by default what
    /// their providers say.
    pub(in crate::config) strategy: Option<String>,
    /// What all callers together may use of it.
    pub(in crate::config) limits: Rates,
    /// Deadlines that are not as their providers have them.
    pub(in crate::config) timeouts: AliasTimeouts,
    /// Whether a slow attempt is asked a second time elsewhere; by default as `guard.hedge.enabled`.
    pub(in crate::config) hedge: Option<bool>,
    /// How it is tried again, where that is not as in `[guard.retry]`.
    pub(in crate::config) retry: AliasRetry,
    /// What of its answers is remembered.
    pub(in crate::config) cache: AliasCache,
    /// Whether embedding requests are sent several in one; by default as their provider says.
    pub(in crate::config) coalesce: Option<Coalesce>,
    /// Who runs its lines of batches.
    pub(in crate::config) batch: BatchWay,
}

impl Default for Alias {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            fallback: Vec::new(),
            balance: Balance::Weights,
            affinity: true,
            strategy: None,
            limits: Rates::default(),
            timeouts: AliasTimeouts::default(),
            hedge: None,
            retry: AliasRetry::default(),
            cache: AliasCache::default(),
            coalesce: None,
            batch: BatchWay::Gateway,
        }
    }
}

/// Who runs an alias' lines of batches.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum BatchWay {
    /// The gateway asks each by itself.
    #[default]
    Gateway,
    /// Its first target's provider, by its own batch API, where that costs less.
    Provider,
}

/// Embedding requests that wait for each other, to be sent as one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Coalesce {
    /// The longest that one waits for others; zero: none does.
    pub(in crate::config) wait: Span,
    /// Most inputs of one joint request.
    #[schemars(range(min = 2, max = 2048))]
    pub(in crate::config) items: u32,
    /// Most tokens of one joint request, as they are estimated.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) tokens: u32,
}

impl Default for Coalesce {
    fn default() -> Self {
        Self { wait: Span(Duration::from_millis(3)), items: 64, tokens: 16_000 }
    }
}

/// A target of an alias.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["model"]))]
pub(in crate::config) struct Target {
    /// `provider/model`.
    pub(in crate::config) model: Option<String>,
    /// Its share; zero takes it out.
    #[schemars(range(max = 1_000_000))]
    pub(in crate::config) weight: u32,
    /// Its group: asked while no target of a lower one is healthy.
    #[schemars(range(max = 1000))]
    pub(in crate::config) priority: u32,
}

impl Default for Target {
    fn default() -> Self {
        Self { model: None, weight: 1, priority: 0 }
    }
}

/// How one of several targets is chosen.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Balance {
    /// By their weights.
    #[default]
    Weights,
    /// The less busy and quicker of two drawn by weight.
    LeastLoaded,
}

/// What an alias changes of its providers' deadlines.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct AliasTimeouts {
    /// From the request sent to the first token.
    pub(in crate::config) first_token: Option<Span>,
    /// Between two tokens of a stream.
    pub(in crate::config) between_tokens: Option<Span>,
    /// For the whole answer.
    pub(in crate::config) total: Option<Span>,
}

/// What an alias changes of `[guard.retry]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct AliasRetry {
    /// Attempts in all, over all targets.
    #[schemars(range(min = 1, max = 10))]
    pub(in crate::config) tries: Option<u32>,
    /// Whether to try again even where the provider may have accepted the first attempt.
    pub(in crate::config) accepted: Option<bool>,
}
