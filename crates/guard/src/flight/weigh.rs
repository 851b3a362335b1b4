//! How many bytes an item keeps in memory.

use std::sync::Arc;

/// Something with a weight in bytes.
pub trait Weigh {
    /// Bytes that keeping this costs, what it points to included. It must not change while the item
    /// is kept. An item that says 0 counts as 1, so that no number of items escapes the bounds.
    fn weigh(&self) -> usize;
}

impl Weigh for [u8] {
    fn weigh(&self) -> usize {
        self.len()
    }
}

impl Weigh for Vec<u8> {
    fn weigh(&self) -> usize {
        self.capacity()
    }
}

/// Counted whole for each item, even where several share it.
impl<T: Weigh + ?Sized> Weigh for Arc<T> {
    fn weigh(&self) -> usize {
        (**self).weigh()
    }
}
