//! Whether hits are right: a share of them is asked again in the shadow, and a category that errs switches
//! itself off.
//!
//! The category of a hit is what its question asks for ([`Form`]): who, how, how many. Each keeps count of
//! its labels; the bound on its error rate is Wilson's (1927), one-sided at 95 %.

use super::reading::Form;
use std::collections::BTreeMap;

/// One-sided 95 %.
const Z_ONE_SIDED: f64 = 1.645;
/// Two-sided 95 %.
const Z_TWO_SIDED: f64 = 1.96;

/// How hits are audited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The share of hits that is asked again, from 0 to 1.
    pub share: f64,
    /// The error rate that a category may have at most.
    pub error_max: f64,
    /// Labels before which a category is not switched off by its upper bound. Where even the lower bound is
    /// beyond the most allowed, it is switched off without waiting.
    pub labels_min: u64,
}

impl Default for Options {
    fn default() -> Self {
        // 133 right answers in a row are needed for a bound below 2 %.
        Self { share: 0.02, error_max: 0.02, labels_min: 150 }
    }
}

/// A rate and the interval that holds the true one with a confidence of 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// What was counted.
    pub rate: f64,
    /// Upper end.
    pub high: f64,
}

/// Wilson's score interval for `count` of `all`, two-sided at 95 %. `None` of nothing.
#[must_use]
pub fn wilson(count: u64, all: u64) -> Option<Interval> {
    interval(count, all, Z_TWO_SIDED)
}

fn interval(count: u64, all: u64, z: f64) -> Option<Interval> {
    if all == 0 {
        return None;
    }
    let (n, rate) = (all as f64, count.min(all) as f64 / all as f64);
    let centre = rate + z * z / (2.0 * n);
    let spread = z * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    let (low, high) = ((centre - spread) / scale, (centre + spread) / scale);
    Some(Interval { low: low.max(0.0), rate, high: high.min(1.0) })
}

/// What is known of one category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Look-ups.
    pub lookups: u64,
    /// Look-ups that were answered, by an alias or by another's answer.
    pub hits: u64,
    /// Audited hits that were right.
    pub right: u64,
    /// Audited hits that were wrong.
    pub wrong: u64,
    /// It does not answer any more.
    pub off: bool,
}

impl Tally {
    /// The share of audited hits that were right.
    #[must_use]
    pub fn precision(&self) -> Option<Interval> {
        wilson(self.right, self.right + self.wrong)
    }

    /// The share of look-ups that were answered.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        (self.lookups > 0).then(|| self.hits as f64 / self.lookups as f64)
    }

    fn is_beyond(&self, options: &Options) -> bool {
        let labels = self.right + self.wrong;
        let Some(error) = interval(self.wrong, labels, Z_ONE_SIDED) else { return false };
        error.low > options.error_max || (labels >= options.labels_min && error.high > options.error_max)
    }
}

/// The counts of all categories.
#[derive(Debug, Default)]
pub(super) struct Audit {
    tallies: BTreeMap<Form, Tally>,
}

impl Audit {
    /// A look-up; gives whether its category answers.
    pub fn looked_up(&mut self, category: Form) -> bool {
        let tally = self.tallies.entry(category).or_default();
        tally.lookups += 1;
        !tally.off
    }

    pub fn hit(&mut self, category: Form) {
        self.tallies.entry(category).or_default().hits += 1;
    }

    /// A label; gives whether it switched the category off.
    pub fn label(&mut self, category: Form, right: bool, options: &Options) -> bool {
        let tally = self.tallies.entry(category).or_default();
        tally.right += u64::from(right);
        tally.wrong += u64::from(!right);
        let switched = !tally.off && tally.is_beyond(options);
        tally.off |= switched;
        switched
    }

    /// Begins a category's labels anew.
    pub fn revive(&mut self, category: Form) {
        let tally = self.tallies.entry(category).or_default();
        (tally.right, tally.wrong, tally.off) = (0, 0, false);
    }

    pub fn tallies(&self) -> Vec<(Form, Tally)> {
        self.tallies.iter().map(|(form, tally)| (*form, *tally)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn wilsons_interval_is_the_textbooks() {
        // Newcombe 1998, table I, method 3.
        for (count, all, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let found = wilson(count, all).unwrap();
            assert!(
                (found.low - low).abs() < 1e-4 && (found.high - high).abs() < 1e-4,
                "{count}/{all}: {found:?}"
            );
        }
        assert_eq!(wilson(0, 0), None);
        assert!(wilson(10, 10).unwrap().high <= 1.0);
    }

    fn label(right: u64, wrong: u64) -> Audit {
        let mut audit = Audit::default();
        for _ in 0..right {
            audit.label(Form::How, true, &Options::default());
        }
        for _ in 0..wrong {
            audit.label(Form::How, false, &Options::default());
        }
        audit
    }

    #[test]
    fn a_category_is_switched_off_where_its_bound_passes_the_most_allowed() {
        for (right, wrong, off) in [
            (0, 0, false),
            (149, 0, false),
            (1000, 0, false),
            // Too few labels for the upper bound, and not certainly bad.
            (100, 1, false),
            (149, 1, true),
            (990, 10, false),
            (970, 30, true),
            // Certainly bad: no need to wait.
            (1, 2, true),
        ] {
            let tally = label(right, wrong).tallies().first().map(|(_, tally)| *tally).unwrap_or_default();
            assert_eq!(tally.off, off, "{right} right, {wrong} wrong");
        }
    }

    #[test]
    fn other_categories_go_on() {
        let mut audit = label(0, 5);
        assert!(!audit.looked_up(Form::How));
        assert!(audit.looked_up(Form::Who));
        audit.revive(Form::How);
        assert!(audit.looked_up(Form::How));
    }

    #[test]
    fn precision_stands_beside_the_hit_rate() {
        let mut audit = label(99, 1);
        for _ in 0..10 {
            audit.looked_up(Form::How);
        }
        audit.hit(Form::How);
        let tally = audit.tallies()[0].1;
        assert_eq!(tally.hit_rate(), Some(0.1));
        assert!((tally.precision().unwrap().rate - 0.99).abs() < 1e-9);
        assert_eq!(Tally::default().precision(), None);
    }
}
