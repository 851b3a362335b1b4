//! How the workers of a process are divided among its queues: each by its weight, and what one does not need
//! goes to the others (weighted max-min fairness: Bertsekas and Gallager, *Data Networks*, 6.5.2).

/// What a queue asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Its share beside the others'; no less than 1.
    pub weight: u32,
    /// Workers that it could use.
    pub want: u32,
}

/// Workers for each queue, no more than `total` in all and than it wants. The next worker goes to whoever has
/// none, in their order, and then to whoever has least for its weight.
#[must_use]
pub fn shares(total: u32, demands: &[Demand]) -> Vec<u32> {
    let mut shares = vec![0_u32; demands.len()];
    for _ in 0..total {
        let wants = |index: &usize| shares[*index] < demands[*index].want;
        let next = (0..demands.len()).filter(wants).min_by(|a, b| {
            let (has_any, others) = (shares[*a] > 0, shares[*b] > 0);
            has_any.cmp(&others).then_with(|| {
                // Workers for the weight, with one more each; multiplied out, as quotients are not exact.
                let (mine, theirs) = (u64::from(shares[*a]) + 1, u64::from(shares[*b]) + 1);
                (mine * demands[*b].weight()).cmp(&(theirs * demands[*a].weight()))
            })
        });
        let Some(next) = next else { break };
        shares[next] += 1;
    }
    shares
}

impl Demand {
    fn weight(self) -> u64 {
        u64::from(self.weight.max(1))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Demand, shares};
    use proptest::prelude::*;

    #[test]
    fn each_has_by_its_weight_and_the_rest_of_others() {
        let check = |total, demands: &[(u32, u32)], expected: &[u32]| {
            let demands: Vec<_> =
                demands.iter().map(|(weight, want)| Demand { weight: *weight, want: *want }).collect();
            assert_eq!(shares(total, &demands), expected, "{total} {demands:?}");
        };
        check(100, &[(1, 100)], &[100]);
        check(100, &[(1, 100), (1, 100)], &[50, 50]);
        check(100, &[(3, 100), (1, 100)], &[75, 25]);
        check(100, &[(3, 10), (1, 100)], &[10, 90]);
        check(100, &[(3, 0), (1, 20)], &[0, 20]);
        check(6, &[(5, 9), (1, 9)], &[5, 1]);
        // Nobody starves, however little it weighs.
        check(2, &[(5, 9), (1, 9)], &[1, 1]);
        check(3, &[(0, 9), (0, 9), (0, 9)], &[1, 1, 1]);
        check(0, &[(1, 9)], &[0]);
        check(9, &[], &[]);
    }

    proptest! {
        #[test]
        fn nothing_is_wasted_and_nobody_has_more_for_its_weight_than_one_who_wants(
            total in 0_u32..200,
            demands in prop::collection::vec((1_u32..10, 0_u32..150), 0..6),
        ) {
            let demands: Vec<_> = demands.into_iter().map(|(weight, want)| Demand { weight, want }).collect();
            let given = shares(total, &demands);
            let wanted: u32 = demands.iter().map(|demand| demand.want).sum();
            prop_assert_eq!(given.iter().sum::<u32>(), total.min(wanted));
            for (mine, demand) in given.iter().zip(&demands) {
                prop_assert!(*mine <= demand.want);
                for (theirs, other) in given.iter().zip(&demands) {
                    // Who has less than it wants could not have one more without having more than another.
                    let fair = *mine == demand.want || *theirs <= 1
                        || (mine + 1) * other.weight >= theirs * demand.weight;
                    prop_assert!(fair, "{:?} of {:?}", given, demands);
                }
            }
        }
    }
}
