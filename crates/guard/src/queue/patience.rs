//! Aging: no band is passed over for ever. One that has somebody waiting and was not served for so long gets
//! the next place, a single one, and its patience begins anew.
//!
//! It is the band that ages, not its entries. Entries that rise take a flood with them: a tenant that waits
//! for itself would, after a while, wait before everybody who is urgent.

use super::Band;
use std::time::{Duration, Instant};

/// Places in order for each that goes to a band out of order: however slowly places come back, those of the
/// highest band are most of them.
const IN_ORDER_MIN: u32 = 3;

#[derive(Debug)]
pub(super) struct Patience {
    /// How long a band waits. Zero: for ever.
    aging: Duration,
    /// Since when a band has had somebody waiting and nobody served; `None` where nobody waits.
    since: [Option<Instant>; Band::ALL.len()],
    /// Places that went in order since the last that did not.
    in_order: u32,
}

impl Patience {
    pub fn new(aging: Duration) -> Self {
        Self { aging, since: [None; Band::ALL.len()], in_order: IN_ORDER_MIN }
    }

    pub fn set(&mut self, aging: Duration) {
        self.aging = aging;
    }

    /// Somebody waits in a band.
    pub fn begin(&mut self, band: Band, now: Instant) {
        self.since[band as usize].get_or_insert(now);
    }

    /// Nobody waits in a band any more.
    pub fn end(&mut self, band: Band) {
        self.since[band as usize] = None;
    }

    /// Somebody was served in order, or at the door.
    pub fn served_in_order(&mut self) {
        self.in_order = self.in_order.saturating_add(1);
    }

    /// The band that may go out of order, if any may: of those down to `lowest`, the one that was not served
    /// for longest.
    pub fn exhausted(&self, lowest: Band, now: Instant) -> Option<Band> {
        if self.aging.is_zero() || self.in_order < IN_ORDER_MIN {
            return None;
        }
        let bands = Band::ALL.into_iter().take_while(|&band| band <= lowest);
        let waits = bands.filter_map(|band| Some((self.since[band as usize]?, band)));
        let (since, band) = waits.min()?;
        (now.saturating_duration_since(since) >= self.aging).then_some(band)
    }

    /// Somebody of a band that waits was served. `in_order`: it was the highest that could be.
    pub fn served(&mut self, band: Band, in_order: bool, now: Instant) {
        self.since[band as usize] = Some(now);
        if in_order {
            self.served_in_order();
        } else {
            self.in_order = 0;
        }
    }
}
