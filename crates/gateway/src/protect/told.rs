//! How much of something that only grows has been read already.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The most that was read.
#[derive(Debug, Default)]
pub struct Told(AtomicU64);

impl Told {
    /// What has come since the last reading. Several may read at once: nothing is told twice.
    pub fn more(&self, total: u64) -> u64 {
        total.saturating_sub(self.0.fetch_max(total, Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::Told;

    #[test]
    fn nothing_is_told_twice() {
        let told = Told::default();
        assert_eq!([3, 3, 2, 5].map(|total| told.more(total)), [3, 0, 0, 2]);
    }
}
