//! In which order rows are written: as in the input, which holds back what is early, or as they are done.

use std::collections::BTreeMap;

use super::extent::Extent;
use super::tally::Used;

/// Most rows between the oldest that is under way and the newest.
const ROWS_MAX: u64 = 4096;
/// Most bytes of rows held: under way, early, and on their way to the disk.
const BYTES_MAX: usize = 64 << 20;

/// An order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Order {
    /// As in the input. A row that takes its time holds back a few thousand at most, then the reader.
    Input,
    /// As they are done.
    Done,
}

impl Order {
    /// As a flag spells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Done => "done",
        }
    }
}

/// A row that is ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Where the input is behind it.
    pub(super) after: Extent,
    /// Its length in the input.
    pub(super) bytes: u64,
    /// Its line of the output, or of the errors.
    pub(super) line: Vec<u8>,
    /// Which of the two.
    pub(super) failed: bool,
    /// What it used.
    pub(super) used: Used,
}

/// A row's place among those of this run, and what is held for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    number: u64,
    bytes: usize,
}

/// Puts rows in order, and bounds what is held of them.
#[derive(Debug)]
pub(super) struct Sequence {
    order: Order,
    /// Rows that have begun.
    begun: u64,
    /// Rows that are done and whose predecessors are.
    released: u64,
    early: BTreeMap<u64, Written>,
    ready: Vec<Written>,
    under_way: usize,
    done: usize,
}

impl Sequence {
    /// Of rows that begin in the input's order.
    pub(super) fn new(order: Order) -> Self {
        let (early, ready) = (BTreeMap::new(), Vec::new());
        Self { order, begun: 0, released: 0, early, ready, under_way: 0, done: 0 }
    }

    /// Whether the next row may begin. One may where nothing else is held, so that none waits for ever.
    pub(super) fn has_room(&self) -> bool {
        let near = self.order == Order::Done || self.begun < self.released + ROWS_MAX;
        let held = self.under_way + self.done;
        near && (held < BYTES_MAX || self.under_way == 0 && self.ready.is_empty())
    }

    /// The next row begins, with so many bytes.
    pub(super) fn begin(&mut self, bytes: usize) -> Ticket {
        self.under_way += bytes;
        self.begun += 1;
        Ticket { number: self.begun - 1, bytes }
    }

    /// A row is done.
    pub(super) fn put(&mut self, ticket: &Ticket, written: Written) {
        self.under_way -= ticket.bytes;
        self.done += written.line.len();
        if self.order == Order::Done {
            self.ready.push(written);
            return;
        }
        self.early.insert(ticket.number, written);
        while let Some(written) = self.early.remove(&self.released) {
            self.released += 1;
            self.ready.push(written);
        }
    }

    /// Whether there is something to write.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// What is to be written now.
    pub(super) fn take(&mut self) -> Vec<Written> {
        let ready = std::mem::take(&mut self.ready);
        self.done -= ready.iter().map(|written| written.line.len()).sum::<usize>();
        ready
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn written(number: u64, length: usize) -> Written {
        Written {
            after: Extent { rows: number + 1, ..Extent::default() },
            bytes: 1,
            line: vec![0; length],
            failed: false,
            used: Used::default(),
        }
    }

    fn numbers(sequence: &mut Sequence) -> Vec<u64> {
        sequence.take().iter().map(|written| written.after.rows - 1).collect()
    }

    #[test]
    fn rows_come_in_the_order_that_was_asked_for() {
        for (order, expected) in [
            (Order::Input, [vec![], vec![0, 1], vec![], vec![2, 3]]),
            (Order::Done, [vec![1], vec![0], vec![3], vec![2]]),
        ] {
            let mut sequence = Sequence::new(order);
            let tickets: Vec<_> = (0..4).map(|_| sequence.begin(10)).collect();
            for (number, expected) in [1, 0, 3, 2].into_iter().zip(expected) {
                sequence.put(&tickets[number as usize], written(number, 3));
                assert_eq!(sequence.is_ready(), !expected.is_empty());
                assert_eq!(numbers(&mut sequence), expected, "{order:?}");
            }
            assert_eq!((sequence.under_way, sequence.done), (0, 0));
        }
    }

    #[test]
    fn a_row_that_takes_its_time_holds_back_so_many_and_no_more() {
        for (order, many) in [(Order::Input, ROWS_MAX), (Order::Done, 10 * ROWS_MAX)] {
            let mut sequence = Sequence::new(order);
            let slow = sequence.begin(1);
            for number in 1..many {
                assert!(sequence.has_room(), "{number}");
                let ticket = sequence.begin(1);
                sequence.put(&ticket, written(number, 1));
                sequence.take();
            }
            assert_eq!(sequence.has_room(), order == Order::Done);
            sequence.put(&slow, written(0, 1));
            assert!(sequence.has_room());
        }
    }

    #[test]
    fn bytes_are_bounded_but_one_row_may_always_go() {
        let mut sequence = Sequence::new(Order::Done);
        let large = sequence.begin(BYTES_MAX);
        assert!(!sequence.has_room());
        sequence.put(&large, written(0, BYTES_MAX));
        assert!(!sequence.has_room());
        sequence.take();
        assert!(sequence.has_room());
        let small = sequence.begin(1);
        assert!(sequence.has_room());
        sequence.put(&small, written(1, 0));
        sequence.take();
        assert_eq!((sequence.under_way, sequence.done), (0, 0));
    }
}
