//! What callers' requests show: how they ended, how long they took, and how much of it was ours.

use super::catalogue::Catalogue;
use super::histogram::{HistogramShard, Histograms, labels};
use super::labels::{OperationLabels, RequestLabels};
use super::sharded::{CounterShard, Counters, GaugeShard, Gauges, Shards};
use super::sums::Sums;
use prometheus_client::metrics::family::Family;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How a request ended, as `tidegate_requests_total{outcome}` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The caller has the whole answer.
    Ok,
    /// The request was at fault (4xx of our own or passed on from the provider).
    CallerError,
    /// The provider was at fault (502, 504, or a stream that was cut).
    ProviderError,
    /// We were at fault or overloaded (500, 503).
    GatewayError,
    /// The caller left before the end (recorded as 499).
    CallerLeft,
}

impl Outcome {
    /// Every outcome, in the order of their counters.
    pub const ALL: [Self; 5] =
        [Self::Ok, Self::CallerError, Self::ProviderError, Self::GatewayError, Self::CallerLeft];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::CallerError => "caller_error",
            Self::ProviderError => "provider_error",
            Self::GatewayError => "gateway_error",
            Self::CallerLeft => "caller_left",
        }
    }
}

/// One route's handles: an operation on one configured model or alias, or on `other`.
#[derive(Clone, Debug)]
pub struct RouteMetrics {
    requests: [CounterShard; Outcome::ALL.len()],
    duration: HistogramShard,
    overhead: HistogramShard,
    in_flight: GaugeShard,
}

impl RouteMetrics {
    /// A request begins.
    pub fn begins(&self) {
        self.in_flight.inc();
    }

    /// A request has ended of which no time says anything.
    pub fn ends_untimed(&self, outcome: Outcome) {
        self.in_flight.dec();
        self.requests[outcome as usize].inc();
    }

    /// A request has ended, for good or ill.
    pub fn ends(&self, outcome: Outcome, total: Duration, overhead: Duration) {
        self.ends_untimed(outcome);
        self.duration.observe(total.as_secs_f64());
        self.overhead.observe(overhead.as_secs_f64());
    }
}

/// What one route's requests have come to since the start, on all threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteReading {
    /// The operation.
    pub operation: &'static str,
    /// The model or alias, or `other`.
    pub model: String,
    /// Requests that have ended, in the order of [`Outcome::ALL`].
    pub ended: [u64; Outcome::ALL.len()],
    /// How long they took: how many in each of [`REQUEST_SECONDS`]' buckets, not added up, and beyond the last.
    pub durations: [u64; REQUEST_SECONDS.len() + 1],
}

/// The families of all routes.
#[derive(Debug)]
pub(super) struct Families {
    /// Handles of every route, to read them by; which thread's does not matter.
    known: Mutex<BTreeMap<(&'static str, String), RouteMetrics>>,
    requests: Counters<RequestLabels>,
    pub(super) duration: Histograms,
    /// The same durations as OpenTelemetry's conventions name them.
    gen_ai_duration: Histograms,
    pub(super) overhead: Histograms,
    in_flight: Gauges<OperationLabels>,
}

impl Families {
    pub(super) fn new(shards: Shards) -> Self {
        Self {
            known: Mutex::default(),
            requests: Family::new_with_constructor(shards),
            duration: Histograms::new(shards, &REQUEST_SECONDS),
            gen_ai_duration: Histograms::new(shards, &REQUEST_SECONDS),
            overhead: Histograms::new(shards, OVERHEAD_SECONDS),
            in_flight: Family::new_with_constructor(shards),
        }
    }

    pub(super) fn register(&self, catalogue: &mut Catalogue) {
        catalogue.registry.register(
            "tidegate_requests",
            "Requests by operation, model and how they ended",
            self.requests.clone(),
        );
        catalogue.durations(
            "http_request_duration",
            "From the request's first byte to the end of the answer",
            &self.duration,
        );
        catalogue.durations(
            "gen_ai_server_request_duration",
            "The same, by the names of OpenTelemetry's conventions",
            &self.gen_ai_duration,
        );
        catalogue.durations(
            "tidegate_overhead",
            "Our own time: the total less the union of the upstream calls",
            &self.overhead,
        );
        let in_flight = self.in_flight.clone();
        catalogue.registry.register("tidegate_requests_in_flight", "Requests under way", in_flight);
    }

