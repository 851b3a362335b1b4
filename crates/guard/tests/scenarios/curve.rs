//! A number that may change with time.

use serde::Deserialize;
use std::time::Duration;

/// Seconds and what the number is from then on.
type Points = Vec<(f64, f64)>;

/// As it is written: `3`, `[[0, 3], [60, 5]]` for steps, `{ ramp = [[0, 3], [60, 5]] }` for a line through
/// the points, `{ every = 20, steps = [[0, 3], [10, 5]] }` for steps again and again.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Curve {
    Constant(f64),
    Steps(Points),
    Ramp { ramp: Points },
    Cycle { every: f64, steps: Points },
}

impl Default for Curve {
    fn default() -> Self {
        Self::Constant(0.0)
    }
}

impl Curve {
    pub fn at(&self, time: Duration) -> f64 {
        let time = time.as_secs_f64();
        match self {
            Self::Constant(value) => *value,
            Self::Steps(points) => step(points, time),
            Self::Ramp { ramp } => line(ramp, time),
            Self::Cycle { every, steps } => step(steps, time % every),
        }
    }
}

fn step(points: &Points, time: f64) -> f64 {
    points.iter().rev().find(|(from, _)| *from <= time).map_or(0.0, |(_, value)| *value)
}

fn line(points: &Points, time: f64) -> f64 {
    let after = points.partition_point(|(at, _)| *at <= time);
    match (after.checked_sub(1).map(|before| points[before]), points.get(after)) {
        (Some((from, low)), Some((to, high))) => low + (high - low) * (time - from) / (to - from),
        (Some((_, last)), None) => last,
        (None, first) => first.map_or(0.0, |(_, value)| *value),
    }
}

#[test]
fn curves_step_run_and_repeat() {
    let points = vec![(0.0, 1.0), (10.0, 3.0)];
    let at = |curve: &Curve| [0, 5, 10, 15].map(|second| curve.at(Duration::from_secs(second)));
    assert_eq!(at(&Curve::Constant(7.0)), [7.0; 4]);
    assert_eq!(at(&Curve::Steps(points.clone())), [1.0, 1.0, 3.0, 3.0]);
    assert_eq!(at(&Curve::Ramp { ramp: points.clone() }), [1.0, 2.0, 3.0, 3.0]);
    assert_eq!(at(&Curve::Cycle { every: 15.0, steps: points }), [1.0, 1.0, 3.0, 1.0]);
}
