//! The keys of `[traces]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretText;
use crate::config::quantity::Span;

/// What is recorded of requests as traces, and where that goes. `OTEL_…` variables fill in what is not said.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Traces {
    /// The collector's base URL; by default `OTEL_EXPORTER_OTLP_ENDPOINT`. Without one nothing is recorded.
    #[schemars(extend("format" = "uri"))]
    pub(in crate::config) endpoint: Option<String>,
    /// How it is spoken to; by default gRPC on port 4317, HTTP on any other.
    pub(in crate::config) protocol: Option<Protocol>,
    /// Headers sent to it, credentials for example.
    pub(in crate::config) headers: BTreeMap<String, SecretText>,
    /// A PEM file of certificates trusted for it besides the system's. Relative to the configuration file.
    pub(in crate::config) ca_file: Option<String>,
    /// How long one request to it may take.
    pub(in crate::config) timeout: Span,
    /// Whether requests to it are compressed (gzip); by default where it is on another machine.
    pub(in crate::config) compress: Option<bool>,
    /// The share of requests that is recorded. A caller who says whether its trace is recorded decides for its own.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) ratio: f64,
    /// Requests that take as long are recorded in any case, as those are that fail.
    pub(in crate::config) slow: Span,
    /// This service's name.
    pub(in crate::config) service_name: String,
    /// What else describes it: resource attributes.
    pub(in crate::config) attributes: BTreeMap<String, String>,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            endpoint: None,
            protocol: None,
            headers: BTreeMap::new(),
            ca_file: None,
            timeout: Span::seconds(10),
            compress: None,
            ratio: 0.1,
            slow: Span::seconds(5),
            service_name: "tidegate".to_owned(),
            attributes: BTreeMap::new(),
        }
    }
}

/// OTLP's transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    Http,
}
