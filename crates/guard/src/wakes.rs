//! Wakers taken from under a lock, to be woken after it: whoever is woken wants that very lock, and
//! dropping the last handle of a task may drop a seat or a permit in it.

use std::task::Waker;

/// As many as one turn of the lock collects, without an allocation.
const BATCH: usize = 16;

/// A few wakers on the stack.
pub(crate) struct Wakes {
    wakers: [Option<Waker>; BATCH],
    count: usize,
}

impl Wakes {
    pub fn new() -> Self {
        Self { wakers: [const { None }; BATCH], count: 0 }
    }

    pub fn is_full(&self) -> bool {
        self.count == BATCH
    }

    /// Adds one; there must be room.
    pub fn add(&mut self, waker: Waker) {
        self.wakers[self.count] = Some(waker);
        self.count += 1;
    }

    /// Wakes them all and is empty again.
    pub fn wake(&mut self) {
        for waker in &mut self.wakers[..self.count] {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
        self.count = 0;
    }
}
