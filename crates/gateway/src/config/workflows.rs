//! What workflows may do here, checked.

use std::time::Duration;

use super::BaseUrl;

/// What workflows may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflows {
    /// Hosts that `http` steps may call though their addresses are not public.
    pub hosts: Vec<NamedHost>,
    /// How long runs that are over are kept.
    pub keep: Duration,
}

/// A host that the operator has named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedHost {
    /// A name in lower case, or an address; IPv6 without its brackets.
    pub host: String,
    /// At this port alone; `None`: at any.
    pub port: Option<u16>,
}

impl Workflows {
    /// Whether the operator has named the host of this address.
    #[must_use]
    pub fn names(&self, url: &BaseUrl) -> bool {
        let is_it =
            |named: &NamedHost| named.host == url.host && named.port.is_none_or(|port| port == url.port);
        self.hosts.iter().any(is_it)
    }
}
