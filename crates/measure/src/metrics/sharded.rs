//! Counters, gauges and histograms in shards, one a thread, added up when they are read.
//!
//! A counter that two cores increment is a cache line that travels between them with every request.
//! Here each thread has a line of its own, and a scrape, which comes a few times a minute, pays for
//! the sum.

use super::jobs::Times;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

pub(super) type Counters<L> = Family<L, Counter, Shards>;
pub(super) type Gauges<L> = Family<L, Gauge, Shards>;
pub(super) type Histograms<L> = Family<L, Histogram, Bounds>;

/// Makes metrics of so many shards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shards(pub(super) usize);

/// Makes histograms of so many shards with these upper bounds, ascending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds(pub(super) Shards, pub(super) &'static [f64]);

impl Shards {
    fn make<T: Default>(self) -> Arc<[Line<T>]> {
        (0..self.0.max(1)).map(|_| Line::default()).collect()
    }
}

/// A value on a cache line of its own. Two, as processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line<T>(T);

/// A counter over all shards.
#[derive(Clone, Debug)]
pub(super) struct Counter(Arc<[Line<AtomicU64>]>);

/// One thread's part of a counter.
#[derive(Clone, Debug)]
pub(super) struct CounterShard(Arc<[Line<AtomicU64>]>, usize);

impl Counter {
    pub(super) fn shard(&self, index: usize) -> CounterShard {
        CounterShard(Arc::clone(&self.0), index % self.0.len())
    }

    /// All threads' parts.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|shard| shard.0.load(Relaxed)).sum()
    }
}

impl CounterShard {
    pub(super) fn inc(&self) {
        self.inc_by(1);
    }

    pub(super) fn inc_by(&self, by: u64) {
        self.0[self.1].0.fetch_add(by, Relaxed);
    }

    /// All threads' parts.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|shard| shard.0.load(Relaxed)).sum()
    }
}

impl MetricConstructor<Counter> for Shards {
    fn new_metric(&self) -> Counter {
        Counter(self.make())
    }
}

impl TypedMetric for Counter {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for Counter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, _, u64>(&self.total(), None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// A gauge over all shards.
#[derive(Clone, Debug)]
pub(super) struct Gauge(Arc<[Line<AtomicI64>]>);

/// One thread's part of a gauge. It may be negative: only the sum means anything.
#[derive(Clone, Debug)]
pub(super) struct GaugeShard(Arc<[Line<AtomicI64>]>, usize);

impl Gauge {
    pub(super) fn shard(&self, index: usize) -> GaugeShard {
        GaugeShard(Arc::clone(&self.0), index % self.0.len())
    }

    /// All threads' parts.
    pub(super) fn total(&self) -> i64 {
        self.0.iter().map(|shard| shard.0.load(Relaxed)).sum()
    }
}

impl GaugeShard {
    pub(super) fn inc(&self) {
        self.0[self.1].0.fetch_add(1, Relaxed);
    }

    pub(super) fn dec(&self) {
        self.0[self.1].0.fetch_sub(1, Relaxed);
    }

    /// All threads' parts.
    pub(super) fn total(&self) -> i64 {
        self.0.iter().map(|shard| shard.0.load(Relaxed)).sum()
    }
}

impl MetricConstructor<Gauge> for Shards {
    fn new_metric(&self) -> Gauge {
        Gauge(self.make())
    }
}

impl TypedMetric for Gauge {
    const TYPE: MetricType = MetricType::Gauge;
}

impl EncodeMetric for Gauge {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.total())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// A histogram over all shards.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    shards: Arc<[Line<Counts>]>,
}

#[derive(Debug, Default)]
struct Counts {
    /// The sum of what was observed, an `f64` by its bits.
    sum: AtomicU64,
    /// Observations by bound, and those beyond the last.
    buckets: Box<[AtomicU64]>,
}

/// One thread's part of a histogram.
#[derive(Clone, Debug)]
pub(super) struct HistogramShard(Histogram, usize);

impl Histogram {
    pub(super) fn shard(&self, index: usize) -> HistogramShard {
        HistogramShard(self.clone(), index % self.shards.len())
    }

    /// What all threads have observed.
    pub(super) fn read(&self) -> Times {
        let counts = || self.shards.iter().map(|shard| &shard.0);
        let bucket = |at: usize| counts().map(|counts| counts.buckets[at].load(Relaxed)).sum();
        Times {
            bounds: self.bounds,
            buckets: (0..=self.bounds.len()).map(bucket).collect(),
            sum: counts().map(|counts| f64::from_bits(counts.sum.load(Relaxed))).sum(),
        }
    }
}

impl HistogramShard {
    pub(super) fn observe(&self, value: f64) {
        let Histogram { bounds, shards } = &self.0;
        let counts = &shards[self.1].0;
        // As many buckets as bounds and one more: the index is in bounds for every value.
        counts.buckets[bounds.partition_point(|bound| *bound < value)].fetch_add(1, Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let _ = counts.sum.fetch_update(Relaxed, Relaxed, add);
    }

    /// How many values all threads have observed, by bound, and beyond the last.
    pub(super) fn buckets(&self) -> Vec<u64> {
        let Histogram { bounds, shards } = &self.0;
        let sum = |at: usize| shards.iter().map(|shard| shard.0.buckets[at].load(Relaxed)).sum();
        (0..=bounds.len()).map(sum).collect()
    }

    /// How many values all threads have observed.
    pub(super) fn count(&self) -> u64 {
        self.0.shards.iter().flat_map(|shard| shard.0.buckets.iter()).map(|bucket| bucket.load(Relaxed)).sum()
    }
}

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        let buckets = || (0..=self.1.len()).map(|_| AtomicU64::new(0)).collect();
        let line = |_| Line(Counts { sum: AtomicU64::new(0), buckets: buckets() });
        Histogram { bounds: self.1, shards: (0..self.0.0.max(1)).map(line).collect() }
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.read().encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
