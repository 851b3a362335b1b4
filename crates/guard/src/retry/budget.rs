//! The budget: a share of the requests of late, and a few a second beside, so that who asks seldom may
//! retry too (Finagle's `RetryBudget`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pieces that the window is counted in: it is a tenth shorter at times.
const SLICES: usize = 10;
/// What one withdrawal costs, so that shares are told in whole numbers.
const WITHDRAWAL: u64 = 1_000_000;

/// What a budget allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Withdrawals for each deposit, 0.2 for a fifth; no less than 0.
    pub share: f64,
    /// Withdrawals a second beside, be there deposits or not.
    pub per_second: f64,
    /// Over which it is counted: deposits and withdrawals are forgotten after it.
    pub window: Duration,
}

impl Default for Options {
    /// Finagle's: 20 % and 10 a second, over ten seconds.
    fn default() -> Self {
        Self { share: 0.2, per_second: 10.0, window: Duration::from_secs(10) }
    }
}

/// Retries that may be made. A clone is another handle to the same budget.
///
/// Of a window's withdrawals there are never more than `share × deposits + per_second × window`, both
/// counted over the same window.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Mutex<Account>>);

impl Budget {
    /// An account with what `per_second` gives and nothing deposited.
    #[must_use]
    pub fn new(options: Options, now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Account::new(options, now))))
    }

    /// Counts a request: every one that is begun, none that is tried again.
    pub fn deposit(&self, now: Instant) {
        let mut account = self.lock();
        let slice = account.advance(now);
        slice.deposits = slice.deposits.saturating_add(1);
    }

    /// Takes leave for one retry, if there is any.
    #[must_use]
    pub fn withdraw(&self, now: Instant) -> bool {
        let mut account = self.lock();
        account.advance(now);
        let had = account.balance() >= u128::from(WITHDRAWAL);
        if had {
            let slice = account.advance(now);
            slice.withdrawals = slice.withdrawals.saturating_add(1);
        }
        had
    }

    /// Retries that could be made now.
    #[must_use]
    pub fn left(&self, now: Instant) -> u64 {
        let mut account = self.lock();
        account.advance(now);
        u64::try_from(account.balance() / u128::from(WITHDRAWAL)).unwrap_or(u64::MAX)
    }

    /// Other options from now on. With another window it begins anew.
    pub fn set_options(&self, options: Options, now: Instant) {
        let mut account = self.lock();
        let new = Account::new(options, now);
        if account.slice_nanos == new.slice_nanos {
            (account.deposit, account.floor) = (new.deposit, new.floor);
        } else {
            *account = new;
        }
    }

    /// An account is whole at every moment, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Account {
    /// What a deposit is worth, in parts of a withdrawal.
    deposit: u64,
    /// What there is without any.
    floor: u64,
    slice_nanos: u64,
    born: Instant,
    /// The latest slice seen.
    latest: u64,
    slices: [Slice; SLICES],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    number: u64,
    deposits: u64,
    withdrawals: u64,
}

impl Account {
    fn new(options: Options, now: Instant) -> Self {
        // Casting keeps within bounds, and makes nothing of what is not a number.
        let parts = |withdrawals: f64| (withdrawals * WITHDRAWAL as f64).round() as u64;
        let slice_nanos = u64::try_from(options.window.as_nanos()).unwrap_or(u64::MAX) / SLICES as u64;
        Self {
            deposit: parts(options.share),
            floor: parts(options.per_second * options.window.as_secs_f64()),
            slice_nanos: slice_nanos.max(1),
            born: now,
            latest: 0,
            slices: [Slice::default(); SLICES],
        }
    }

    /// The present slice, empty where it has just begun.
    fn advance(&mut self, now: Instant) -> &mut Slice {
        let nanos = u64::try_from(now.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX);
        self.latest = self.latest.max(nanos / self.slice_nanos);
        let slice = &mut self.slices[self.latest as usize % SLICES];
        if slice.number != self.latest {
            *slice = Slice { number: self.latest, ..Slice::default() };
        }
        slice
    }

