//! What protects the targets, as a scrape sees it: breakers, how many calls at once, who waits. The gauges are
//! filled when they are read; nothing here is touched by a request.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Whom a reading is of. The names are the configuration's, or `other`, or `*` for all of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
pub struct Guarded {
    /// The provider's name.
    pub provider: String,
    /// The model's.
    pub model: String,
    /// The operation's.
    pub operation: &'static str,
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Circuit {
    /// Calls go through.
    #[default]
    Closed = 0,
    /// A few do, on trial.
    HalfOpen = 1,
    /// None does.
    Open = 2,
}

/// What protects one target, or several that are shown as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The worst of their breakers.
    pub circuit: Circuit,
    /// Trips since they were last read.
    pub trips: u64,
    /// Who may call and who waits; `None` for a credential, which has neither.
    pub gate: Option<GateReading>,
}

/// Who may call, who does, and who waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateReading {
    /// Calls that may be under way; `None` where any number may.
    pub limit: Option<u64>,
    /// Calls under way.
    pub in_flight: u64,
    /// Who waits, in the order of [`BANDS`].
    pub waiting: [u64; BANDS.len()],
    /// Refused since they were last read, in the order of [`REFUSALS`].
    pub refused: [u64; REFUSALS.len()],
}

/// The bands of those who wait.
pub const BANDS: [&str; 4] = ["high", "normal", "low", "batch"];
/// Why somebody was refused: no place to wait, no time to, or dropped from a queue that stood.
pub const REFUSALS: [&str; 3] = ["full", "too_late", "dropped"];

impl Reading {
    /// Takes another into this one, so that both are shown as one.
    pub fn join(&mut self, other: Self) {
        self.circuit = self.circuit.max(other.circuit);
        self.trips += other.trips;
        match (&mut self.gate, other.gate) {
            (Some(own), Some(other)) => own.join(&other),
            (None, Some(other)) => self.gate = Some(other),
            (_, None) => {}
        }
    }
}

impl GateReading {
    fn join(&mut self, other: &Self) {
        self.limit = self.limit.zip(other.limit).map(|(own, other)| own.saturating_add(other));
        self.in_flight += other.in_flight;
        self.waiting.iter_mut().zip(other.waiting).for_each(|(own, other)| *own += other);
        self.refused.iter_mut().zip(other.refused).for_each(|(own, other)| *own += other);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queued {
    #[prometheus(flatten)]
    of: Guarded,
    band: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    #[prometheus(flatten)]
    of: Guarded,
    reason: &'static str,
}

/// The metrics of what protects the targets.
#[derive(Debug, Default)]
pub struct ProtectionMetrics {
    circuit: Family<Guarded, Gauge>,
    trips: Family<Guarded, Counter>,
    limit: Family<Guarded, Gauge>,
    in_flight: Family<Guarded, Gauge>,
    waiting: Family<Queued, Gauge>,
    refused: Family<Refused, Counter>,
}

impl ProtectionMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let state = "Breakers: 0 closed, 1 half open, 2 open";
        registry.register("tidegate_circuit_state", state, self.circuit.clone());
        registry.register("circuit_breaker_state", state, self.circuit.clone());
        registry.register("tidegate_circuit_trips", "How often breakers have opened", self.trips.clone());
        registry.register(
            "tidegate_concurrency_limit",
            "Calls that a target is given at once",
            self.limit.clone(),
        );
        registry.register(
            "tidegate_concurrency_in_flight",
            "Calls that a target is given now",
            self.in_flight.clone(),
        );
        registry.register(
            "tidegate_queue_waiting",
            "Requests that wait for a target, by band",
            self.waiting.clone(),
        );
        registry.register(
            "tidegate_queue_refused",
            "Requests that a target's queue did not take or keep",
            self.refused.clone(),
        );
    }

