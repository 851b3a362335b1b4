//! What becomes of the traces that are recorded.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Why a trace that was to be exported was not, as `tidegate_traces_dropped_total{reason}` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// As many wait as may.
    Full,
    /// The collector does not take it.
    Refused,
    /// The collector did not answer in time, as often as it was tried.
    Unreachable,
    /// The process has left.
    Leaving,
}

impl Dropped {
    /// Every reason, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::Full, Self::Refused, Self::Unreachable, Self::Leaving];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Leaving => "leaving",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

/// The counters of traces. Copies count together.
#[derive(Clone, Debug)]
pub struct TraceMetrics {
    exported: Counter,
    family: Family<ByReason, Counter>,
    dropped: [Counter; Dropped::ALL.len()],
}

impl Default for TraceMetrics {
    fn default() -> Self {
        let family = Family::<ByReason, Counter>::default();
        let dropped =
            Dropped::ALL.map(|reason| family.get_or_create_owned(&ByReason { reason: reason.name() }));
        Self { exported: Counter::default(), family, dropped }
    }
}

impl TraceMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "tidegate_traces_exported",
            "Traces that the collector has taken",
            self.exported.clone(),
        );
        registry.register(
            "tidegate_traces_dropped",
            "Traces that were recorded and did not get to the collector, by why",
            self.family.clone(),
        );
    }

    /// The collector has so many more.
    pub fn exported(&self, traces: usize) {
        self.exported.inc_by(traces as u64);
    }

    /// So many were dropped.
    pub fn dropped(&self, reason: Dropped, traces: usize) {
        self.dropped[reason as usize].inc_by(traces as u64);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Dropped;
    use crate::metrics::Metrics;

    #[test]
    fn a_scrape_tells_what_became_of_them() {
        let metrics = Metrics::new("0", 1);
        metrics.traces.exported(3);
        metrics.traces.clone().dropped(Dropped::Full, 2);
        let text = metrics.encode().unwrap();
        for line in [
            "tidegate_traces_exported_total 3",
            r#"tidegate_traces_dropped_total{reason="full"} 2"#,
            r#"tidegate_traces_dropped_total{reason="unreachable"} 0"#,
        ] {
            assert!(text.lines().any(|each| each == line), "{line} is not in\n{text}");
        }
    }
}
