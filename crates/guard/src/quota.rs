//! Quota: so many requests and tokens a minute, and so many at once.
//!
//! A call is admitted by what it is expected to cost, and settled by what it did cost:
//!
//! ```text
//! reserve([(requests, 1), (tokens, 900)]) ──► Reservation ──► settle([1, 1240])   cost more: debt
//!    all of them or none                          │      └──► settle([1, 310])    cost less: credited
//!    └──► Short { index, wait }                   └──► refund()                   was never sent
//! ```
//!
//! A [`Bucket`] holds a minute's amount and fills evenly; in any time `t` it gives no more than
//! `amount × (1 + t / per)` and what the calls under way cost beyond their reservations. Debt is paid back
//! by time: until then nothing is admitted. Checking first and taking later would let every caller
//! through that asks in between, so reserving is one step over all buckets of a call.
//!
//! It is the generic cell rate algorithm (ITU-T I.371) told as a bucket, with the two things added that
//! tokens need and cells do not: a price that is known only afterwards, and several buckets at once.
//! Nothing here waits or queues, and nothing reads a clock: `now` is handed in, and a `now` before one
//! already seen counts as that one.

mod bucket;
mod meter;
mod slots;
#[cfg(test)]
mod tests;

pub use bucket::Bucket;
pub use slots::{Slot, Slots};

use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// Buckets in one reservation that need no allocation: requests and tokens of key, tenant, alias and
/// provider.
const PARTS_INLINE: usize = 8;

/// An amount per time. A bucket of it holds the whole amount at first, so a burst is as large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests, tokens or whatever is counted. 0 lets nothing through.
    pub amount: u64,
    /// In which the amount flows in, evenly: at least a nanosecond, at most 146 years.
    pub per: Duration,
}

impl Rate {
    /// So much a minute.
    #[must_use]
    pub const fn per_minute(amount: u64) -> Self {
        Self { amount, per: Duration::from_secs(60) }
    }
}

/// How a bucket stands, as `x-ratelimit-limit`, `-remaining` and `-reset` tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// What the bucket holds when full.
    pub limit: u64,
    /// Whole units left; 0 in debt.
    pub remaining: u64,
    /// Time until it is full again if nobody takes from it; [`Duration::MAX`] for never.
    pub reset: Duration,
}

/// A reservation that cannot be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// Which of the parts makes it wait longest, by its place among them.
    pub index: usize,
    /// After this time, and not a nanosecond sooner, the same reservation would be had, if nobody else
    /// takes meanwhile. [`Duration::MAX`] for never.
    pub wait: Duration,
}

/// Takes every amount from its bucket, or nothing from any.
///
/// An amount is had when the bucket holds it. One larger than the bucket is had when the bucket is full,
/// and leaves a debt: it would be refused for ever otherwise. An amount of 0 is had out of debt. A bucket
/// named twice is asked once for the sum.
///
/// # Errors
/// [`Short`] says how long to wait. Nothing has been taken then.
pub fn reserve(parts: &[(&Bucket, u64)], now: Instant) -> Result<Reservation, Short> {
    let wants = wants(parts);
    // All locks are held at once, so that nobody sees a part of a reservation, and always taken in the
    // order of the buckets' addresses, so that no two callers wait for each other.
    let mut held: SmallVec<[_; PARTS_INLINE]> = SmallVec::new();
    let mut short: Option<Short> = None;
    for want in &wants {
        let mut meter = want.bucket.lock();
        let wait = meter.wait(want.amount, now);
        if !wait.is_zero() && short.is_none_or(|short| short.wait < wait) {
            short = Some(Short { index: want.index, wait });
        }
        held.push((meter, want.amount));
    }
    if let Some(short) = short {
        return Err(short);
    }
    for (meter, amount) in &mut held {
        meter.take(*amount);
    }
    Ok(Reservation { parts: parts.iter().map(|(bucket, amount)| ((*bucket).clone(), *amount)).collect() })
}

/// What is asked of one bucket.
struct Want<'a> {
    bucket: &'a Bucket,
    amount: u64,
    index: usize,
}

/// The parts by their buckets' addresses, each bucket once.
fn wants<'a>(parts: &[(&'a Bucket, u64)]) -> SmallVec<[Want<'a>; PARTS_INLINE]> {
    let mut wants: SmallVec<[Want<'a>; PARTS_INLINE]> = SmallVec::new();
    for (index, &(bucket, amount)) in parts.iter().enumerate() {
        let place = wants.partition_point(|want| want.bucket.address() < bucket.address());
        match wants.get_mut(place) {
            Some(want) if want.bucket.address() == bucket.address() => {
                want.amount = want.amount.saturating_add(amount);
            }
            _ => wants.insert(place, Want { bucket, amount, index }),
        }
    }
    wants
}

/// What was taken for a call under way. Dropped, it stays taken: whoever does not know what a call cost
/// has not shown that it cost less.
#[derive(Debug)]
#[must_use = "settle it with what the call cost; dropped, what was reserved stays taken"]
pub struct Reservation {
    parts: SmallVec<[(Bucket, u64); PARTS_INLINE]>,
}

impl Reservation {
    /// Corrects what was reserved to what was used, in the order of the parts. More becomes debt, less is
    /// credited. A part for which `used` has no entry stays as it was reserved.
    pub fn settle(self, used: &[u64], now: Instant) {
        for ((bucket, reserved), used) in self.parts.iter().zip(used) {
            bucket.correct(*reserved, *used, now);
        }
    }

    /// Gives everything back: nothing was sent.
    pub fn refund(self, now: Instant) {
        for (bucket, reserved) in &self.parts {
            bucket.correct(*reserved, 0, now);
        }
    }
}