    /// Shows these readings and no others; what is counted goes on from what was. Whoever reads the metrics
    /// meanwhile may miss some: it is called by the scrape itself.
    pub fn show<'a>(&self, readings: impl IntoIterator<Item = (&'a Guarded, &'a Reading)>) {
        [&self.circuit, &self.limit, &self.in_flight].into_iter().for_each(Family::clear);
        self.waiting.clear();
        for (of, reading) in readings {
            self.circuit.get_or_create(of).set(reading.circuit as i64);
            self.trips.get_or_create(of).inc_by(reading.trips);
            if let Some(gate) = &reading.gate {
                self.show_gate(of, gate);
            }
        }
    }

    fn show_gate(&self, of: &Guarded, gate: &GateReading) {
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        if let Some(limit) = gate.limit {
            self.limit.get_or_create(of).set(gauge(limit));
        }
        self.in_flight.get_or_create(of).set(gauge(gate.in_flight));
        for (band, waiting) in BANDS.into_iter().zip(gate.waiting) {
            self.waiting.get_or_create(&Queued { of: of.clone(), band }).set(gauge(waiting));
        }
        for (reason, refused) in REFUSALS.into_iter().zip(gate.refused) {
            self.refused.get_or_create(&Refused { of: of.clone(), reason }).inc_by(refused);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Circuit, GateReading, Guarded, Reading};
    use crate::metrics::Metrics;
    use std::collections::BTreeMap;

    fn of(model: &str) -> Guarded {
        Guarded { provider: "p".into(), model: model.into(), operation: "chat" }
    }

    fn tripped(limit: Option<u64>) -> Reading {
        let gate = GateReading { limit, in_flight: 2, waiting: [0, 3, 0, 1], refused: [1, 0, 4] };
        Reading { circuit: Circuit::Open, trips: 1, gate: Some(gate) }
    }

    #[test]
    fn a_scrape_shows_what_there_is_and_goes_on_counting() {
        let metrics = Metrics::new("0", 2);
        let show = |readings: &BTreeMap<Guarded, Reading>| {
            metrics.protection.show(readings);
            metrics.encode().unwrap()
        };
        show(&BTreeMap::from([(of("m"), tripped(Some(8))), (of("n"), tripped(None))]));
        let text = show(&BTreeMap::from([(of("m"), tripped(Some(7)))]));
        let labels = r#"provider="p",model="m",operation="chat""#;
        for line in [
            format!("tidegate_circuit_state{{{labels}}} 2"),
            format!("circuit_breaker_state{{{labels}}} 2"),
            format!("tidegate_circuit_trips_total{{{labels}}} 2"),
            format!("tidegate_concurrency_limit{{{labels}}} 7"),
            format!("tidegate_concurrency_in_flight{{{labels}}} 2"),
            format!(r#"tidegate_queue_waiting{{{labels},band="normal"}} 3"#),
            format!(r#"tidegate_queue_refused_total{{{labels},reason="dropped"}} 8"#),
        ] {
            assert!(text.lines().any(|each| each == line), "{line} is not in\n{text}");
        }
        let gone = |line: &&str| line.contains(r#"model="n""#) && !line.contains("_total");
        assert_eq!(text.lines().find(gone), None);
    }

    #[test]
    fn the_worst_of_several_is_shown_and_their_sum() {
        let mut joined = Reading { circuit: Circuit::HalfOpen, trips: 2, gate: None };
        joined.join(tripped(Some(8)));
        joined.join(tripped(Some(4)));
        let gate = joined.gate.clone().unwrap();
        assert_eq!(
            (joined.circuit, joined.trips, gate.limit, gate.in_flight),
            (Circuit::Open, 4, Some(12), 4)
        );
        assert_eq!((gate.waiting, gate.refused), ([0, 6, 0, 2], [2, 0, 8]));
        joined.join(tripped(None));
        assert_eq!(joined.gate.unwrap().limit, None, "any number may call one of them");
    }
}