    /// What is left, in parts of a withdrawal.
    fn balance(&self) -> u128 {
        let recent = self.slices.iter().filter(|slice| slice.number + SLICES as u64 > self.latest);
        let (deposits, withdrawals) = recent.fold((0_u128, 0_u128), |(deposits, withdrawals), slice| {
            (deposits + u128::from(slice.deposits), withdrawals + u128::from(slice.withdrawals))
        });
        let given = deposits.saturating_mul(u128::from(self.deposit)).saturating_add(u128::from(self.floor));
        given.saturating_sub(withdrawals.saturating_mul(u128::from(WITHDRAWAL)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Budget, Options, SLICES};
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    /// How many of `tries` are allowed at once.
    fn allowed(budget: &Budget, tries: usize, now: Instant) -> usize {
        (0..tries).filter(|_| budget.withdraw(now)).count()
    }

    fn budget(share: f64, per_second: f64, now: Instant) -> Budget {
        Budget::new(Options { share, per_second, ..Options::default() }, now)
    }

    #[test]
    fn a_share_of_the_requests_may_be_retried() {
        for (share, requests, retries) in [(0.2, 100, 20), (0.2, 4, 0), (0.2, 5, 1), (1.0, 7, 7), (0.0, 9, 0)]
        {
            let now = Instant::now();
            let budget = budget(share, 0.0, now);
            (0..requests).for_each(|_| budget.deposit(now));
            assert_eq!(allowed(&budget, 1000, now), retries, "{share} of {requests}");
        }
    }

    #[test]
    fn who_asks_seldom_has_a_few_a_second() {
        let now = Instant::now();
        let budget = budget(0.2, 10.0, now);
        assert_eq!((budget.left(now), allowed(&budget, 1000, now)), (100, 100));
        assert_eq!(budget.left(now + 9 * SECOND), 0);
        assert_eq!(allowed(&budget, 1000, now + 10 * SECOND), 100);
    }

    #[test]
    fn requests_are_forgotten_after_the_window() {
        let now = Instant::now();
        let budget = budget(0.5, 0.0, now);
        (0..10).for_each(|_| budget.deposit(now));
        assert_eq!(budget.left(now + 9 * SECOND), 5);
        assert_eq!(budget.left(now + 10 * SECOND), 0);
        // A clock that goes backwards brings nothing back.
        assert_eq!(budget.left(now), 0);
    }

    #[test]
    fn other_options_keep_what_was_counted() {
        let now = Instant::now();
        let budget = budget(0.5, 0.0, now);
        (0..10).for_each(|_| budget.deposit(now));
        assert_eq!(allowed(&budget, 3, now), 3);
        budget.set_options(Options { share: 0.4, per_second: 0.0, ..Options::default() }, now);
        assert_eq!(budget.left(now), 1);
    }

    #[test]
    fn nonsense_allows_nothing() {
        let now = Instant::now();
        for share in [-1.0, f64::NAN] {
            let budget = Budget::new(Options { share, per_second: share, window: Duration::ZERO }, now);
            budget.deposit(now);
            assert!(!budget.withdraw(now), "{share}");
        }
        let endless =
            Budget::new(Options { share: f64::INFINITY, per_second: f64::MAX, window: Duration::MAX }, now);
        (0..100).for_each(|_| endless.deposit(now));
        assert!(endless.withdraw(now + 1_000_000 * SECOND));
    }

    proptest! {
        /// Beside a list of everything that ever happened, counted anew each time.
        #[test]
        fn it_counts_like_a_list_of_all_that_happened(
            share in 0_u32..=100,
            per_second in 0_u32..3,
            steps in prop::collection::vec((0_u64..1500, any::<bool>()), 1..300),
        ) {
            let born = Instant::now();
            let budget = budget(f64::from(share) / 100.0, f64::from(per_second), born);
            let (mut at, mut history) = (0, Vec::new());
            for (step_ms, retries) in steps {
                at += step_ms;
                let (now, slice) = (born + Duration::from_millis(at), at / 1000);
                let count = |kind| history.iter()
                    .filter(|(past, what)| *what == kind && past + SLICES as u64 > slice).count() as u64;
                let hundredths = u64::from(share) * count(false) + 1000 * u64::from(per_second);
                let left = hundredths.saturating_sub(100 * count(true)) / 100;
                prop_assert_eq!(budget.left(now), left);
                if !retries {
                    budget.deposit(now);
                    history.push((slice, false));
                } else {
                    prop_assert_eq!(budget.withdraw(now), left > 0);
                    if left > 0 {
                        history.push((slice, true));
                    }
                }
            }
        }
    }
}
