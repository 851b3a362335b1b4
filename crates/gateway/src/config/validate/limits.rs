//! Limits: for tenants that there can be. The amounts' ranges are the schema's.

use super::Judge;
use super::keys::{TENANT_MEND, is_tenant};
use crate::config::raw;
use crate::config::tree::Path;
use crate::config::{Limits, Priority, Rates};

impl Judge<'_> {
    pub(super) fn limits(&mut self, raw: &raw::Limits, keys: &[raw::Key]) -> Limits {
        let at = Path::of(&["limits", "tenants"]);
        for name in raw.tenants.keys() {
            let at = at.key(name);
            if !is_tenant(name) {
                self.fault_of_key(&at, "this is not a tenant's name", TENANT_MEND);
            } else if !keys.iter().any(|key| key.tenant.as_ref() == Some(name)) {
                let what = "it limits nobody: no key of this file belongs to this tenant";
                self.warn(&at, what, "check the name, or give a key `tenant`, here or in the store");
            }
        }
        Limits {
            shared: raw.shared,
            tenants: raw.tenants.iter().map(|(name, raw)| (name.clone(), allowance(raw))).collect(),
            default: allowance(&raw.fallback),
        }
    }
}

fn allowance(raw: &raw::Allowance) -> Rates {
    Rates {
        requests_per_minute: raw.requests_per_minute,
        tokens_per_minute: raw.tokens_per_minute,
        concurrent_requests: raw.concurrent_requests,
        concurrent_streams: raw.concurrent_streams,
    }
}

/// What an alias or a provider allows.
pub(super) fn rates(raw: &raw::Rates) -> Rates {
    Rates {
        requests_per_minute: raw.requests_per_minute,
        tokens_per_minute: raw.tokens_per_minute,
        ..Rates::default()
    }
}

/// What a key allows.
pub(super) fn key_rates(raw: &raw::Key) -> Rates {
    Rates {
        requests_per_minute: raw.requests_per_minute,
        tokens_per_minute: raw.tokens_per_minute,
        concurrent_requests: raw.concurrent_requests,
        concurrent_streams: raw.concurrent_streams,
    }
}

pub(super) fn priority(raw: raw::Priority) -> Priority {
    match raw {
        raw::Priority::High => Priority::High,
        raw::Priority::Normal => Priority::Normal,
        raw::Priority::Low => Priority::Low,
        raw::Priority::Batch => Priority::Batch,
    }
}
