//! The items of one flight that are still needed, and how many readers stand where.
//!
//! A reader is only a position, the number of the item it reads next; whoever reads keeps it. Each
//! item counts the readers that stand before it. So reading, joining and dropping what everybody has
//! read cost the same with two readers as with a thousand. It knows nothing of seats and wakers.

use super::ledger::Ledger;
use std::collections::VecDeque;
use std::sync::Arc;

/// A window on the items: all of them while it is whole, later those that somebody has yet to read.
pub(super) struct Tape<T> {
    items: VecDeque<Kept<T>>,
    /// The number of the first item kept.
    first: usize,
    /// Readers that have read everything there is.
    abreast: usize,
    bytes: usize,
    /// Whether what everybody has read is kept too, for readers yet to come.
    whole: bool,
    ledger: Arc<Ledger>,
}

struct Kept<T> {
    item: T,
    bytes: usize,
    /// Readers that read this item next.
    readers: usize,
}

impl<T> Tape<T> {
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { items: VecDeque::new(), first: 0, abreast: 0, bytes: 0, whole: true, ledger }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether every item since the first is here.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether some reader has read everything there is.
    pub fn has_reader_abreast(&self) -> bool {
        self.abreast > 0
    }

    /// A reader comes to item 0. The tape must be whole.
    pub fn join(&mut self) {
        debug_assert!(self.whole, "item 0 may be gone");
        *self.readers_at(0) += 1;
    }

    /// A reader at `position` goes.
    pub fn leave(&mut self, position: usize) {
        *self.readers_at(position) -= 1;
        self.trim();
    }

    /// Takes an item, for everybody who has joined and, while the tape is whole, who will.
    pub fn push(&mut self, item: T, bytes: usize) {
        self.items.push_back(Kept { item, bytes, readers: std::mem::take(&mut self.abreast) });
        self.bytes += bytes;
        self.ledger.add_bytes(bytes);
        self.trim();
    }

    /// Stops keeping what everybody has read.
    pub fn close(&mut self) {
        self.whole = false;
        self.trim();
    }

    /// The position that readers must have reached for fewer than `bytes` to stay unread.
    pub fn cut(&self, bytes: usize) -> usize {
        let mut unread = 0_usize;
        let fits = |kept: &&Kept<T>| {
            unread = unread.saturating_add(kept.bytes);
            unread < bytes
        };
        self.end() - self.items.iter().rev().take_while(fits).count()
    }

    /// One past the number of the last item.
    pub fn end(&self) -> usize {
        self.first + self.items.len()
    }

    /// The count that a reader at `position` is part of. Readers never stand before the first item
    /// kept: what they have yet to read is what is kept.
    fn readers_at(&mut self, position: usize) -> &mut usize {
        match self.items.get_mut(position - self.first) {
            Some(kept) => &mut kept.readers,
            None => &mut self.abreast,
        }
    }

    fn trim(&mut self) {
        let mut freed = 0;
        while !self.whole && self.items.front().is_some_and(|kept| kept.readers == 0) {
            freed += self.items.pop_front().map_or(0, |kept| kept.bytes);
            self.first += 1;
        }
        if freed > 0 {
            self.bytes -= freed;
            self.ledger.take_bytes(freed);
        }
    }
}

impl<T: Clone> Tape<T> {
    /// The item for a reader at `position`, who stands one further afterwards; `None`, without a
    /// step, where it has read everything.
    pub fn read(&mut self, position: usize) -> Option<T> {
        let kept = self.items.get_mut(position - self.first)?;
        let item = kept.item.clone();
        kept.readers -= 1;
        *self.readers_at(position + 1) += 1;
        self.trim();
        Some(item)
    }
}

impl<T> Drop for Tape<T> {
    fn drop(&mut self) {
        self.ledger.take_bytes(self.bytes);
    }
}
