//! The seats of one flight: where each reader stands, and how to wake it. A slab: a place that is
//! given up is taken again by whoever comes next, so a long flight does not grow with those who left.

use crate::wakes::Wakes;
use std::task::Waker;

/// All places ever taken, free ones chained.
pub(super) struct Rows {
    rows: Vec<Row>,
    /// The first of the free rows.
    free: Option<usize>,
    /// Rows with a reader that has not been dismissed.
    readers: usize,
    /// Rows with a waker.
    waiting: usize,
}

enum Row {
    Free {
        next: Option<usize>,
    },
    Taken {
        /// What this seat reads next; `None` once it was dismissed and reads no more.
        position: Option<usize>,
        waker: Option<Waker>,
    },
}

impl Rows {
    pub fn new() -> Self {
        Self { rows: Vec::new(), free: None, readers: 0, waiting: 0 }
    }

    /// How many still read.
    pub fn readers(&self) -> usize {
        self.readers
    }

    /// Seats a reader at item 0 and gives its row.
    pub fn take(&mut self) -> usize {
        let taken = Row::Taken { position: Some(0), waker: None };
        self.readers += 1;
        let row = self.free.unwrap_or(self.rows.len());
        match self.rows.get_mut(row) {
            Some(free) => {
                if let Row::Free { next } = std::mem::replace(free, taken) {
                    self.free = next;
                }
            }
            None => self.rows.push(taken),
        }
        row
    }

    /// Frees a row; gives where its reader stood, unless it was dismissed, and its waker to be dropped
    /// outside the lock.
    pub fn give_up(&mut self, row: usize) -> (Option<usize>, Option<Waker>) {
        let free = Row::Free { next: self.free };
        match std::mem::replace(&mut self.rows[row], free) {
            Row::Taken { position, waker } => {
                self.free = Some(row);
                self.readers -= usize::from(position.is_some());
                self.waiting -= usize::from(waker.is_some());
                (position, waker)
            }
            // A seat gives its row up once. Were it twice, the chain must not lead to itself.
            unchanged @ Row::Free { .. } => {
                self.rows[row] = unchanged;
                (None, None)
            }
        }
    }

    /// Where a reader stands; `None` if it was dismissed.
    pub fn position(&self, row: usize) -> Option<usize> {
        match self.rows[row] {
            Row::Taken { position, .. } => position,
            Row::Free { .. } => None,
        }
    }

    /// Moves a reader to `position`.
    pub fn advance(&mut self, row: usize, to: usize) {
        if let Row::Taken { position: Some(position), .. } = &mut self.rows[row] {
            *position = to;
        }
    }

    /// Wakes this row's reader by `new` from now on; gives what it replaces, to be dropped outside the
    /// lock.
    pub fn wait(&mut self, row: usize, new: &Waker) -> Option<Waker> {
        let Row::Taken { waker, .. } = &mut self.rows[row] else { return None };
        if waker.as_ref().is_some_and(|old| old.will_wake(new)) {
            return None;
        }
        let old = waker.replace(new.clone());
        self.waiting += usize::from(old.is_none());
        old
    }

    /// Dismisses every reader that stands before `cut`, telling `each` where it stood.
    pub fn dismiss_before(&mut self, cut: usize, mut each: impl FnMut(usize)) {
        for row in &mut self.rows {
            let Row::Taken { position, .. } = row else { continue };
            if let Some(stood) = position.take_if(|position| *position < cut) {
                self.readers -= 1;
                each(stood);
            }
        }
    }

    /// Moves wakers into `wakes`, rows from `from` on, until that is full. Gives where to go on, or
    /// `None` when nobody further waits.
    pub fn take_wakers(&mut self, from: usize, wakes: &mut Wakes) -> Option<usize> {
        let mut row = from;
        while self.waiting > 0 && row < self.rows.len() {
            if wakes.is_full() {
                return Some(row);
            }
            if let Row::Taken { waker, .. } = &mut self.rows[row]
                && let Some(waker) = waker.take()
            {
                self.waiting -= 1;
                wakes.add(waker);
            }
            row += 1;
        }
        None
    }
}
