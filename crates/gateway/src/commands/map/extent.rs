//! Which rows are done: all up to one of them, and islands beyond it. Small however long the file: between two
//! islands lies a row that is under way, and of those there are few.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How far one has come in the input, behind a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extent {
    /// Rows up to here.
    pub(super) rows: u64,
    /// Bytes up to here.
    pub(super) bytes: u64,
    /// Lines up to here.
    pub(super) lines: u64,
}

/// The rows that are done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    /// All of these are.
    low: Extent,
    /// And these: from a row's number to the end of its island. None touches another, or `low`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    islands: BTreeMap<u64, Extent>,
}

impl Done {
    /// Where to go on reading: nothing before it is left to do.
    pub(super) fn low(&self) -> Extent {
        self.low
    }

    /// As it is, for an input that is not the same any more: rows keep their numbers, and no place is trusted.
    pub(super) fn without_places(mut self) -> Self {
        let low = std::mem::take(&mut self.low);
        if low.rows > 0 {
            self.islands.insert(0, low);
        }
        self
    }

    /// Whether a row is done.
    pub(super) fn has(&self, number: u64) -> bool {
        let island = self.islands.range(..=number).next_back();
        number < self.low.rows || island.is_some_and(|(_, end)| number < end.rows)
    }

    /// Counts the row before `after`. One that is done stays done.
    pub(super) fn insert(&mut self, after: Extent) {
        let number = after.rows.saturating_sub(1);
        if self.has(number) {
            return;
        }
        // What follows at once is one with it.
        let end = self.islands.remove(&after.rows).unwrap_or(after);
        if number == self.low.rows {
            self.low = end;
            return;
        }
        match self.islands.range_mut(..number).next_back() {
            Some((_, before)) if before.rows == number => *before = end,
            _ => {
                self.islands.insert(number, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    /// Behind a row, in a file whose rows are ten bytes and two lines each.
    fn behind(number: u64) -> Extent {
        Extent { rows: number + 1, bytes: (number + 1) * 10, lines: (number + 1) * 2 }
    }

    proptest! {
        #[test]
        fn rows_are_done_in_any_order_and_remembered_exactly(
            order in Just((0..40_u64).collect::<Vec<_>>()).prop_shuffle(), many in 0_usize..40,
        ) {
            let mut done = Done::default();
            for number in &order[..many] {
                done.insert(behind(*number));
                done.insert(behind(*number));
            }
            for number in 0..41 {
                prop_assert_eq!(done.has(number), order[..many].contains(&number), "{}", number);
            }
            let low = (0..).find(|number| !order[..many].contains(number)).unwrap();
            let end = if low == 0 { Extent::default() } else { behind(low - 1) };
            prop_assert_eq!(done.low(), end);
            let islands = (low..40).filter(|number| done.has(*number) && !done.has(number - 1)).count();
            prop_assert_eq!(done.islands.len(), islands);
            let told = serde_json::to_string(&done).unwrap();
            prop_assert_eq!(serde_json::from_str::<Done>(&told).unwrap(), done);
        }
    }

    #[test]
    fn without_places_the_input_is_read_anew_and_the_same_rows_are_done() {
        let mut done = Done::default();
        [0, 1, 5].into_iter().for_each(|number| done.insert(behind(number)));
        let mut moved = done.without_places();
        [2, 0, 3].into_iter().for_each(|number| moved.insert(behind(number)));
        assert_eq!(moved.low(), Extent::default());
        let rows: Vec<u64> = (0..8).filter(|number| moved.has(*number)).collect();
        assert_eq!(rows, [0, 1, 2, 3, 5]);
    }

    #[test]
    fn a_row_that_takes_its_time_costs_one_island() {
        let mut done = Done::default();
        (1..100_000).for_each(|number| done.insert(behind(number)));
        assert_eq!((done.islands.len(), done.low()), (1, Extent::default()));
        done.insert(behind(0));
        assert_eq!((done.islands.len(), done.low()), (0, behind(99_999)));
    }
}
