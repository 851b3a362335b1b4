//! Workflows, as a scrape sees them: how many runs are in each state, and how long what steps do takes. It is counted
//! elsewhere and handed in when it is read.

use super::histogram::{Times, ToldTimes};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// The metrics of workflows.
#[derive(Debug, Default)]
pub struct WorkflowMetrics {
    runs: Family<InState, Gauge>,
    steps: Family<OfKind, ToldTimes>,
}

impl WorkflowMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("tidegate_workflow_runs", "Runs of workflows by state", self.runs.clone());
        registry.register_with_unit(
            "tidegate_workflow_step",
            "How long what steps and items do takes, by kind",
            Unit::Seconds,
            self.steps.clone(),
        );
    }

    /// Shows this reading: runs by state, and durations by kind of step. It is called by the scrape itself.
    pub fn show(&self, runs: Vec<(&'static str, u64)>, steps: Vec<(&'static str, Times)>) {
        for (state, count) in runs {
            self.runs.get_or_create(&InState { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for (kind, times) in steps {
            self.steps.get_or_create(&OfKind { kind }).set(times);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use crate::metrics::Metrics;
    use crate::metrics::Times;

    #[test]
    fn a_scrape_shows_runs_and_steps() {
        let metrics = Metrics::new("0", 1);
        let times = Times { bounds: &[0.1], buckets: vec![1, 2], sum: 2.5 };
        metrics.workflows.show(vec![("running", 3), ("done", 0)], vec![("model", times)]);
        metrics.workflows.show(vec![("running", 2)], Vec::new());
        let text = metrics.encode().unwrap();
        for line in [
            r#"tidegate_workflow_runs{state="running"} 2"#,
            r#"tidegate_workflow_runs{state="done"} 0"#,
            r#"tidegate_workflow_step_seconds_bucket{le="0.1",kind="model"} 1"#,
            r#"tidegate_workflow_step_seconds_count{kind="model"} 3"#,
        ] {
            assert!(text.lines().any(|each| each == line), "{line} is not in\n{text}");
        }
    }
}
