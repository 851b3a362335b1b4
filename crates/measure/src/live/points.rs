//! A figure or the rates over time, step by step, as a chart draws them.

use super::quantiles::{Quantiles, milliseconds};
use super::rates::{Rates, per_second};
use super::slot::Sums;
use serde::Serialize;
use std::time::Duration;

/// One step of a figure's chart. A step in which nothing was recorded has none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// When the step began, in milliseconds since 1970.
    pub at_ms: u64,
    /// How long it is, or has been so far if it is the last.
    #[serde(rename = "span_ms", serialize_with = "milliseconds")]
    pub span: Duration,
    /// Samples a second.
    pub rate: f64,
    /// How long they took.
    #[serde(flatten)]
    pub quantiles: Quantiles,
}

/// One step of a chart of rates. A step in which nothing ended has none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatePoint {
    /// When the step began, in milliseconds since 1970.
    pub at_ms: u64,
    /// What was counted, over how long.
    #[serde(flatten)]
    pub rates: Rates,
}

impl Point {
    pub(super) fn of(at_ms: u64, span: Duration, sums: &Sums) -> Self {
        let quantiles = Quantiles::of(sums);
        Self { at_ms, span, rate: per_second(quantiles.count, span), quantiles }
    }
}

impl RatePoint {
    pub(super) fn of(at_ms: u64, span: Duration, sums: &Sums) -> Self {
        Self { at_ms, rates: Rates::of(sums, span) }
    }
}

/// Adds slots up into steps. Slots come in the order of time; one that is longer than a step is a step by
/// itself, as where in it something happened is not known any more.
pub(super) struct Steps<F> {
    length: u32,
    open: Option<(u32, u32)>,
    sums: Sums,
    close: F,
}

impl<F: FnMut(u32, u32, &Sums)> Steps<F> {
    /// Every step, of this length, is handed to `close`: its start, its length and what it holds.
    pub(super) fn new(length: u32, close: F) -> Self {
        Self { length: length.max(1), open: None, sums: Sums::new(), close }
    }

    pub(super) fn add(&mut self, start: u32, length: u32, pairs: impl Iterator<Item = (u16, u64)>) {
        let step =
            if length > self.length { (start, length) } else { (start - start % self.length, self.length) };
        if self.open != Some(step) {
            self.finish();
            self.open = Some(step);
        }
        self.sums.add(pairs);
    }

    /// Hands out the last step.
    pub(super) fn finish(&mut self) {
        if let Some((start, length)) = self.open.take() {
            (self.close)(start, length, &self.sums);
        }
        self.sums.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Point, RatePoint, Steps};
    use crate::live::slot::Sums;
    use std::time::Duration;

    #[test]
    fn slots_are_added_up_by_step_and_longer_ones_stand_alone() {
        let mut steps = Vec::new();
        let mut adding = Steps::new(5, |start, length, sums: &Sums| {
            steps.push((start, length, sums.pairs().map(|(_, count)| count).sum::<u64>()));
        });
        for (start, length) in [(0, 30), (31, 1), (33, 1), (34, 1), (35, 5), (52, 1)] {
            adding.add(start, length, [(1, 1)].into_iter());
        }
        adding.finish();
        assert_eq!(steps, [(0, 30, 1), (30, 5, 3), (35, 5, 1), (50, 5, 1)]);
    }

    #[test]
    fn a_point_is_flat_in_json() {
        let mut sums = Sums::new();
        sums.add([(300, 4)].into_iter());
        let json = serde_json::to_value(Point::of(7, Duration::from_secs(2), &sums)).unwrap();
        assert_eq!((json["at_ms"].as_u64(), json["rate"].as_f64()), (Some(7), Some(2.0)));
        assert_eq!((json["count"].as_u64(), json["span_ms"].as_f64()), (Some(4), Some(2000.0)));
        assert!(json["p95_ms"].is_f64());
        let json = serde_json::to_value(RatePoint::of(7, Duration::from_secs(2), &Sums::new())).unwrap();
        assert_eq!((json["at_ms"].as_u64(), json["outcomes"]["ok"].as_u64()), (Some(7), Some(0)));
        assert!(json["cache_hit_rate"].is_null());
    }
}
