//! What is done later, as a scrape sees it: who waits and how long, how it went, how long it took. All of it is
//! counted elsewhere and handed in when it is read.

use super::histogram::{Times, ToldTimes};
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How the work stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Whether the store answers.
    pub store_up: bool,
    /// Who waits, or is under way.
    pub depths: Vec<Depth>,
    /// The queues' workers here.
    pub workers: Vec<Workers>,
    /// Attempts by how they ended, since the start.
    pub ended: BTreeMap<&'static str, u64>,
    /// Attempts that failed, by class, since the start.
    pub failed: BTreeMap<String, u64>,
    /// Leases taken back from the dead, since the start.
    pub reaped: u64,
    /// Batches that are not over, by state.
    pub batches: Vec<(&'static str, u64)>,
    /// Lines of batches by how they ended, since the start.
    pub lines: BTreeMap<&'static str, u64>,
    /// What was handed to providers' own batch APIs, by what became of it, since the start.
    pub provider_batches: BTreeMap<&'static str, u64>,
    /// Lines that providers' own batch APIs have answered and that could not be counted, since the start.
    pub provider_lines_uncounted: u64,
    /// How long claims took.
    pub claims: Times,
    /// How long jobs waited for their first attempt.
    pub waits: Times,
    /// How long attempts took.
    pub runs: Times,
}

/// One queue's jobs in one state.
#[derive(Clone, Debug, PartialEq)]
pub struct Depth {
    /// The queue.
    pub queue: String,
    /// The state.
    pub state: &'static str,
    /// How many.
    pub count: u64,
    /// For how many seconds the oldest has been ready.
    pub oldest_seconds: Option<f64>,
}

/// One queue's workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// The queue.
    pub queue: String,
    /// How many there are.
    pub all: u32,
    /// How many are busy.
    pub busy: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    queue: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InBatchState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InQueue {
    queue: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByClass {
    class: String,
}

/// The metrics of what is done later.
#[derive(Debug, Default)]
pub struct JobMetrics {
    store_up: Gauge,
    depth: Family<InState, Gauge>,
    oldest: Family<InState, Gauge<f64, AtomicU64>>,
    workers: Family<InQueue, Gauge>,
    busy: Family<InQueue, Gauge>,
    ended: Family<ByOutcome, Told>,
    failed: Family<ByClass, Told>,
    reaped: Told,
    batches: Family<InBatchState, Gauge>,
    lines: Family<ByOutcome, Told>,
    provider_batches: Family<ByOutcome, Told>,
    provider_lines_uncounted: Told,
    claims: ToldTimes,
    waits: ToldTimes,
    runs: ToldTimes,
}

impl JobMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "tidegate_store_up",
            "Whether the database answers, or is not needed yet",
            self.store_up.clone(),
        );
        registry.register("tidegate_jobs", "Jobs that are not over, by queue and state", self.depth.clone());
        registry.register_with_unit(
            "tidegate_jobs_oldest",
            "For how long the oldest job of a queue and state has been ready",
            Unit::Seconds,
            self.oldest.clone(),
        );
        registry.register("tidegate_jobs_workers", "Workers of a queue here", self.workers.clone());
        registry.register("tidegate_jobs_workers_busy", "Those that have a job", self.busy.clone());
        registry.register("tidegate_jobs_attempts", "Attempts at jobs by how they ended", self.ended.clone());
        registry.register("tidegate_jobs_failures", "Attempts that failed, by class", self.failed.clone());
        registry.register("tidegate_jobs_reaped", "Leases that nobody had renewed", self.reaped.clone());
        registry.register("tidegate_batches", "Batches that are not over, by state", self.batches.clone());
        registry.register("tidegate_batch_lines", "Lines of batches by how they ended", self.lines.clone());
        registry.register(
            "tidegate_provider_batches",
            "Batches at providers' own batch APIs: sent, fetched, or returned to be asked line by line",
            self.provider_batches.clone(),
        );
        registry.register(
            "tidegate_provider_batch_lines_uncounted",
            "Lines that providers' own batch APIs have answered and whose use and cost could not be counted",
            self.provider_lines_uncounted.clone(),
        );
        for (name, help, times) in [
            ("tidegate_jobs_claim", "How long it takes to claim jobs", &self.claims),
            ("tidegate_jobs_wait", "How long jobs wait for their first attempt", &self.waits),
            ("tidegate_jobs_run", "How long attempts take", &self.runs),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, times.clone());
        }
    }

    /// Shows this reading. It is called by the scrape itself.
    pub fn show(&self, reading: Reading) {
        self.store_up.set(reading.store_up.into());
        self.depth.clear();
        self.oldest.clear();
        for Depth { queue, state, count, oldest_seconds } in reading.depths {
            let of = InState { queue, state };
            self.depth.get_or_create(&of).set(i64::try_from(count).unwrap_or(i64::MAX));
            if let Some(seconds) = oldest_seconds {
                self.oldest.get_or_create(&of).set(seconds);
            }
        }
        for Workers { queue, all, busy } in reading.workers {
            let of = InQueue { queue };
            self.workers.get_or_create(&of).set(all.into());
            self.busy.get_or_create(&of).set(busy.into());
        }
        for (outcome, count) in reading.ended {
            self.ended.get_or_create(&ByOutcome { outcome }).set(count);
        }
        for (class, count) in reading.failed {
            self.failed.get_or_create(&ByClass { class }).set(count);
        }
        self.reaped.set(reading.reaped);
        for (state, count) in reading.batches {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.batches.get_or_create(&InBatchState { state }).set(count);
        }
        for (outcome, count) in reading.lines {
            self.lines.get_or_create(&ByOutcome { outcome }).set(count);
        }
        for (outcome, count) in reading.provider_batches {
            self.provider_batches.get_or_create(&ByOutcome { outcome }).set(count);
        }
        self.provider_lines_uncounted.set(reading.provider_lines_uncounted);
        self.claims.set(reading.claims);
        self.waits.set(reading.waits);
        self.runs.set(reading.runs);
    }
}

