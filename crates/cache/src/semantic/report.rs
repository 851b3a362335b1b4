//! What came of semantic look-ups: precision beside the hit rate.

use super::audit::{Interval, Tally, wilson};
use super::reading::Form;
use super::veto::{self, Veto};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one tier.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub lookups: AtomicU64,
    pub hits: AtomicU64,
    pub alias_hits: AtomicU64,
    pub candidates: AtomicU64,
    pub far: AtomicU64,
    pub refused: AtomicU64,
    pub switched_off: AtomicU64,
    vetoes: [AtomicU64; veto::ALL.len()],
}

impl Counters {
    pub fn vetoed(&self, veto: Veto) {
        let at = veto::ALL.iter().position(|(name, _)| *name == veto);
        if let Some(count) = at.and_then(|at| self.vetoes.get(at)) {
            add(count);
        }
    }

    pub fn vetoes(&self) -> Vec<(Veto, u64)> {
        let counts = veto::ALL.iter().zip(&self.vetoes);
        counts.map(|((veto, _), count)| (*veto, count.load(Ordering::Relaxed))).collect()
    }
}

pub(super) fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// What came of a tier's look-ups since it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Questions looked up, those found by an alias among them.
    pub lookups: u64,
    /// Those answered by another's answer.
    pub hits: u64,
    /// Those answered by an alias.
    pub alias_hits: u64,
    /// Those handed out for comparison.
    pub candidates: u64,
    /// Those with nothing near.
    pub far: u64,
    /// Those whose nearest the verifier refused.
    pub refused: u64,
    /// Those whose category is switched off.
    pub switched_off: u64,
    /// Those whose nearest was vetoed, by the veto.
    pub vetoes: Vec<(Veto, u64)>,
    /// Labels and hits by category.
    pub categories: Vec<(Form, Tally)>,
    /// Questions held now.
    pub questions: usize,
    /// Partitions held now.
    pub partitions: usize,
    /// Aliases held now.
    pub aliases: usize,
}

impl Report {
    /// The share of look-ups that were answered.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        (self.lookups > 0).then(|| (self.hits + self.alias_hits) as f64 / self.lookups as f64)
    }

    /// The share of audited hits that were right, with the interval that its sample allows.
    #[must_use]
    pub fn precision(&self) -> Option<Interval> {
        let sum = |of: fn(&Tally) -> u64| self.categories.iter().map(|(_, tally)| of(tally)).sum::<u64>();
        let right = sum(|tally| tally.right);
        wilson(right, right + sum(|tally| tally.wrong))
    }
}
