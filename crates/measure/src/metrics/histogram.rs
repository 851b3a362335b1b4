//! Histograms in shards, one a thread, of which two kinds of buckets are told: classic ones, whose bounds we choose,
//! and Prometheus' [`native`] ones, which are exponential and many.
//!
//! A value is counted once, in a cell of a [`layout`] of which buckets of both kinds are made when they are read: a
//! request pays for one kind only, and their counts agree at every moment. A shard's cells, some two kilobytes, are
//! made when it is first observed in: most operations are never asked of most models.

mod exemplars;
mod layout;
pub mod native;
mod times;

pub(super) use exemplars::Exemplar;
pub use times::Times;
pub(super) use times::ToldTimes;

use super::sharded::{Line, Shards};
use exemplars::Exemplars;
use layout::Layout;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Names and values, in the order in which they are told. None of them can carry what a caller sent.
pub(super) type Labels = Vec<(&'static str, String)>;

/// A label set.
pub(super) fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// The histograms of one name, by their labels. Copies are the same.
#[derive(Clone, Debug)]
pub(super) struct Histograms {
    shards: Shards,
    layout: Arc<Layout>,
    by_labels: Arc<Mutex<BTreeMap<Labels, Histogram>>>,
}

/// A histogram over all shards. Copies are the same.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    layout: Arc<Layout>,
    shards: Arc<[Line<Counts>]>,
    exemplars: Arc<Exemplars>,
}

#[derive(Debug, Default)]
struct Counts {
    /// The sum of what was observed, an `f64` by its bits.
    sum: AtomicU64,
    /// Observations by cell.
    cells: OnceLock<Box<[AtomicU64]>>,
}

/// One thread's part of a histogram.
#[derive(Clone, Debug)]
pub(super) struct HistogramShard(Histogram, usize);

/// What all threads have observed, at one moment.
#[derive(Debug)]
pub(super) struct Reading {
    layout: Arc<Layout>,
    cells: Vec<u64>,
    /// The sum of all values.
    pub(super) sum: f64,
    /// Of each classic bucket, by its number, a value of late whose request was traced.
    pub(super) exemplars: BTreeMap<usize, Exemplar>,
}

impl Histograms {
    /// None yet; classic buckets have these upper bounds, ascending.
    pub(super) fn new(shards: Shards, bounds: &'static [f64]) -> Self {
        Self { shards, layout: Arc::new(Layout::new(bounds)), by_labels: Arc::default() }
    }

    /// The one with these labels; made where there is none.
    pub(super) fn of(&self, labels: Labels) -> Histogram {
        let make = || Histogram::new(self.shards, &self.layout);
        self.lock().entry(labels).or_insert_with(make).clone()
    }

    /// The one with these labels, if there is one.
    pub(super) fn find(&self, labels: &Labels) -> Option<Histogram> {
        self.lock().get(labels).cloned()
    }

    /// Shows another family's histogram under these labels as well, for readers of another convention. What is
    /// observed is observed once.
    pub(super) fn show(&self, labels: Labels, histogram: Histogram) {
        self.lock().insert(labels, histogram);
    }

    /// What all of them have observed, by their labels.
    pub(super) fn read(&self) -> Vec<(Labels, Reading)> {
        self.lock().iter().map(|(labels, histogram)| (labels.clone(), histogram.read())).collect()
    }

