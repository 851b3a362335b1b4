//! How time is cut into slots, and how these grow coarser as they age.
//!
//! Time is counted in slots of two seconds, the finest there are. As one ages it is joined with its neighbours
//! into a longer one, so that a day is some 250 slots and every moment of it is kept once. Percentiles lose
//! nothing by this, as the counts of equal buckets are added; what is lost is where within the longer slot a
//! sample was.
//!
//! How soon that happens is a [`Detail`]. Where memory is tight, less detail is kept: first the edges of
//! windows and the steps of charts grow coarser, and only then are the longest windows given up.

/// The length of a slot of each level: 2 s, 10 s, 1 min, 10 min, 1 h, 6 h.
pub(super) const LENGTHS: [u32; 6] = [1, 5, 30, 300, 1800, 10_800];
/// Milliseconds of the finest slot.
pub(super) const SLOT_MS: u64 = 2000;
/// The level whose slots are a minute.
pub(super) const MINUTE: u8 = 2;

const S10: u32 = 5;
const M1: u32 = 30;
const M10: u32 = 300;
const H1: u32 = 1800;
const H24: u32 = 43_200;

/// How much detail is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Detail {
    /// How long slots of each level are kept after the longer slot around them is over.
    keep: [u32; LENGTHS.len()],
    /// How long anything is kept.
    pub(super) age: u32,
}

/// From the finest to the coarsest. A slot is never longer than the shortest window it is in, so that a window is
/// at most about twice as long as it is called.
pub(super) const DETAILS: [Detail; 5] = [
    // A chart of every window but the shortest has 30 steps or more.
    Detail { keep: [M1, M10, H1, H24, H24, H24], age: H24 },
    Detail { keep: [S10, M1, M10, H1, H24, H24], age: H24 },
    // A few slots of each length.
    Detail { keep: [0, S10, M1, M10, H1, H24], age: H24 },
    // No day any more.
    Detail { keep: [0, S10, M1, H1, H1, H1], age: H1 },
    // No hour.
    Detail { keep: [0, S10, M10, M10, M10, M10], age: M10 },
];

impl Detail {
    /// Where a slot belongs at `now`: the start and level of the slot it is joined into, which may be its own.
    /// `None` once it is forgotten.
    pub(super) fn place(&self, start: u32, level: u8, now: u32) -> Option<(u32, u8)> {
        if end(start, level) + self.age <= now {
            return None;
        }
        let (mut start, mut level) = (start, level);
        while usize::from(level) + 1 < LENGTHS.len() {
            let longer = start - start % length(level + 1);
            let kept = self.keep[usize::from(level)];
            if end(longer, level + 1) + kept > now {
                break;
            }
            (start, level) = (longer, level + 1);
        }
        Some((start, level))
    }
}

/// How long a slot of this level is.
pub(super) fn length(level: u8) -> u32 {
    LENGTHS.get(usize::from(level)).copied().unwrap_or(1)
}

/// The first slot after this one.
pub(super) fn end(start: u32, level: u8) -> u32 {
    start + length(level)
}

#[cfg(test)]
mod tests {
    use super::{DETAILS, H1, H24, LENGTHS, M1, M10, end};

    #[test]
    fn a_slot_is_joined_once_the_longer_one_around_it_is_old_enough() {
        let full = &DETAILS[0];
        for (now, place) in [
            (7, (6, 0)),
            (10 + M1 - 1, (6, 0)),
            (10 + M1, (5, 1)),
            (30 + M10, (0, 2)),
            (300 + H1, (0, 3)),
            (6 + H24, (0, 3)),
        ] {
            assert_eq!(full.place(6, 0, now), Some(place), "at {now}");
        }
        assert_eq!(full.place(6, 0, 7 + H24), None);
    }

    #[test]
    fn the_coarser_the_detail_the_fewer_slots() {
        let mut fewest = usize::MAX;
        for (detail, slots_max) in DETAILS.iter().zip([300, 70, 40, 35, 30]) {
            let now = 200_000;
            let mut places: Vec<_> = (0..now).filter_map(|start| detail.place(start, 0, now)).collect();
            places.dedup();
            assert!(places.len() <= slots_max.min(fewest), "{} slots of {detail:?}", places.len());
            fewest = places.len();
        }
    }

    #[test]
    fn slots_never_overlap() {
        for detail in &DETAILS {
            for now in [40_000_u32, 40_001, 43_199, 53_999, 54_000, 123_456] {
                let mut before = 0;
                for start in now.saturating_sub(H24)..now {
                    let Some((start, level)) = detail.place(start, 0, now) else { continue };
                    assert!(start >= before || end(start, level) == before, "{start} at level {level}");
                    before = end(start, level);
                }
            }
        }
        assert!(LENGTHS.windows(2).all(|pair| pair[1] % pair[0] == 0));
    }
}
