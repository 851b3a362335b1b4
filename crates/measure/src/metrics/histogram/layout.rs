//! Which cell a value is counted in, and which buckets are made of which cells.
//!
//! The borders between cells are the bounds of the classic buckets and those of the [`native`] ones together, so that
//! a bucket of either kind is a run of whole cells, and both kinds are exact though a value is counted once.

use super::native;

/// The bits of a number before those that tell values of an eighth of an octave apart. The eighths are equally wide
/// here, so that each has a border of native buckets in it, or two.
const LEADING: u32 = f64::MANTISSA_DIGITS - 1 - native::SCHEMA as u32;

/// Eighths of octaves from the zero bucket's bound to the last bucket's, and the one that begins there.
const EIGHTHS: usize = (native::LAST - native::FIRST + 2) as usize;

/// The cells of histograms that have the same classic buckets.
#[derive(Debug)]
pub(super) struct Layout {
    /// The highest value of each cell, ascending. There is one cell more, for what is above all of them.
    borders: Box<[f64]>,
    /// Where to look for the cells of values in each eighth of an octave: the first that they may be in.
    firsts: [u16; EIGHTHS],
    /// The classic bucket that each cell is a part of.
    classic: Box<[u16]>,
    /// The native one; of the zero bucket's cells, a number less than the first.
    native: Box<[i32]>,
    bounds: &'static [f64],
}

impl Layout {
    /// With these classic bounds, ascending.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let natives: Vec<f64> = (native::FIRST - 1..=native::LAST).map(native::upper_bound).collect();
        let mut borders: Vec<f64> = natives.iter().chain(bounds).copied().collect();
        borders.sort_by(f64::total_cmp);
        borders.dedup();
        let tops = || borders.iter().copied().chain([f64::INFINITY]);
        let below = |all: &[f64], top: f64| all.partition_point(|bound| *bound < top);
        Self {
            classic: tops().map(|top| below(bounds, top) as u16).collect(),
            native: tops().map(|top| below(&natives, top) as i32 + native::FIRST - 1).collect(),
            firsts: std::array::from_fn(|eighth| below(&borders, beginning(eighth)) as u16),
            borders: borders.into(),
            bounds,
        }
    }

    /// How many cells there are.
    pub(super) fn cells(&self) -> usize {
        self.borders.len() + 1
    }

    /// The cell of a value. What is no number counts as zero, as does what is less.
    #[inline]
    pub(super) fn cell(&self, value: f64) -> usize {
        // Not `max`, which may choose the zero that has a sign, and with it a bit before all others.
        let value = if value > 0.0 { value } else { 0.0 };
        let eighth = leading_of(value).saturating_sub(leading_of(native::ZERO_THRESHOLD));
        let first = usize::from(self.firsts[(eighth as usize).min(EIGHTHS - 1)]);
        // A few steps at most: an eighth has a border or two, and seldom a classic one between them.
        first + self.borders[first..].iter().take_while(|border| **border < value).count()
    }

    /// The bounds of the classic buckets.
    pub(super) fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// The classic bucket of a value.
    pub(super) fn classic_bucket(&self, value: f64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }

    /// How many values each classic bucket holds, not added up, and beyond the last bound.
    pub(super) fn classic(&self, cells: &[u64]) -> Vec<u64> {
        let mut buckets = vec![0; self.bounds.len() + 1];
        for (bucket, count) in self.classic.iter().zip(cells) {
            buckets[usize::from(*bucket)] += count;
        }
        buckets
    }

    /// How many values the zero bucket holds, and each native one.
    pub(super) fn native(&self, cells: &[u64]) -> (u64, native::Buckets) {
        let (mut zero, mut counts) = (0, Vec::<(i32, u64)>::new());
        for (bucket, count) in self.native.iter().copied().zip(cells.iter().copied()) {
            match counts.last_mut() {
                _ if bucket < native::FIRST => zero += count,
                Some((last, sum)) if *last == bucket => *sum += count,
                _ => counts.push((bucket, count)),
            }
        }
        (zero, native::Buckets::of(counts))
    }
}

/// The least value that is looked for in an eighth of an octave.
fn beginning(eighth: usize) -> f64 {
    match eighth {
        0 => 0.0,
        _ => f64::from_bits((leading_of(native::ZERO_THRESHOLD) + eighth as u64) << LEADING),
    }
}

fn leading_of(value: f64) -> u64 {
    value.to_bits() >> LEADING
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use proptest::prelude::*;

    /// One bound is native too, one is below all of those, one above.
    const BOUNDS: &[f64] = &[1e-9, 0.001, 0.3, 1.0, 1.01, 1e6];

    /// How many values are in each cell.
    fn counted(layout: &Layout, values: &[f64]) -> Vec<u64> {
        let mut cells = vec![0; layout.cells()];
        values.iter().for_each(|value| cells[layout.cell(*value)] += 1);
        cells
    }

    #[test]
    fn a_bound_is_in_its_bucket_and_what_is_more_in_the_next() {
        let layout = Layout::new(BOUNDS);
        let natives = (native::FIRST - 1..=native::LAST).map(native::upper_bound);
        for bound in natives.chain(BOUNDS.iter().copied()) {
            let (at, above) = (layout.cell(bound), layout.cell(bound.next_up()));
            assert_eq!((layout.borders[at], above), (bound, at + 1));
        }
    }

    #[test]
    fn what_has_no_place_counts_at_the_ends() {
        let layout = Layout::new(BOUNDS);
        for (value, classic, zero) in [
            (0.0, 0, 1),
            (-0.0, 0, 1),
            (-1.0, 0, 1),
            (f64::NAN, 0, 1),
            (f64::MIN_POSITIVE, 0, 1),
            (native::ZERO_THRESHOLD, 1, 1),
            (20_000.0, 5, 0),
            (f64::INFINITY, 6, 0),
        ] {
            let cells = counted(&layout, &[value]);
            assert_eq!(layout.classic(&cells)[classic], 1, "{value}");
            let (zeros, buckets) = layout.native(&cells);
            assert_eq!((zeros, buckets.deltas.len()), (zero, usize::from(zero == 0)), "{value}");
            assert!(buckets.spans.iter().all(|span| span.offset == native::LAST + 1), "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_in_the_one_bucket_of_each_kind_whose_bounds_it_is_between(
            value in prop_oneof![any::<f64>(), 0.0..20_000.0, 1e-9..1e-3]
        ) {
            let layout = Layout::new(BOUNDS);
            let cells = counted(&layout, &[value]);
            let place = if value > 0.0 { value } else { 0.0 };
            let classic = BOUNDS.partition_point(|bound| *bound < place);
            prop_assert_eq!(layout.classic(&cells)[classic], 1);
            let (zeros, buckets) = layout.native(&cells);
            prop_assert_eq!(zeros == 1, place <= native::ZERO_THRESHOLD);
            if let [span] = buckets.spans.as_slice() {
                prop_assert!(native::upper_bound(span.offset - 1) < place);
                prop_assert!(place <= native::upper_bound(span.offset) || span.offset == native::LAST + 1);
            }
        }

        #[test]
        fn both_kinds_hold_every_value(values in proptest::collection::vec(0.0..100.0_f64, 0..200)) {
            let layout = Layout::new(BOUNDS);
            let cells = counted(&layout, &values);
            let (zeros, buckets) = layout.native(&cells);
            let mut held = 0;
            let native: i64 = buckets.deltas.iter().map(|delta| { held += delta; held }).sum();
            let all = values.len() as u64;
            prop_assert_eq!((layout.classic(&cells).iter().sum::<u64>(), native as u64 + zeros), (all, all));
        }
    }
}
