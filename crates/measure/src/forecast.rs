//! Where a figure is heading: a straight line through its past by ordinary least squares (Legendre 1805), and when
//! that line reaches a limit.
//!
//! It knows neither seasons nor bends, and says how well the line fits, so that who asks can refuse a line through a
//! cloud.

use std::time::Duration;

/// A straight line through measured points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// By how much the figure grows in a second.
    pub slope: f64,
    /// Its value on the line at the last point.
    pub last: f64,
    /// The share of the points' variance that the line explains, R², from 0 to 1.
    pub fit: f64,
}

impl Trend {
    /// The line through `points`, each a time in seconds and a value, in the order of time. `None` where there are
    /// fewer than three, where all are of one moment, or where one is no number.
    #[must_use]
    pub fn through(points: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let points: Vec<(f64, f64)> = points.into_iter().collect();
        let (count, (end, _)) = (points.len() as f64, *points.last()?);
        if points.len() < 3 || points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
            return None;
        }
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
        // About the means, so that times since 1970 do not drown the differences.
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in points {
            let (dx, dy) = (x - mean_x, y - mean_y);
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
        }
        if xx <= 0.0 {
            return None;
        }
        let slope = xy / xx;
        let fit = if yy > 0.0 { (slope * xy / yy).clamp(0.0, 1.0) } else { 1.0 };
        Some(Self { slope, last: mean_y + slope * (end - mean_x), fit })
    }

    /// How long it takes the line to reach `limit`, counted from the last point: nothing where the line heads away
    /// from it or does not move. From which side it comes is told by where it is.
    #[must_use]
    pub fn reaches(&self, limit: f64) -> Option<Duration> {
        let seconds = (limit - self.last) / self.slope;
        let is_ahead = seconds.is_finite() && seconds >= 0.0;
        is_ahead.then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Trend;
    use std::time::Duration;

    #[test]
    fn a_line_says_when_a_limit_is_reached() {
        let falling = |second: u64| (1e9 + second as f64, 100.0 - second as f64 / 10.0);
        let trend = Trend::through((0..=100).map(falling)).unwrap();
        assert!((trend.slope + 0.1).abs() < 1e-9 && (trend.last - 90.0).abs() < 1e-6 && trend.fit > 0.999);
        for (limit, expected) in [(0.0, Some(900)), (80.0, Some(100)), (95.0, None), (200.0, None)] {
            let found = trend.reaches(limit).map(|time| time.as_secs_f64().round() as u64);
            assert_eq!(found, expected, "{limit}");
        }
    }

    #[test]
    fn what_is_no_line_has_no_trend() {
        for points in [
            vec![],
            vec![(0.0, 1.0), (1.0, 2.0)],
            vec![(5.0, 1.0), (5.0, 2.0), (5.0, 3.0)],
            vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)],
        ] {
            assert_eq!(Trend::through(points.clone()), None, "{points:?}");
        }
    }

    #[test]
    fn what_stands_still_reaches_nothing_and_noise_does_not_fit() {
        let still = Trend::through((0..10).map(|x| (f64::from(x), 5.0))).unwrap();
        assert_eq!((still.reaches(6.0), still.fit), (None, 1.0));
        assert_eq!(still.reaches(5.0), None, "0 / 0 is no time");
        let noise = Trend::through((0..100).map(|x| (f64::from(x), f64::from(x * 37 % 11)))).unwrap();
        assert!(noise.fit < 0.1, "{}", noise.fit);
    }

    #[test]
    fn a_limit_too_far_away_is_never_reached() {
        let slow = Trend { slope: 1e-300, last: 0.0, fit: 1.0 };
        assert_eq!(slow.reaches(1e9), None);
        assert_eq!(Trend { slope: 1.0, last: 0.0, fit: 1.0 }.reaches(60.0), Some(Duration::from_secs(60)));
    }
}