/// A counter that is counted elsewhere.
#[derive(Clone, Debug, Default)]
struct Told(Arc<AtomicU64>);

impl Told {
    fn set(&self, count: u64) {
        self.0.store(count, Relaxed);
    }
}

impl TypedMetric for Told {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for Told {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, _, u64>(&self.0.load(Relaxed), None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Depth, Reading, Times, Workers};
    use crate::metrics::Metrics;

    #[test]
    fn a_scrape_shows_how_the_work_stands() {
        let metrics = Metrics::new("0", 1);
        assert!(metrics.encode().unwrap().contains("tidegate_store_up 0\n"), "before anything is known");
        let depth = |state, oldest_seconds| Depth { queue: "q".into(), state, count: 3, oldest_seconds };
        let reading = Reading {
            store_up: true,
            depths: vec![depth("ready", Some(1.5)), depth("running", None)],
            workers: vec![Workers { queue: "q".into(), all: 8, busy: 2 }],
            ended: [("done", 5)].into(),
            failed: [("timeout".to_owned(), 2)].into(),
            reaped: 1,
            batches: vec![("in_progress", 2)],
            lines: [("completed", 40)].into(),
            provider_batches: [("sent", 3)].into(),
            provider_lines_uncounted: 4,
            runs: Times { bounds: &[0.1, 1.0], buckets: vec![1, 2, 4], sum: 9.5 },
            ..Reading::default()
        };
        metrics.jobs.show(reading.clone());
        metrics.jobs.show(Reading { depths: vec![depth("ready", None)], ..reading });
        let text = metrics.encode().unwrap();
        for line in [
            "tidegate_store_up 1",
            r#"tidegate_jobs{queue="q",state="ready"} 3"#,
            r#"tidegate_jobs_workers{queue="q"} 8"#,
            r#"tidegate_jobs_workers_busy{queue="q"} 2"#,
            r#"tidegate_jobs_attempts_total{outcome="done"} 5"#,
            r#"tidegate_jobs_failures_total{class="timeout"} 2"#,
            "tidegate_jobs_reaped_total 1",
            r#"tidegate_batches{state="in_progress"} 2"#,
            r#"tidegate_batch_lines_total{outcome="completed"} 40"#,
            r#"tidegate_provider_batches_total{outcome="sent"} 3"#,
            "tidegate_provider_batch_lines_uncounted_total 4",
            r#"tidegate_jobs_run_seconds_bucket{le="1.0"} 3"#,
            "tidegate_jobs_run_seconds_count 7",
            "tidegate_jobs_claim_seconds_count 0",
        ] {
            assert!(text.lines().any(|each| each == line), "{line} is not in\n{text}");
        }
        assert!(
            !text.contains(r#"state="running""#) && !text.contains("oldest_seconds{"),
            "what was is gone"
        );
    }
}
