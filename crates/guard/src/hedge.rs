//! Hedging: asking a second time when an answer is later than nearly all of late ("The Tail at Scale",
//! Dean and Barroso, 2013). What may be asked twice, and which of two answers is taken, is for the caller.
//!
//! [`Quantile`] says when an answer is late, from what was measured; [`budget`] bounds what asking twice
//! adds, so that it stays a remedy for a few where all are late.

mod quantile;

pub use quantile::Quantile;

use crate::retry::{self, Budget};
use std::time::{Duration, Instant};

/// How far back answers and hedges are counted, about.
pub const WINDOW: Duration = Duration::from_secs(30);

/// The largest share of requests that may be hedged.
pub const SHARE_MAX: f64 = 0.05;

/// Hedges for a share of the requests, [`SHARE_MAX`] at most: each request is a deposit, each hedge a
/// withdrawal. With too few requests in [`WINDOW`] to make a whole hedge there is none.
#[must_use]
pub fn budget(share: f64, now: Instant) -> Budget {
    Budget::new(options(share), now)
}

/// What such a budget goes by.
#[must_use]
pub fn options(share: f64) -> retry::Options {
    retry::Options { share: share.clamp(0.0, SHARE_MAX), per_second: 0.0, window: WINDOW }
}

#[cfg(test)]
mod tests {
    use super::budget;
    use std::time::{Duration, Instant};

    /// Hedges that may be made of a thousand requests.
    fn hedges(share: f64) -> u64 {
        let now = Instant::now();
        let budget = budget(share, now);
        (0..1000).for_each(|_| budget.deposit(now));
        budget.left(now + Duration::from_secs(1))
    }

    #[test]
    fn a_few_of_a_hundred_may_be_hedged_and_never_more_than_five() {
        for (share, of_a_thousand) in [(0.02, 20), (0.05, 50), (0.5, 50), (0.0, 0), (-1.0, 0), (f64::NAN, 0)]
        {
            assert_eq!(hedges(share), of_a_thousand, "{share}");
        }
    }
}
