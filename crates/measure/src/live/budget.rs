//! The cap on what the figures take: whoever is about to allocate asks here first. It counts the bytes asked
//! of the allocator, not what the allocator rounds them up to.

/// Bytes held, and the most there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    held: usize,
    max: usize,
    /// What of it is only for those who insist.
    reserved: usize,
}

impl Budget {
    pub(super) fn new(max: usize) -> Self {
        Self { held: 0, max, reserved: 0 }
    }

    /// Keeps so many bytes for those who insist.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.reserved += bytes;
    }

    /// Takes so many bytes, unless that would pass the cap.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.max.saturating_sub(self.reserved).saturating_sub(self.held);
        if fits {
            self.held += bytes;
        }
        fits
    }

    /// Takes so many bytes of what is reserved: for the few that cannot be refused.
    pub(super) fn insist(&mut self, bytes: usize) {
        self.reserved = self.reserved.saturating_sub(bytes);
        self.held += bytes;
    }

    /// Gives bytes back.
    pub(super) fn give(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Whether more than three quarters are taken: time to make room, before somebody is refused.
    pub(super) fn is_tight(&self) -> bool {
        self.held > self.max / 4 * 3
    }

    /// Whether less than a quarter is taken.
    pub(super) fn is_roomy(&self) -> bool {
        self.held < self.max / 4
    }
}
