//! Who has how many connections, and who waits: what the room's lock guards. Each step leaves it whole.

use super::{Bound, Grant};
use crate::upstream::peak::Peak;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// All providers' rows.
pub(super) struct State {
    pub(super) max: usize,
    pub(super) open: usize,
    /// One for each provider that a configuration has ever had.
    pub(super) rows: Vec<Row>,
}

/// One provider's row.
pub(super) struct Row {
    pub(super) name: Box<str>,
    pub(super) max: usize,
    pub(super) open: usize,
    pub(super) most: Peak,
    pub(super) most_waiting: Peak,
    pub(super) waits: Waits,
    /// By ticket, and therefore by arrival.
    pub(super) queue: BTreeMap<u64, oneshot::Sender<Grant>>,
}

/// How many requests have had to wait, by the bound that was in their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::upstream) struct Waits {
    pub(in crate::upstream) provider: u64,
    pub(in crate::upstream) all: u64,
}

impl Waits {
    /// Those that have come since an `earlier` count.
    pub(in crate::upstream) fn since(&self, earlier: &Self) -> Self {
        let (provider, all) = (self.provider - earlier.provider, self.all - earlier.all);
        Self { provider, all }
    }
}

/// How one provider stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct Level {
    pub(in crate::upstream) max: usize,
    pub(in crate::upstream) open: usize,
    /// The most that were open at once of late.
    pub(in crate::upstream) most: usize,
    pub(in crate::upstream) waiting: usize,
    /// The most that waited at once of late.
    pub(in crate::upstream) most_waiting: usize,
    pub(in crate::upstream) waits: Waits,
}

impl State {
    /// What is in the way of another. A provider that may have as many as all together is never held up by its
    /// own bound. Rows are never taken away, so that a row's number stays good.
    pub(super) fn blocked(&self, row: usize) -> Option<Bound> {
        let row = &self.rows[row];
        match row.max < self.max && row.open >= row.max {
            true => Some(Bound::Provider),
            false => (self.open >= self.max).then_some(Bound::All),
        }
    }

    pub(super) fn enters(&mut self, row: usize) {
        self.open += 1;
        let row = &mut self.rows[row];
        row.open += 1;
        row.most.see(row.open);
    }

    pub(super) fn leaves(&mut self, row: usize) {
        self.open -= 1;
        self.rows[row].open -= 1;
    }

    /// The provider whose turn it is to open a connection, where anyone waits who now may.
    pub(super) fn next(&self) -> Option<usize> {
        let free = (0..self.rows.len()).filter(|row| self.blocked(*row).is_none());
        free.filter_map(|row| Some((self.rows[row].first()?, row))).min().map(|(_, row)| row)
    }

    pub(super) fn pop(&mut self, row: usize) -> Option<oneshot::Sender<Grant>> {
        self.rows[row].queue.pop_first().map(|(_, granted)| granted)
    }

    /// Whether somebody waits for this provider whom only the bound of all holds up.
    pub(super) fn is_short_in_all(&self, row: usize) -> bool {
        self.rows[row].first().is_some() && self.blocked(row) == Some(Bound::All)
    }

    /// Who has waited longest of those, among all other providers'.
    pub(super) fn first_short_in_all(&self, but: usize) -> Option<u64> {
        let others = (0..self.rows.len()).filter(|row| *row != but && self.is_short_in_all(*row));
        others.filter_map(|row| self.rows[row].first()).min()
    }
}

impl Row {
    pub(super) fn new(name: &str, max: usize) -> Self {
        let (most, most_waiting, waits) = (Peak::default(), Peak::default(), Waits::default());
        Self { name: name.into(), max, open: 0, most, most_waiting, waits, queue: BTreeMap::new() }
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.queue.first_key_value().map(|(ticket, _)| *ticket)
    }
}