    /// The exemplars of those that have any, by their labels and the bounds of their buckets.
    pub(super) fn exemplars(&self) -> Vec<(Labels, Vec<(f64, Exemplar)>)> {
        let all = self.lock();
        let all = all.iter().map(|(labels, histogram)| (labels.clone(), histogram.exemplars()));
        all.filter(|(_, exemplars)| !exemplars.is_empty()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Labels, Histogram>> {
        self.by_labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Histogram {
    fn new(shards: Shards, layout: &Arc<Layout>) -> Self {
        Self { layout: Arc::clone(layout), shards: shards.make(), exemplars: Arc::default() }
    }

    /// One by itself.
    pub(super) fn alone(shards: Shards, bounds: &'static [f64]) -> Self {
        Self::new(shards, &Arc::new(Layout::new(bounds)))
    }

    pub(super) fn shard(&self, index: usize) -> HistogramShard {
        HistogramShard(self.clone(), index % self.shards.len())
    }

    /// A value that was observed comes of this trace.
    pub(super) fn exemplify(&self, exemplar: Exemplar) {
        self.exemplars.note(self.layout.classic_bucket(exemplar.value), exemplar);
    }

    /// What all threads have observed.
    pub(super) fn read(&self) -> Reading {
        let sums = self.shards.iter().map(|shard| f64::from_bits(shard.0.sum.load(Relaxed)));
        Reading {
            layout: Arc::clone(&self.layout),
            cells: self.cells(),
            sum: sums.sum(),
            exemplars: self.exemplars.read(),
        }
    }

    fn exemplars(&self) -> Vec<(f64, Exemplar)> {
        let bounds = self.layout.bounds();
        let bound = |bucket: usize| bounds.get(bucket).copied().unwrap_or(f64::INFINITY);
        let kept = self.exemplars.read().into_iter();
        kept.map(|(bucket, exemplar)| (bound(bucket), exemplar)).collect()
    }

    fn cells(&self) -> Vec<u64> {
        let mut sums = vec![0; self.layout.cells()];
        for cells in self.shards.iter().filter_map(|shard| shard.0.cells.get()) {
            sums.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += cell.load(Relaxed));
        }
        sums
    }
}

impl HistogramShard {
    #[inline]
    pub(super) fn observe(&self, value: f64) {
        let Histogram { layout, shards, .. } = &self.0;
        let counts = &shards[self.1].0;
        let cells = counts.cells.get_or_init(|| (0..layout.cells()).map(|_| AtomicU64::new(0)).collect());
        cells[layout.cell(value)].fetch_add(1, Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let _ = counts.sum.fetch_update(Relaxed, Relaxed, add);
    }

    /// How many values all threads have observed, by bound, and beyond the last.
    pub(super) fn buckets(&self) -> Vec<u64> {
        self.0.layout.classic(&self.0.cells())
    }

    /// How many values all threads have observed.
    pub(super) fn count(&self) -> u64 {
        self.0.cells().iter().sum()
    }
}

impl Reading {
    /// How many values there were.
    pub(super) fn count(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// The upper bounds of the classic buckets, beyond the last infinity, and how many values each holds, not added
    /// up.
    pub(super) fn classic(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.layout.bounds().iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.layout.classic(&self.cells))
    }

    /// How many values the zero bucket holds, and each native one.
    pub(super) fn native(&self) -> (u64, native::Buckets) {
        self.layout.native(&self.cells)
    }

    /// The classic buckets alone.
    pub(super) fn times(&self) -> Times {
        let (bounds, buckets) = (self.layout.bounds(), self.layout.classic(&self.cells));
        Times { bounds, buckets, sum: self.sum }
    }
}

impl EncodeMetric for Histograms {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.lock().iter().try_for_each(|(labels, histogram)| {
            let times = histogram.read().times();
            if labels.is_empty() {
                times.encode(&mut encoder)
            } else {
                times.encode(&mut encoder.encode_family(labels)?)
            }
        })
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn both_kinds_of_buckets_are_told_of_all_shards() {
        let histograms = Histograms::new(Shards(2), &[0.1, 1.0]);
        let made = histograms.of(labels([("model", "m")]));
        for (shard, value) in [(0, 0.05), (1, 0.05), (1, 1.0), (0, 7.0), (3, 0.0)] {
            made.shard(shard).observe(value);
        }
        let [(labels, reading)] = &histograms.read()[..] else { panic!("one histogram") };
        assert_eq!(labels, &[("model", "m".to_owned())]);
        assert_eq!((reading.count(), reading.sum), (5, 8.1));
        let classic: Vec<_> = reading.classic().collect();
        assert_eq!(classic, [(0.1, 3), (1.0, 1), (f64::INFINITY, 1)]);
        let (zeros, native) = reading.native();
        // 0.05 is in (2^(-35/8), 2^(-34/8)], 1 in the bucket it is the bound of, 7 in (2^(22/8), 2^(23/8)].
        let counts = [(-34, 2), (0, 1), (23, 1)];
        assert_eq!((zeros, native), (1, native::Buckets::of(counts)));
    }

    #[test]
    fn what_is_shown_twice_is_counted_once() {
        let (one, other) = (Histograms::new(Shards(1), &[1.0]), Histograms::new(Shards(1), &[1.0]));
        other.show(labels([("b", "x")]), one.of(labels([("a", "x")])));
        one.find(&labels([("a", "x")])).unwrap().shard(0).observe(0.5);
        for histograms in [one, other] {
            assert_eq!(histograms.read().iter().map(|(_, reading)| reading.count()).collect::<Vec<_>>(), [1]);
        }
    }

    #[test]
    fn a_shard_that_nobody_observes_in_takes_little() {
        let made = Histogram::alone(Shards(2), &[1.0]);
        made.shard(1).observe(0.5);
        let is_made: Vec<_> = made.shards.iter().map(|shard| shard.0.cells.get().is_some()).collect();
        assert_eq!(is_made, [false, true]);
    }
}
