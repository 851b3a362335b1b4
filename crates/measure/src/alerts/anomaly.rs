//! What is usual of a figure: an exponentially weighted moving average (Roberts 1959), and the median absolute
//! deviation from it (Hampel 1974), which a few outliers do not move.

use std::collections::VecDeque;

/// How much the newest value weighs.
const ALPHA: f64 = 0.1;
/// Deviations that are remembered.
pub(super) const RESIDUALS: usize = 120;
/// The median absolute deviation of a normal distribution, times this, is its standard deviation.
const TO_SIGMA: f64 = 1.4826;
/// The least deviation, as a share of the average: what never moved may move by a hair.
const LEAST: f64 = 0.01;

/// The usual value of one figure.
#[derive(Clone, Debug, Default)]
pub(super) struct Usual {
    average: f64,
    /// Deviations from the average, without their sign, the oldest first.
    residuals: VecDeque<f64>,
}

impl Usual {
    /// How many deviations away from what was usual `value` is, which is learned from it; `None` while fewer than
    /// `values_min` are known, which counts up to [`RESIDUALS`]. An outlier moves the average by no more than `bound`
    /// deviations would: a spike is forgotten at once, a new level becomes usual after a while.
    pub(super) fn learn(&mut self, value: f64, bound: f64, values_min: usize) -> Option<f64> {
        if self.residuals.is_empty() {
            self.average = value;
        }
        let (residual, unit) = (value - self.average, self.deviation());
        let is_known = self.residuals.len() >= values_min.min(RESIDUALS);
        let most = if is_known { bound * unit } else { f64::INFINITY };
        self.average += ALPHA * residual.clamp(-most, most);
        if self.residuals.len() == RESIDUALS {
            self.residuals.pop_front();
        }
        self.residuals.push_back(residual.abs());
        is_known.then(|| {
            if unit > 0.0 { residual / unit } else { residual.signum() * f64::from(residual != 0.0) }
        })
    }

    /// The usual value.
    pub(super) fn average(&self) -> f64 {
        self.average
    }

    fn deviation(&self) -> f64 {
        let mut sorted: Vec<f64> = self.residuals.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        (TO_SIGMA * median).max(LEAST * self.average.abs())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Usual;

    /// Values that are seen before anything is called unusual.
    const WARM_UP: usize = 20;

    /// A figure about 100 that strays by up to 5 either way, the same each time.
    fn noise(step: usize) -> f64 {
        100.0 + (step * 7 % 11) as f64 - 5.0
    }

    #[test]
    fn nothing_is_unusual_while_little_is_known() {
        let mut usual = Usual::default();
        for step in 0..WARM_UP {
            assert_eq!(
                usual.learn(noise(step) * if step == 10 { 50.0 } else { 1.0 }, 4.0, WARM_UP),
                None,
                "{step}"
            );
        }
    }

    #[test]
    fn noise_is_usual_and_a_spike_is_not() {
        let mut usual = Usual::default();
        let scores: Vec<f64> = (0..300).filter_map(|step| usual.learn(noise(step), 4.0, WARM_UP)).collect();
        assert!(scores.iter().all(|score| score.abs() < 4.0), "{scores:?}");
        assert!(usual.learn(200.0, 4.0, WARM_UP).unwrap() > 4.0);
        assert!(usual.learn(10.0, 4.0, WARM_UP).unwrap() < -4.0);
        assert!(usual.learn(noise(1), 4.0, WARM_UP).unwrap().abs() < 4.0, "a spike is forgotten");
    }

    #[test]
    fn a_new_level_becomes_usual() {
        let mut usual = Usual::default();
        (0..100).for_each(|step| {
            usual.learn(noise(step), 4.0, WARM_UP);
        });
        let settled =
            (0..300).position(|step| usual.learn(noise(step) + 100.0, 4.0, WARM_UP).unwrap().abs() < 4.0);
        assert!(settled.is_some_and(|step| (3..200).contains(&step)), "{settled:?}");
    }

    #[test]
    fn what_never_moved_may_move_by_a_hair() {
        let mut usual = Usual::default();
        (0..50).for_each(|_| {
            usual.learn(100.0, 4.0, WARM_UP);
        });
        assert!(usual.learn(101.0, 4.0, WARM_UP).unwrap().abs() < 4.0);
        assert!(usual.learn(120.0, 4.0, WARM_UP).unwrap() > 4.0);
    }
}
