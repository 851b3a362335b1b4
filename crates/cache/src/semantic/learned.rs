//! Accepting by evidence: each question learns from comparisons how near another must be to share its answer.
//!
//! After vCache (arXiv 2502.03771), from the paper: for a stored question, the chance that its answer is
//! right for another at cosine *s* is a logistic curve 1 / (1 + e^(−γ(s − t))). The true answer is fetched
//! ("explored") with a probability τ large enough that the whole errs at most δ, even where the curve is as
//! low as the evidence allows:
//!
//! τ(s) = min over ε of 1 − δ / (1 − (1 − ε) · L(s, ε)), where L(s, ε) is a lower bound of the curve at s
//! that holds with a confidence of 1 − ε.
//!
//! The paper takes L from a normal approximation around the likeliest curve. Here it is the ε-quantile of the
//! posterior over a grid of curves with a flat prior: that needs no iteration, and is also defined where all
//! the evidence is of one kind, as it is at first. And where the paper spends its whole allowance of errors even
//! on answers that it knows to be wrong, here nothing is served whose lower bound is under [`SERVED_MIN`].

/// Comparisons kept of a question; newer ones push out older ones.
pub const EVIDENCE_MAX: usize = 64;
/// Comparisons before which nothing is accepted.
pub const EVIDENCE_MIN: usize = 5;

/// The chance of being right below which an answer is never served.
pub const SERVED_MIN: f64 = 0.9;

/// Where the curve may have its middle: `STEPS` of them from `LOWEST` on.
const LOWEST: f32 = 0.70;
const STEP: f32 = 0.02;
const STEPS: usize = 18;
/// How steep it may be.
const STEEPNESS: [f32; 5] = [6.0, 12.0, 24.0, 48.0, 96.0];
/// The confidences that are tried.
const EPSILONS: [f64; 6] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2];

/// What comparisons with one question gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Cosine, and whether the answer was right.
    seen: Vec<(f32, bool)>,
    next: usize,
}

impl Evidence {
    /// Takes in one comparison.
    pub fn add(&mut self, cosine: f32, right: bool) {
        if self.seen.len() < EVIDENCE_MAX {
            self.seen.push((cosine, right));
        } else if let Some(slot) = self.seen.get_mut(self.next) {
            *slot = (cosine, right);
            self.next = (self.next + 1) % EVIDENCE_MAX;
        }
    }

    /// Comparisons held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// The probability with which the true answer must be fetched at this cosine so that at most
    /// `error_max` of all answers are wrong.
    #[must_use]
    pub fn explore(&self, cosine: f32, error_max: f64) -> f64 {
        if self.seen.len() < EVIDENCE_MIN {
            return 1.0;
        }
        let curves = self.posterior(cosine);
        let bounds = EPSILONS.iter().map(|epsilon| (1.0 - epsilon) * quantile(&curves, *epsilon));
        let right = bounds.fold(0.0, f64::max);
        if right < SERVED_MIN { 1.0 } else { (1.0 - error_max / (1.0 - right)).max(0.0) }
    }

    /// For each curve of the grid its value at `cosine` and its probability, the lowest values first.
    fn posterior(&self, cosine: f32) -> Vec<(f64, f64)> {
        let middles = (0..STEPS).map(|step| LOWEST + STEP * step as f32);
        let mut curves: Vec<(f64, f64)> = middles
            .flat_map(|middle| STEEPNESS.map(|steepness| (middle, steepness)))
            .map(|(middle, steepness)| {
                let log_likelihood: f64 = self
                    .seen
                    .iter()
                    .map(|(seen, right)| {
                        let chance = logistic(steepness * (seen - middle));
                        (if *right { chance } else { 1.0 - chance }).max(1e-12).ln()
                    })
                    .sum();
                (logistic(steepness * (cosine - middle)), log_likelihood)
            })
            .collect();
        let best = curves.iter().map(|(_, log)| *log).fold(f64::NEG_INFINITY, f64::max);
        for (_, log) in &mut curves {
            *log = (*log - best).exp();
        }
        let sum: f64 = curves.iter().map(|(_, weight)| weight).sum();
        for (_, weight) in &mut curves {
            *weight /= sum;
        }
        curves.sort_by(|a, b| a.0.total_cmp(&b.0));
        curves
    }
}

fn logistic(x: f32) -> f64 {
    1.0 / (1.0 + f64::from(-x).exp())
}

/// The value that the curve is above of with a probability of 1 − `share`.
fn quantile(curves: &[(f64, f64)], share: f64) -> f64 {
    let mut below = 0.0;
    for (value, weight) in curves {
        below += weight;
        if below > share {
            return *value;
        }
    }
    curves.last().map_or(0.0, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn evidence(seen: &[(f32, bool)]) -> Evidence {
        let mut evidence = Evidence::default();
        for (cosine, right) in seen {
            evidence.add(*cosine, *right);
        }
        evidence
    }

    #[test]
    fn without_evidence_the_true_answer_is_always_fetched() {
        assert_eq!(Evidence::default().explore(0.999, 0.02), 1.0);
        assert_eq!(evidence(&[(0.95, true); EVIDENCE_MIN - 1]).explore(0.999, 0.02), 1.0);
    }

    #[test]
    fn much_evidence_at_a_lower_cosine_is_trusted_at_a_higher() {
        let all_right = evidence(&[(0.88, true); 60]);
        assert!(all_right.explore(0.99, 0.02) < 0.2, "{}", all_right.explore(0.99, 0.02));
        assert!(all_right.explore(0.85, 0.02) > all_right.explore(0.99, 0.02));
    }

    #[test]
    fn wrong_answers_nearby_are_not_forgiven() {
        let mut seen = vec![(0.93, true); 30];
        seen.extend([(0.95, false); 10]);
        let mixed = evidence(&seen);
        assert!(mixed.explore(0.95, 0.02) > 0.9);
    }

    #[test]
    fn a_smaller_error_costs_more_fetches() {
        let all_right = evidence(&[(0.9, true); 40]);
        assert!(all_right.explore(0.93, 0.001) > all_right.explore(0.93, 0.05));
    }

    #[test]
    fn evidence_is_bounded() {
        assert_eq!(evidence(&[(0.9, true); 1000]).len(), EVIDENCE_MAX);
    }

    /// The promise itself, on seeded draws: pairs whose truth follows a curve that the grid does not hold.
    #[test]
    fn the_error_stays_below_its_bound() {
        for (seed, middle, steepness) in [(1, 0.913, 55.0), (2, 0.871, 27.0), (3, 0.987, 110.0)] {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut wrong, mut served, mut asked) = (0_u32, 0_u32, 0_u32);
            for _ in 0..15 {
                let mut evidence = Evidence::default();
                for _ in 0..250 {
                    let cosine = 0.85 + 0.15 * random.f32();
                    let right = random.f64() < logistic(steepness * (cosine - middle));
                    asked += 1;
                    if random.f64() < evidence.explore(cosine, 0.02) {
                        evidence.add(cosine, right);
                    } else {
                        served += 1;
                        wrong += u32::from(!right);
                    }
                }
            }
            assert!(f64::from(wrong) <= 0.02 * f64::from(asked), "seed {seed}: {wrong} of {asked} wrong");
            assert!(served > 0 || middle > 0.95, "seed {seed}: nothing was ever served");
        }
    }
}
