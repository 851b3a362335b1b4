//! What has gone through a pool, and what that says of its size.

/// Sums since the pool was made, and how it stands now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Loans.
    pub borrowed: u64,
    /// Loans for which an object had to be made: the misses.
    pub made: u64,
    /// Loans that came back and were kept.
    pub returned: u64,
    /// Loans that came back while there was no room.
    pub dropped_full: u64,
    /// Loans that came back bigger than is kept.
    pub dropped_grown: u64,
    /// Loans whose borrower panicked.
    pub dropped_in_panic: u64,
    /// Loans that their borrower kept.
    pub kept_by_borrower: u64,
    /// Idle objects let go because nobody needed them.
    pub trimmed: u64,
    /// On loan now.
    pub out: usize,
    /// The most that were on loan at once: each thread's own most, added up, and therefore never less
    /// than the truth.
    pub most_at_once: usize,
    /// Idle now.
    pub idle: usize,
    /// The fewest that were idle since the last trim, each thread's own added up: what nobody needed.
    pub idle_low: usize,
    /// How many may lie idle.
    pub room: usize,
}

/// What should be changed, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Many loans have to be made anew because there was no room for those that came back.
    KeepMore {
        /// The most that were on loan at once.
        kept: usize,
    },
    /// Far more lie idle than anybody needs.
    KeepFewer {
        /// The most that were on loan at once, with as many again to spare.
        kept: usize,
    },
    /// Many come back too big to be kept: what is borrowed for is larger than `size_max`.
    KeepBigger,
}

/// Loans before which nothing is advised.
const ENOUGH: u64 = 1000;

/// A pool of fewer objects than this is never called too large.
const SMALL: usize = 16;

impl Report {
    /// Share of the loans, 0 to 1, for which an object had to be made.
    pub fn miss_share(&self) -> f64 {
        if self.borrowed == 0 { 0.0 } else { self.made as f64 / self.borrowed as f64 }
    }

    /// What has happened since an `earlier` report; what only stands, and does not add up, as it is now.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            borrowed: self.borrowed - earlier.borrowed,
            made: self.made - earlier.made,
            returned: self.returned - earlier.returned,
            dropped_full: self.dropped_full - earlier.dropped_full,
            dropped_grown: self.dropped_grown - earlier.dropped_grown,
            dropped_in_panic: self.dropped_in_panic - earlier.dropped_in_panic,
            kept_by_borrower: self.kept_by_borrower - earlier.kept_by_borrower,
            trimmed: self.trimmed - earlier.trimmed,
            ..*self
        }
    }

    /// What to change, if anything: more room where over a tenth of the loans are made anew and most of
    /// those for want of room; a larger `size_max` where most of them had grown; less room where three
    /// quarters of it lay idle all the time.
    pub fn advice(&self) -> Option<Advice> {
        if self.borrowed < ENOUGH {
            return None;
        }
        if self.made * 10 > self.borrowed {
            if self.dropped_full * 2 > self.made {
                return Some(Advice::KeepMore { kept: self.most_at_once.max(self.room + 1) });
            }
            return (self.dropped_grown * 2 > self.made).then_some(Advice::KeepBigger);
        }
        let oversized = self.room > SMALL && self.idle_low * 4 > self.room * 3;
        let needed = self.room.saturating_sub(self.idle_low);
        oversized.then_some(Advice::KeepFewer { kept: (needed * 2).max(SMALL) })
    }

    /// Both together.
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            borrowed: self.borrowed + other.borrowed,
            made: self.made + other.made,
            returned: self.returned + other.returned,
            dropped_full: self.dropped_full + other.dropped_full,
            dropped_grown: self.dropped_grown + other.dropped_grown,
            dropped_in_panic: self.dropped_in_panic + other.dropped_in_panic,
            kept_by_borrower: self.kept_by_borrower + other.kept_by_borrower,
            trimmed: self.trimmed + other.trimmed,
            out: self.out + other.out,
            most_at_once: self.most_at_once + other.most_at_once,
            idle: self.idle + other.idle,
            idle_low: self.idle_low + other.idle_low,
            room: self.room + other.room,
        }
    }
}
