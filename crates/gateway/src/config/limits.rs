//! What callers may use, checked: rates, slots at once, and priorities.

use std::collections::BTreeMap;

/// What tenants may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether replicas count together, through the cache's Redis; where there is none each counts alone.
    pub shared: bool,
    /// By tenant.
    pub tenants: BTreeMap<String, Rates>,
    /// For each tenant that is not named.
    pub default: Rates,
}

impl Limits {
    /// What a tenant may use; `None`: whoever belongs to none.
    #[must_use]
    pub fn of(&self, tenant: Option<&str>) -> &Rates {
        tenant.and_then(|tenant| self.tenants.get(tenant)).unwrap_or(&self.default)
    }
}

/// How much of something is allowed; `None`: as much as is asked for. None of them is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, read and written.
    pub tokens_per_minute: Option<u64>,
    /// Requests under way at once. Of keys and tenants only.
    pub concurrent_requests: Option<u32>,
    /// Streams under way at once. Of keys and tenants only.
    pub concurrent_streams: Option<u32>,
}

impl Rates {
    /// Whether nothing is limited, so that nothing need be counted.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// Who goes first where requests wait. The order is that of service: high before normal before low before
/// batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
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

impl Priority {
    /// Every one, first served first.
    pub const ALL: [Self; 4] = [Self::High, Self::Normal, Self::Low, Self::Batch];

    /// The name as the file and requests spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
            Self::Batch => "batch",
        }
    }

    /// The one of this name, in whatever case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.name().eq_ignore_ascii_case(name))
    }

    /// This one, brought down to `ceiling` if it is above.
    #[must_use]
    pub fn under(self, ceiling: Self) -> Self {
        self.max(ceiling)
    }
}
