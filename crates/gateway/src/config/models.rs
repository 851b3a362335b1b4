//! Aliases, checked: what a name leads to, in which order, and how it is protected.

use std::time::Duration;

use super::{AliasCache, ProviderTimeouts, Rates, Strategy};

/// A name for one target or several.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// At least one, and at least one of a weight above zero.
    pub targets: Vec<AliasTarget>,
    /// Who is asked when none of the targets answers, in this order; none of them is among the targets, and
    /// none is named twice.
    pub fallback: Vec<Fallback>,
    /// How one of several targets is chosen.
    pub balance: Balance,
    /// Whether a conversation stays with its target while that is healthy.
    pub affinity: bool,
    /// What its targets' breakers trip on; `None`: what their providers say.
    pub strategy: Option<Strategy>,
    /// What all callers together may use of it.
    pub rates: Rates,
    /// What it changes of its providers' deadlines.
    pub timeouts: AliasTimeouts,
    /// Whether a slow attempt is asked a second time elsewhere.
    pub hedge: bool,
    /// How it is tried again.
    pub retry: AliasRetry,
    /// What of its answers is remembered.
    pub cache: AliasCache,
    /// Embedding requests sent several in one; `None`: as their provider says.
    pub coalesce: Option<Coalesce>,
    /// Whether its lines of batches are run by the provider's own batch API where that costs less; every target's
    /// provider has one then.
    pub batch_at_provider: bool,
}

/// Embedding requests that wait for each other, to be sent as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coalesce {
    /// The longest that one waits for others, a few milliseconds; zero: none does.
    pub wait: Duration,
    /// Most inputs of one joint request; at least two.
    pub items: usize,
    /// Most tokens of one joint request, as they are estimated.
    pub tokens: u64,
}

/// One target of an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasTarget {
    /// A provider that exists.
    pub provider: String,
    /// The model's name as that provider knows it.
    pub model: String,
    /// Its share among the alias' targets; zero takes it out.
    pub weight: u32,
    /// Its group: one is asked while no target of a lower one is healthy.
    pub priority: u32,
}

/// A model to fall back on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// A provider that exists.
    pub provider: String,
    /// The model's name as that provider knows it.
    pub model: String,
}

/// How one of several healthy targets is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// By their weights.
    Weights,
    /// The less busy and quicker of two drawn by weight.
    LeastLoaded,
}

/// What an alias changes of its providers' deadlines; `None`: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AliasTimeouts {
    /// As [`ProviderTimeouts::first_token`].
    pub first_token: Option<Duration>,
    /// As [`ProviderTimeouts::between_tokens`].
    pub between_tokens: Option<Duration>,
    /// As [`ProviderTimeouts::total`].
    pub total: Option<Duration>,
}

impl AliasTimeouts {
    /// A provider's deadlines with these changes.
    #[must_use]
    pub fn over(&self, provider: ProviderTimeouts) -> ProviderTimeouts {
        ProviderTimeouts {
            connect: provider.connect,
            first_token: self.first_token.unwrap_or(provider.first_token),
            between_tokens: self.between_tokens.unwrap_or(provider.between_tokens),
            total: self.total.unwrap_or(provider.total),
        }
    }
}

/// How an alias is tried again: its own word, or what holds for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasRetry {
    /// As [`Retry::tries`](super::Retry::tries).
    pub tries: u32,
    /// As [`Retry::accepted`](super::Retry::accepted).
    pub accepted: bool,
}
