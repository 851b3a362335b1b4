//! Dealing: how many jobs each tenant gets of those that a claim may take.

use super::claim::Shelf;
use crate::Result;
use crate::jobs::Running;

/// What one tenant got.
pub(super) struct Hand {
    pub(super) tenant: String,
    jobs: Vec<Running>,
    may_have_more: bool,
}

impl Hand {
    /// An empty one.
    pub(super) fn of(tenant: String) -> Self {
        Self { tenant, jobs: Vec::new(), may_have_more: true }
    }
}

/// All who got something in one band.
pub(super) struct Table {
    hands: Vec<Hand>,
    last: Option<usize>,
}

impl Table {
    /// Deals up to `rest` jobs, the first to who comes after `after`. In each round those that may have more get
    /// equal shares of what is left: one alone gets all, as many as `rest` get one each.
    pub(super) fn deal(shelf: &mut Shelf<'_>, after: &str, mut rest: usize) -> Result<Self> {
        let hands = shelf.tenants(after, rest)?;
        let mut table = Self { hands, last: None };
        loop {
            let mut left = table.hands.iter().filter(|hand| hand.may_have_more).count();
            if rest == 0 || left == 0 {
                return Ok(table);
            }
            for (place, hand) in table.hands.iter_mut().enumerate().filter(|(_, hand)| hand.may_have_more) {
                let share = rest.div_ceil(left);
                let taken = shelf.take(&hand.tenant, share)?;
                hand.may_have_more = taken.len() == share && share > 0;
                if !taken.is_empty() {
                    table.last = Some(place);
                }
                rest -= taken.len();
                left -= 1;
                hand.jobs.extend(taken);
            }
        }
    }

    /// Who was served last.
    pub(super) fn last_served(&self) -> Option<&str> {
        self.last.and_then(|place| self.hands.get(place)).map(|hand| hand.tenant.as_str())
    }

    /// What was dealt, in turns: each one's first, then each one's second.
    pub(super) fn into_jobs(self) -> impl Iterator<Item = Running> {
        let mut jobs: Vec<(usize, Running)> =
            self.hands.into_iter().flat_map(|hand| hand.jobs.into_iter().enumerate()).collect();
        jobs.sort_by_key(|(turn, _)| *turn);
        jobs.into_iter().map(|(_, job)| job)
    }
}
