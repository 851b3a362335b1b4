//! The most and the least of something of late: in the round under way and in the one before. A round ends with
//! `turn`, so that what was unusual is forgotten after two.

/// What was seen at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peak {
    now: usize,
    before: usize,
}

impl Peak {
    /// There are so many.
    pub(super) fn see(&mut self, count: usize) {
        self.now = self.now.max(count);
    }

    /// The most of both rounds.
    pub(super) fn recent(&self) -> usize {
        self.now.max(self.before)
    }

    /// A new round begins with so many.
    pub(super) fn turn(&mut self, count: usize) {
        *self = Self { now: count, before: self.now };
    }
}

/// What was seen at least. It begins with none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trough {
    now: usize,
    before: usize,
}

impl Trough {
    /// There are so many.
    pub(super) fn see(&mut self, count: usize) {
        self.now = self.now.min(count);
    }

    /// The least of both rounds.
    pub(super) fn recent(&self) -> usize {
        self.now.min(self.before)
    }

    /// A new round begins with so many.
    pub(super) fn turn(&mut self, count: usize) {
        *self = Self { now: count, before: self.now };
    }
}
