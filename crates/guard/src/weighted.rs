//! A choice among few things by weight: stateless, so that no lock and no shared counter stands
//! between two requests. It does not know which of them are healthy.

/// Things with weights, ready to be drawn from in `O(n)` over a handful of entries.
#[derive(Clone, Debug)]
pub struct Weighted<T> {
    entries: Box<[Entry<T>]>,
    total: u64,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    item: T,
    /// Sum of the weights up to and including this entry.
    upto: u64,
}

impl<T> Weighted<T> {
    /// Takes `(item, weight)` pairs; entries of weight 0 are kept but never drawn. `None` where
    /// nothing could ever be drawn.
    pub fn new(entries: impl IntoIterator<Item = (T, u32)>) -> Option<Self> {
        let mut total = 0_u64;
        let entries: Box<[_]> = entries
            .into_iter()
            .map(|(item, weight)| {
                total += u64::from(weight);
                Entry { item, upto: total }
            })
            .collect();
        (total > 0).then_some(Self { entries, total })
    }

    /// The item that a uniformly distributed `dice` falls on. The same dice gives the same item,
    /// which is what makes an assignment sticky where the dice is a hash.
    pub fn draw(&self, dice: u64) -> &T {
        // Scaled by a wide multiplication: `%` would cost a division and favour the first entries.
        let point = ((u128::from(dice) * u128::from(self.total)) >> 64) as u64;
        let index = self.entries.partition_point(|entry| entry.upto <= point);
        // `point` is below `total`, the last entry's `upto`, so the index is always in bounds.
        &self.entries[index.min(self.entries.len() - 1)].item
    }

    /// Every item, drawn or not, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|entry| &entry.item)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Weighted;

    /// Draws evenly over the whole range of the dice and counts who came up.
    fn shares(weights: &[u32], draws: u64) -> Vec<u64> {
        let choice = Weighted::new(weights.iter().copied().enumerate()).unwrap();
        let mut counts = vec![0; weights.len()];
        for step in 0..draws {
            // From the middle of each slice, so that rounding cannot move a draw over a border.
            counts[*choice.draw(step * (u64::MAX / draws) + u64::MAX / draws / 2)] += 1;
        }
        counts
    }

    #[test]
    fn shares_follow_the_weights() {
        assert_eq!(shares(&[9, 1], 1000), [900, 100]);
        assert_eq!(shares(&[1, 1, 2], 400), [100, 100, 200]);
        assert_eq!(shares(&[7], 10), [10]);
    }

    #[test]
    fn a_weight_of_zero_is_never_drawn() {
        assert_eq!(shares(&[0, 5, 0], 100), [0, 100, 0]);
        assert!(Weighted::new([("a", 0)]).is_none());
        assert!(Weighted::<()>::new([]).is_none());
    }

    #[test]
    fn the_ends_of_the_dice_are_in_bounds() {
        let choice = Weighted::new([("a", u32::MAX), ("b", u32::MAX)]).unwrap();
        assert_eq!(*choice.draw(0), "a");
        assert_eq!(*choice.draw(u64::MAX), "b");
    }
}