    /// One thread's handles of one route.
    pub(super) fn route(&self, operation: &'static str, model: &str, shard: usize) -> RouteMetrics {
        let of = OperationLabels { operation };
        let duration = self.duration.of(labels([("operation", operation), ("model", model)]));
        let handles = RouteMetrics {
            requests: Outcome::ALL.map(|outcome| {
                let labels = RequestLabels { operation, model: model.to_owned(), outcome: outcome.name() };
                self.requests.get_or_create_owned(&labels).shard(shard)
            }),
            duration: duration.shard(shard),
            overhead: self.overhead.of(labels([("operation", operation)])).shard(shard),
            in_flight: self.in_flight.get_or_create_owned(&of).shard(shard),
        };
        let names = labels([("gen_ai_operation_name", operation), ("gen_ai_request_model", model)]);
        self.gen_ai_duration.show(names, duration);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((operation, model.to_owned()), handles.clone());
        handles
    }

    /// How every route stands.
    pub(super) fn readings(&self) -> Vec<RouteReading> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|((operation, model), handles)| handles.read(operation, model)).collect()
    }

    /// What all routes say together.
    pub(super) fn add_to(&self, sums: &mut Sums) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = None;
        for ((operation, _), route) in known.iter() {
            for (sum, requests) in sums.ended.iter_mut().zip(&route.requests) {
                *sum += requests.total();
            }
            // These are one for all routes of an operation.
            if before.replace(*operation) != Some(*operation) {
                sums.in_flight += route.in_flight.total();
            }
        }
    }
}

impl RouteMetrics {
    fn read(&self, operation: &'static str, model: &str) -> RouteReading {
        let mut durations = [0; REQUEST_SECONDS.len() + 1];
        durations.iter_mut().zip(self.duration.buckets()).for_each(|(into, count)| *into = count);
        let ended = Outcome::ALL.map(|outcome| self.requests[outcome as usize].total());
        RouteReading { operation, model: model.to_owned(), ended, durations }
    }
}

/// 10 µs … 50 ms and beyond: the range in which a gateway's own time is good, tolerable or bad.
const OVERHEAD_SECONDS: &[f64] =
    &[10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3];

/// The GenAI conventions' bounds for an operation's duration: 0.01 × 2ⁿ up to 81.92 s.
pub const REQUEST_SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Outcome;
    use crate::metrics::Metrics;
    use std::time::Duration;

    #[test]
    fn a_request_shows_under_its_configured_labels() {
        let metrics = Metrics::new("1.2.3", 2);
        let route = metrics.shard(0).route("chat", "smart");
        route.begins();
        route.begins();
        route.ends(Outcome::CallerLeft, Duration::from_millis(30), Duration::from_micros(40));
        let text = metrics.encode().unwrap();
        for line in [
            r#"tidegate_build_info{version="1.2.3"} 1"#,
            r#"tidegate_requests_total{operation="chat",model="smart",outcome="caller_left"} 1"#,
            r#"tidegate_requests_total{operation="chat",model="smart",outcome="ok"} 0"#,
            r#"tidegate_requests_in_flight{operation="chat"} 1"#,
            r#"tidegate_overhead_seconds_bucket{le="0.00005",operation="chat"} 1"#,
            r#"http_request_duration_seconds_count{operation="chat",model="smart"} 1"#,
            r#"gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_request_model="smart"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_route_is_read_over_all_its_shards() {
        let metrics = Metrics::new("0", 2);
        for (shard, outcome, ms) in
            [(0, Outcome::Ok, 5), (1, Outcome::Ok, 700), (1, Outcome::GatewayError, 5)]
        {
            metrics.shard(shard).route("chat", "m").ends(outcome, Duration::from_millis(ms), Duration::ZERO);
        }
        let [reading] = &metrics.routes()[..] else { panic!("one route") };
        assert_eq!(
            (reading.operation, reading.model.as_str(), reading.ended),
            ("chat", "m", [2, 0, 0, 1, 0])
        );
        assert_eq!((reading.durations[0], reading.durations[7], reading.durations.iter().sum()), (2, 1, 3));
    }
}
