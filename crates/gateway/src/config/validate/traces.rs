//! Traces: a collector that can be spoken to.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Judge;
use crate::config::base_url::BaseUrl;
use crate::config::environment::OTLP_TRACES_ENDPOINT;
use crate::config::quantity::Span;
use crate::config::raw;
use crate::config::tree::{Origin, Path};
use crate::config::{Collector, Secret, TraceProtocol, Traces};

/// Where a collector takes traces over HTTP.
const TRACES_PATH: &str = "/v1/traces";
/// The port by which gRPC is known.
const GRPC_PORT: u16 = 4317;
/// How long a request to the collector may take.
const TIMEOUT: RangeInclusive<Span> = Span(Duration::from_millis(10))..=Span::seconds(300);
/// From when on a request is slow.
const SLOW: RangeInclusive<Span> = Span(Duration::from_millis(1))..=Span::seconds(86_400);
/// Longest name of the service, key and value of an attribute, in bytes.
const TEXT_BYTES_MAX: usize = 1024;
/// Most attributes.
const ATTRIBUTES_MAX: usize = 64;

impl Judge<'_> {
    pub(super) fn traces(&mut self, raw: &raw::Traces) -> Traces {
        let at = Path::of(&["traces"]);
        if raw.service_name.is_empty() || raw.service_name.len() > TEXT_BYTES_MAX {
            let mend = format!("use 1 to {TEXT_BYTES_MAX} bytes");
            self.fault(&at.key("service_name"), "not a service's name", mend);
        }
        let attributes_at = at.key("attributes");
        if raw.attributes.len() > ATTRIBUTES_MAX {
            self.fault(&attributes_at, format!("more than {ATTRIBUTES_MAX} attributes"), "give fewer");
        }
        for (key, value) in &raw.attributes {
            if key.is_empty() || key.len() > TEXT_BYTES_MAX || value.len() > TEXT_BYTES_MAX {
                let mend = format!("use up to {TEXT_BYTES_MAX} bytes");
                self.fault(&attributes_at.key(key), "too long, or without a name", mend);
            }
        }
        Traces {
            collector: self.collector(&at, raw),
            ratio: raw.ratio,
            slow: self.duration(&at.key("slow"), raw.slow, SLOW),
            service_name: raw.service_name.clone(),
            attributes: raw.attributes.clone(),
        }
    }

    /// `None` where there is none, or its address is wrong, which has been told.
    fn collector(&mut self, at: &Path, raw: &raw::Traces) -> Option<Collector> {
        // Judged in any case: a fault should not wait for an address.
        let headers = self.trace_headers(&at.key("headers"), raw);
        let timeout = self.duration(&at.key("timeout"), raw.timeout, TIMEOUT);
        let ca_file = raw.ca_file.as_deref().map(|file| self.path(&at.key("ca_file"), file));
        if let Some(file) = &ca_file {
            self.certificates(&at.key("ca_file"), file);
        }
        let endpoint_at = at.key("endpoint");
        let given = raw.endpoint.as_deref().map(str::trim).filter(|given| !given.is_empty())?;
        let mut url = match BaseUrl::parse(given) {
            Ok(url) => BaseUrl { named_by_operator: true, ..url },
            Err(why) => {
                // Never quoted: a URL that is refused may hold a key.
                self.fault(&endpoint_at, why.to_string(), "write it as http://host:4317 or https://host");
                return None;
            }
        };
        if !url.https && !raw.headers.is_empty() && !url.is_loopback() {
            let mend = "use https:// unless the network between is yours alone";
            self.warn(&endpoint_at, "the headers are sent in clear text", mend);
        }
        let protocol = match raw.protocol {
            Some(raw::TraceProtocol::Grpc) => TraceProtocol::Grpc,
            Some(raw::TraceProtocol::Http) => TraceProtocol::Http,
            None if url.port == GRPC_PORT => TraceProtocol::Grpc,
            None => TraceProtocol::Http,
        };
        if protocol == TraceProtocol::Http && !self.is_whole(&endpoint_at, &url) {
            url.path.push_str(TRACES_PATH);
        }
        let gzip = raw.compress.unwrap_or(!url.is_loopback());
        Some(Collector { url, protocol, headers, ca_file, timeout, gzip })
    }

    /// Whether the address is the one that takes traces, and not the one beneath which that lies.
    fn is_whole(&self, at: &Path, url: &BaseUrl) -> bool {
        let origin = self.tree.nearest_origin(at);
        let is_signals_own = matches!(origin, Origin::Variable(name) if name == OTLP_TRACES_ENDPOINT);
        url.path.ends_with(TRACES_PATH) || (is_signals_own && !url.path.is_empty())
    }

    fn trace_headers(&mut self, at: &Path, raw: &raw::Traces) -> BTreeMap<String, Secret> {
        let headers = self.header_map(at, &raw.headers);
        headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()
    }
}
