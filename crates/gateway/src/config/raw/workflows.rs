//! The keys of `[workflows]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::quantity::Span;

/// What workflows may do.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Workflows {
    /// Hosts that `http` steps may call though their addresses are not public: `name` or `name:port`.
    pub(in crate::config) hosts: Vec<String>,
    /// How long runs that are over are kept.
    pub(in crate::config) keep: Span,
}

impl Default for Workflows {
    fn default() -> Self {
        Self { hosts: Vec::new(), keep: Span::seconds(30 * 86_400) }
    }
}
