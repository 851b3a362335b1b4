//! Robust statistics over points in time. Quadratic in their number, of which there are some dozens.

/// A point: when, in seconds, and how much.
pub type Point = (f64, f64);

/// The middle of the values; 0 where there are none.
pub fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value at this share of the sorted values, between two neighbours where it falls there; 0 where there are none.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let place = share * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    values[below] + (values[above] - values[below]) * place.fract()
}

/// The median of the slopes between all pairs of points (Theil 1950, Sen 1968): up to 29 % of the points may be
/// anything.
pub fn slope(points: &[Point]) -> f64 {
    let mut slopes: Vec<f64> = pairs(points)
        .filter(|((t, _), (later, _))| later > t)
        .map(|((t, y), (later, z))| (z - y) / (later - t))
        .collect();
    median(&mut slopes)
}

/// How many standard deviations the points' order is from one without a trend (Mann 1945, Kendall 1975, without ties):
/// above 3 is a rise that chance makes once in seven hundred times.
pub fn trend(points: &[Point]) -> f64 {
    let order: f64 = pairs(points).map(|((_, y), (_, z))| if z == y { 0.0 } else { (z - y).signum() }).sum();
    let count = points.len() as f64;
    let deviation = (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
    if order == 0.0 { 0.0 } else { (order - order.signum()) / deviation }
}

fn pairs(points: &[Point]) -> impl Iterator<Item = (Point, Point)> {
    points.iter().enumerate().flat_map(|(at, first)| points[at + 1..].iter().map(|second| (*first, *second)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Point, median, quantile, slope, trend};

    fn line(by: f64) -> Vec<Point> {
        (0..20).map(|at| (f64::from(at), 5.0 + by * f64::from(at))).collect()
    }

    #[test]
    fn the_middle_lies_between_neighbours() {
        for (values, share, expected) in [
            (vec![], 0.5, 0.0),
            (vec![3.0], 0.9, 3.0),
            (vec![4.0, 1.0, 2.0, 3.0], 0.5, 2.5),
            (vec![5.0, 1.0, 2.0, 4.0, 3.0], 0.75, 4.0),
        ] {
            assert_eq!(quantile(&mut values.clone(), share), expected, "{values:?}");
        }
        assert_eq!(median(&mut [2.0, 9.0, 1.0]), 2.0);
    }

    #[test]
    fn a_few_wild_points_do_not_bend_the_line() {
        let mut points = line(2.0);
        (points[3].1, points[11].1, points[19].1) = (1e9, -1e9, 1e9);
        assert!((slope(&points) - 2.0).abs() < 0.2, "{}", slope(&points));
        assert_eq!(slope(&points[..1]), 0.0);
    }

    #[test]
    fn a_trend_is_told_from_none() {
        assert!(trend(&line(0.1)) > 5.0);
        assert!(trend(&line(-0.1)) < -5.0);
        assert_eq!(trend(&line(0.0)), 0.0);
        let swaying: Vec<Point> = (0..20).map(|at| (f64::from(at), f64::from(at % 3))).collect();
        assert!(trend(&swaying).abs() < 2.0);
    }
}
