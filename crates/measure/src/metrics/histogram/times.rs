//! Histograms that are counted elsewhere and told as they are handed in: classic buckets alone.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Durations, by length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// Upper bounds of the buckets in seconds, ascending.
    pub bounds: &'static [f64],
    /// How many in each, not added up, and those beyond the last.
    pub buckets: Vec<u64>,
    /// All together, in seconds.
    pub sum: f64,
}

impl Times {
    /// As a histogram.
    pub(in crate::metrics) fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let uppers = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.buckets.iter().copied().chain(std::iter::repeat(0));
        let buckets: Vec<_> = uppers.zip(counts).collect();
        // From the same reading, so that the count is never less than its buckets.
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.sum, count, &buckets, None)
    }
}

/// A histogram that is counted elsewhere.
#[derive(Clone, Debug, Default)]
pub(in crate::metrics) struct ToldTimes(Arc<Mutex<Times>>);

impl ToldTimes {
    pub(in crate::metrics) fn set(&self, times: Times) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = times;
    }
}

impl TypedMetric for ToldTimes {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for ToldTimes {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).encode(&mut encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
