//! The slot under way of one figure: a counter for every bucket, in pages that are there once something falls
//! into them.
//!
//! Latencies of one kind lie close together: a page reaches from a value to about three times that, so that most
//! figures need two to five of the 21. All of them would be 2.5 KB a figure, 12 MB for eight hundred scopes; a
//! sorted list of the buckets in use takes a little less than pages do, and searching it for each record took
//! four times as long.

use super::buckets;
use super::budget::Budget;

/// Buckets of a page.
const PAGE: usize = 32;
const PAGES: usize = buckets::COUNT.div_ceil(PAGE);

type Page = [u32; PAGE];

/// What was recorded since the slot began.
#[derive(Clone, Debug, Default)]
pub(super) struct Hot {
    pages: [Option<Box<Page>>; PAGES],
}

impl Hot {
    /// Counts one in this bucket; says no where that needs room that the budget does not give.
    #[inline]
    pub(super) fn add(&mut self, bucket: u16, budget: &mut Budget) -> bool {
        let bucket = usize::from(bucket).min(buckets::COUNT - 1);
        let page = &mut self.pages[bucket / PAGE];
        if page.is_none() && !open(page, budget) {
            return false;
        }
        if let Some(page) = page {
            // Two seconds do not suffice to count so far.
            page[bucket % PAGE] = page[bucket % PAGE].saturating_add(1);
        }
        true
    }

    /// Whether nothing was recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs().next().is_none()
    }

    /// What it holds, as a slot is written.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u16, u64)> {
        let pages = self.pages.iter().enumerate();
        let held = pages.filter_map(|(index, page)| Some((index * PAGE, page.as_deref()?)));
        let counts = held.flat_map(|(first, page)| (first as u16..).zip(page.iter().copied()));
        counts.filter(|(_, count)| *count > 0).map(|(bucket, count)| (bucket, u64::from(count)))
    }

    /// Begins the next slot. Pages that nothing fell into are given back.
    pub(super) fn clear(&mut self, budget: &mut Budget) {
        for place in &mut self.pages {
            let Some(page) = place else { continue };
            if page.iter().all(|count| *count == 0) {
                *place = None;
                budget.give(size_of::<Page>());
            } else {
                page.fill(0);
            }
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.pages.iter().flatten().count() * size_of::<Page>()
    }
}

#[cold]
fn open(page: &mut Option<Box<Page>>, budget: &mut Budget) -> bool {
    let fits = budget.take(size_of::<Page>());
    if fits {
        *page = Some(Box::default());
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::{Hot, Page};
    use crate::live::budget::Budget;

    #[test]
    fn buckets_are_counted_and_shown_in_order() {
        let (mut hot, mut budget) = (Hot::default(), Budget::new(1000));
        assert!(hot.is_empty());
        for bucket in [5, 640, 0, 5, 7, 5] {
            assert!(hot.add(bucket, &mut budget));
        }
        assert_eq!(hot.pairs().collect::<Vec<_>>(), [(0, 1), (5, 3), (7, 1), (640, 1)]);
        assert_eq!((budget.held(), hot.bytes()), (2 * size_of::<Page>(), 2 * size_of::<Page>()));
    }

    #[test]
    fn without_room_a_new_page_is_refused_and_a_known_one_still_counts() {
        let (mut hot, mut budget) = (Hot::default(), Budget::new(size_of::<Page>()));
        for (bucket, counted) in [(0, true), (31, true), (32, false), (3, true)] {
            assert_eq!(hot.add(bucket, &mut budget), counted, "{bucket}");
        }
    }

    #[test]
    fn a_page_that_is_not_used_for_a_slot_is_given_back() {
        let (mut hot, mut budget) = (Hot::default(), Budget::new(1000));
        assert!(hot.add(1, &mut budget));
        hot.clear(&mut budget);
        assert_eq!((hot.is_empty(), budget.held()), (true, size_of::<Page>()));
        hot.clear(&mut budget);
        assert_eq!((hot.bytes(), budget.held()), (0, 0));
    }
}
