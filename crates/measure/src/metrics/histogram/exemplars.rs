//! Of each bucket, the trace of one request that is in it: from a figure to what made it.
//!
//! They are told by whoever takes traces to a collector, and never on a request's own path.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// A value that was observed, and the trace that it comes of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The trace.
    pub trace_id: u128,
    /// The value.
    pub value: f64,
    /// When it was observed.
    pub at: SystemTime,
}

impl Exemplar {
    /// Under this label the trace is named.
    pub const LABEL: &str = "trace_id";

    /// The trace's name, as tracing systems have it.
    pub fn trace(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

/// The newest of each classic bucket, by the bucket's number.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<BTreeMap<usize, Exemplar>>);

impl Exemplars {
    /// Keeps this one unless there is a newer one.
    pub(super) fn note(&self, bucket: usize, exemplar: Exemplar) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = kept.entry(bucket).or_insert(exemplar);
        if newest.at < exemplar.at {
            *newest = exemplar;
        }
    }

    pub(super) fn read(&self) -> BTreeMap<usize, Exemplar> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use std::time::Duration;

    #[test]
    fn the_newest_of_each_bucket_is_kept() {
        let exemplars = Exemplars::default();
        let of = |trace_id, second| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            Exemplar { trace_id, value: 0.5, at }
        };
        for (bucket, trace_id, second) in [(0, 1, 5), (1, 2, 5), (0, 3, 7), (0, 4, 6), (1, 5, 8)] {
            exemplars.note(bucket, of(trace_id, second));
        }
        assert_eq!(exemplars.read(), [(0, of(3, 7)), (1, of(5, 8))].into());
    }
}
