//! The past of one figure: its slots in the order of time, one after the other in a row of bytes.
//!
//! ```text
//! slot    number: when it began, in slots since the beginning
//!         byte:   its level, which says how long it was
//!         number: length of what follows
//!         pairs
//! ```
//!
//! A slot in which nothing happened is not there. What is here is the larger part of all memory the figures
//! take, hence no pointer, no padding and no spare capacity.

use super::budget::Budget;
use super::detail::{self, Detail};
use super::slot::{Pairs, Sums, read_bytes, read_number, write_number, write_pairs};

/// Slots that are over.
#[derive(Clone, Debug, Default)]
pub(super) struct Tape {
    bytes: Vec<u8>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    pub(super) start: u32,
    pub(super) level: u8,
    body: &'a [u8],
}

/// What is needed for a moment to write, lent to every tape in turn.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    tape: Vec<u8>,
    body: Vec<u8>,
    sums: Sums,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { tape: Vec::new(), body: Vec::new(), sums: Sums::new() }
    }
}

impl<'a> Slot<'a> {
    pub(super) fn pairs(&self) -> Pairs<'a> {
        Pairs::new(self.body)
    }

    pub(super) fn end(&self) -> u32 {
        detail::end(self.start, self.level)
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_number(out, self.start.into());
        out.push(self.level);
        write_number(out, self.body.len() as u64);
        out.extend_from_slice(self.body);
    }
}

impl Tape {
    /// Its slots, the oldest first.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot<'_>> {
        let mut bytes = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let start = u32::try_from(read_number(&mut bytes)?).ok()?;
            let (&level, rest) = bytes.split_first()?;
            bytes = rest;
            let length = read_number(&mut bytes)?;
            Some(Slot { start, level, body: read_bytes(&mut bytes, length)? })
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds a slot that is not older than the last one. Says no where the budget has no room for it.
    pub(super) fn append(
        &mut self,
        (start, level): (u32, u8),
        pairs: impl Iterator<Item = (u16, u64)>,
        scratch: &mut Scratch,
        budget: &mut Budget,
    ) -> bool {
        scratch.body.clear();
        write_pairs(&mut scratch.body, pairs);
        scratch.tape.clear();
        Slot { start, level, body: &scratch.body }.write(&mut scratch.tape);
        if !budget.take(scratch.tape.len()) {
            return false;
        }
        self.bytes.reserve_exact(scratch.tape.len());
        self.bytes.extend_from_slice(&scratch.tape);
        true
    }

    /// Joins what has aged into longer slots, and forgets what is too old.
    pub(super) fn compact(&mut self, now: u32, detail: &Detail, scratch: &mut Scratch, budget: &mut Budget) {
        let settled =
            |slot: Slot<'_>| detail.place(slot.start, slot.level, now) == Some((slot.start, slot.level));
        if self.slots().all(settled) {
            return;
        }
        self.rewrite(now, detail, scratch);
        budget.give(self.bytes.capacity().saturating_sub(scratch.tape.len()));
        // A new row, as long as need be: shrinking the old one in place is up to the allocator.
        self.bytes = scratch.tape.as_slice().to_vec();
    }

    /// Writes to the scratch's tape what there will be.
    fn rewrite(&self, now: u32, detail: &Detail, scratch: &mut Scratch) {
        scratch.tape.clear();
        let mut open: Option<Slot<'_>> = None;
        for slot in self.slots() {
            let Some((start, level)) = detail.place(slot.start, slot.level, now) else { continue };
            match open {
                Some(before) if (before.start, before.level) == (start, level) => {
                    if scratch.sums.is_empty() {
                        scratch.sums.add(before.pairs());
                    }
                    scratch.sums.add(slot.pairs());
                }
                _ => {
                    scratch.close(open);
                    open = Some(Slot { start, level, body: slot.body });
                }
            }
        }
        scratch.close(open);
    }
}

impl Scratch {
    /// Writes a slot: what was added up for it, or its own body where it stayed alone.
    fn close(&mut self, slot: Option<Slot<'_>>) {
        let Some(slot) = slot else { return };
        if self.sums.is_empty() {
            slot.write(&mut self.tape);
            return;
        }
        self.body.clear();
        write_pairs(&mut self.body, self.sums.pairs());
        self.sums.clear();
        Slot { body: &self.body, ..slot }.write(&mut self.tape);
    }
}

#[cfg(test)]
mod tests {
    use super::{Scratch, Tape};
    use crate::live::budget::Budget;
    use crate::live::detail::DETAILS;

    /// A sample in each of so many slots; compacted as time goes.
    fn filled(slots: u32, detail: usize, budget: &mut Budget) -> Tape {
        let (mut tape, mut scratch) = (Tape::default(), Scratch::new());
        for now in 0..slots {
            let bucket = (now % 100) as u16;
            assert!(tape.append((now, 0), [(bucket, 1)].into_iter(), &mut scratch, budget));
            if now % 10 == 9 {
                tape.compact(now + 1, &DETAILS[detail], &mut scratch, budget);
            }
        }
        tape
    }

    #[test]
    fn nothing_is_lost_or_counted_twice_while_it_ages() {
        for detail in 0..3 {
            let mut budget = Budget::new(1 << 20);
            let tape = filled(10_000, detail, &mut budget);
            let counted: u64 = tape.slots().flat_map(|slot| slot.pairs()).map(|(_, count)| count).sum();
            assert_eq!(counted, 10_000);
            let slots: Vec<_> = tape.slots().collect();
            assert!(slots.windows(2).all(|pair| pair[0].end() == pair[1].start), "{slots:?}");
            assert_eq!((budget.held(), tape.bytes()), (tape.bytes.len(), tape.bytes.len()));
        }
    }

    #[test]
    fn what_is_older_than_the_longest_window_is_forgotten() {
        let mut budget = Budget::new(1 << 20);
        let mut tape = filled(3000, 0, &mut budget);
        tape.compact(3000 + 43_200, &DETAILS[0], &mut Scratch::new(), &mut budget);
        assert!(tape.is_empty() && budget.held() == 0);
    }

    #[test]
    fn without_room_a_slot_is_refused_and_the_rest_stands() {
        let mut budget = Budget::new(20);
        let (mut tape, mut scratch) = (Tape::default(), Scratch::new());
        let taken = (0..10)
            .filter(|start| tape.append((*start, 0), [(1, 1)].into_iter(), &mut scratch, &mut budget))
            .count();
        assert_eq!((taken, tape.slots().count()), (5, 5));
    }
}
