//! A histogram under a second name and other labels, for readers of another convention. It is the same histogram:
//! what is observed is observed once.

use crate::metrics::sharded::Histogram;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Histograms of another family, by the labels that they have here.
#[derive(Clone, Debug)]
pub struct SecondName<L>(Arc<Mutex<BTreeMap<L, Histogram>>>);

impl<L> Default for SecondName<L> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<L: Ord> SecondName<L> {
    /// Shows this histogram under these labels as well.
    pub fn name(&self, labels: L, histogram: Histogram) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(labels, histogram);
    }
}

impl<L: EncodeLabelSet> EncodeMetric for SecondName<L> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        named.iter().try_for_each(|(labels, histogram)| histogram.encode(encoder.encode_family(labels)?))
    }

    fn metric_type(&self) -> MetricType {
        Histogram::TYPE
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
