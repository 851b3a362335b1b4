//! What is recorded of requests as traces, and where that goes, checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{BaseUrl, Secret};

/// Traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Where they go; `None`: none are recorded.
    pub collector: Option<Collector>,
    /// The share of requests that is recorded where their callers say nothing, 0 to 1.
    pub ratio: f64,
    /// Requests that take as long are recorded in any case.
    pub slow: Duration,
    /// This service's name.
    pub service_name: String,
    /// What else describes it (OpenTelemetry's resource attributes).
    pub attributes: BTreeMap<String, String>,
}

/// An OTLP collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Where it is; over HTTP the path is the whole one.
    pub url: BaseUrl,
    /// How it is spoken to.
    pub protocol: TraceProtocol,
    /// Headers sent to it, names in lower case.
    pub headers: BTreeMap<String, Secret>,
    /// Certificates trusted for it besides the system's; a PEM file that was readable.
    pub ca_file: Option<PathBuf>,
    /// How long one request to it may take.
    pub timeout: Duration,
    /// Whether requests are compressed.
    pub gzip: bool,
}

/// OTLP's transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceProtocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}
