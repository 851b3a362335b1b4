//! Counters and gauges in shards, one a thread, added up when they are read; for histograms see
//! [`histogram`](super::histogram).
//!
//! A counter that two cores increment is a cache line that travels between them with every request.
//! Here each thread has a line of its own, and a scrape, which comes a few times a minute, pays for
//! the sum.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

pub(super) type Counters<L> = Family<L, Counter, Shards>;
pub(super) type Gauges<L> = Family<L, Gauge, Shards>;

/// Makes metrics of so many shards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shards(pub(super) usize);

impl Shards {
    /// Values of so many shards.
    pub(super) fn make<T: Default>(self) -> Arc<[Line<T>]> {
        (0..self.0.max(1)).map(|_| Line::default()).collect()
    }
}

/// A value on a cache line of its own. Two, as processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Line<T>(pub(super) T);

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
