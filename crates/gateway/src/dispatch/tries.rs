//! Which of several targets is tried next, and after which pause. Pure: it is told what came of each try.

use crate::attempt::Broken;
use crate::ending::Again;
use crate::plan::Target;
use crate::protect::{Closed, Reason};
use guard::retry::Backoff;
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use wire::failure::{Failure, Kind, Retry};

/// What may be tried.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Tries in all.
    pub tries: u32,
    /// Whether to ask again where the provider may have taken the request up.
    pub accepted: bool,
    /// The pauses before the same target is asked again.
    pub backoff: Backoff,
    /// The longest that a provider may ask to be left alone without being given up.
    pub wait_max: Duration,
}

/// One try to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The target's place in the order.
    pub index: usize,
    /// How long to wait before.
    pub pause: Duration,
    /// Whether nobody has been asked yet.
    pub first: bool,
    /// Whether nobody is left who has not been asked.
    pub last: bool,
}

/// The tries of one inquiry.
pub struct Tries {
    terms: Terms,
    /// Those whose turn has not come.
    untried: Range<usize>,
    /// Those who failed and may do better a little later.
    again: SmallVec<[usize; 4]>,
    made: u32,
    pause: Duration,
    over: bool,
    failure: Option<Failure>,
    closed: Option<Closed>,
}

impl Tries {
    /// None of `targets` has been tried.
    pub fn new(targets: &[Arc<Target>], terms: Terms) -> Self {
        Self::of(targets.len(), terms)
    }

    fn of(targets: usize, terms: Terms) -> Self {
        Self {
            terms,
            untried: 0..targets,
            again: SmallVec::new(),
            made: 0,
            pause: Duration::ZERO,
            over: false,
            failure: None,
            closed: None,
        }
    }

    /// The next try; `None` where there is none to be made.
    pub fn next(&mut self) -> Option<Step> {
        if self.over {
            return None;
        }
        let (index, pause) = match self.untried.next() {
            // Somebody else: there is nothing to wait for.
            Some(index) => (index, Duration::ZERO),
            None if self.again.is_empty() => return None,
            None => (self.again.remove(0), self.pause),
        };
        let last = self.untried.is_empty() && self.again.is_empty();
        Some(Step { index, pause, first: self.made == 0, last })
    }

    /// The target of a step could not be asked.
    pub fn closed(&mut self, closed: Closed) {
        let sooner = |other: &Closed| other.after <= closed.after;
        if !self.closed.as_ref().is_some_and(sooner) {
            self.closed = Some(closed);
        }
    }

    /// The target of `step` was asked and failed. `left` is the time before the deadline; `allowed` is asked
    /// last whether another try is within the budget.
    pub fn failed(
        &mut self,
        step: &Step,
        broken: Broken,
        left: Duration,
        dice: u64,
        allowed: impl FnOnce() -> bool,
    ) {
        self.made += 1;
        let ending = broken.ending;
        self.failure = Some(broken.failure);
        if ending.again() == Again::Anywhere {
            let pause = self.terms.backoff.delay(self.made - 1, dice).max(ending.after.unwrap_or_default());
            let worth_it = ending.after.is_none_or(|after| after <= self.terms.wait_max) && pause < left;
            if worth_it {
                self.again.push(step.index);
                self.pause = self.pause.max(pause);
            }
        }
        let harmless = self.terms.accepted || !ending.may_be_taken_up();
        self.over = ending.again() == Again::Nowhere
            || !harmless
            || self.made >= self.terms.tries
            || (self.untried.is_empty() && self.again.is_empty())
            || left.is_zero()
            || !allowed();
    }

    /// Why there is no answer.
    pub fn give_up(self) -> Failure {
        match (self.failure, self.closed) {
            (Some(failure), _) => failure,
            (None, Some(closed)) => refusal(&closed),
            (None, None) => Failure::new(Kind::Internal, "No target could be asked."),
        }
    }
}

fn refusal(closed: &Closed) -> Failure {
    let (public, code) = match closed.reason {
        Reason::Breaker => (
            "The provider has failed too often and is left alone for a while; no other target is left to ask.",
            "provider_unavailable",
        ),
        Reason::Limit => {
            ("The gateway has asked this provider for as much as it may; ask again later.", "provider_limit")
        }
        Reason::Queue(guard::gate::Reason::Full) => {
            ("Too many requests wait for this model already; ask again later.", "queue_full")
        }
        Reason::Queue(guard::gate::Reason::TooLate) => (
            "The wait for this model is longer than this request may take; ask again later.",
            "queue_too_long",
        ),
        Reason::Queue(guard::gate::Reason::Dropped) => {
            ("This request waited too long for its turn; ask again later.", "queue_dropped")
        }
    };
    Failure::new(Kind::Overloaded, public).with_code(code).with_retry(Retry::After(closed.after))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Terms, Tries};
    use crate::attempt::Broken;
    use crate::ending::{Ending, Fault};
    use crate::protect::{Closed, Reason};
    use guard::retry::Backoff;
    use std::time::Duration;
    use wire::failure::{Failure, Kind};

    const MS: Duration = Duration::from_millis(1);
    const TERMS: Terms = Terms {
        tries: 3,
        accepted: false,
        backoff: Backoff { base: Duration::from_millis(100), max: Duration::from_secs(5) },
        wait_max: Duration::from_secs(10),
    };

    fn broken(ending: Ending) -> Broken {
        Broken { failure: Failure::new(Kind::Provider, "it failed"), ending }
    }

    /// The targets that are tried, in order, where each try ends with the next of `endings`.
    fn tried(targets: usize, terms: Terms, endings: &[Ending]) -> Vec<usize> {
        let mut tries = Tries::of(targets, terms);
        let mut seen = Vec::new();
        while let Some(step) = tries.next() {
            let ending = endings[seen.len()];
            seen.push(step.index);
            tries.failed(&step, broken(ending), Duration::from_secs(60), 0, || true);
        }
        seen
    }

    #[test]
    fn others_come_before_the_same_again() {
        let fail = Ending::of(Fault::Status);
        assert_eq!(tried(1, TERMS, &[fail; 3]), [0, 0, 0]);
        assert_eq!(tried(2, TERMS, &[fail; 3]), [0, 1, 0]);
        assert_eq!(tried(5, TERMS, &[fail; 3]), [0, 1, 2]);
        assert_eq!(tried(5, Terms { tries: 1, ..TERMS }, &[fail]), [0]);
    }

    #[test]
    fn what_may_have_been_taken_up_is_not_asked_for_twice() {
        for fault in [Fault::Cut, Fault::Timeout, Fault::Nonsense] {
            assert_eq!(tried(3, TERMS, &[Ending::of(fault)]), [0]);
            assert_eq!(tried(3, Terms { accepted: true, ..TERMS }, &[Ending::of(fault); 3]), [0, 1, 2]);
        }
    }

    #[test]
    fn a_fault_of_the_request_is_one_everywhere_and_a_refused_credential_only_there() {
        assert_eq!(tried(3, TERMS, &[Ending::REFUSED]), [0]);
        assert_eq!(tried(1, TERMS, &[Ending::of(Fault::Quota)]), [0]);
        assert_eq!(
            tried(
                2,
                TERMS,
                &[Ending::of(Fault::Quota), Ending::of(Fault::Status), Ending::of(Fault::Status)]
            ),
            [0, 1, 1]
        );
    }

    #[test]
    fn a_provider_is_left_alone_as_long_as_it_asks_or_given_up() {
        let pause = |after: u64, left: u64| {
            let mut tries = Tries::of(1, TERMS);
            let step = tries.next().unwrap();
            let ending = Ending::of(Fault::RateLimited).after(Some(MS * after as u32));
            tries.failed(&step, broken(ending), MS * left as u32, 0, || true);
            tries.next().map(|step| step.pause)
        };
        assert_eq!(pause(2_000, 60_000), Some(MS * 2_000));
        assert_eq!(pause(1, 60_000), Some(MS * 50), "the backoff is longer");
        assert_eq!(pause(11_000, 60_000), None, "longer than is waited for");
        assert_eq!(pause(2_000, 1_000), None, "the deadline comes first");
    }

    #[test]
    fn no_try_is_made_beyond_the_budget() {
        let mut tries = Tries::of(3, TERMS);
        let step = tries.next().unwrap();
        tries.failed(&step, broken(Ending::of(Fault::Status)), Duration::from_secs(60), 0, || false);
        assert_eq!(tries.next(), None);
    }

    #[test]
    fn closed_targets_are_no_tries_and_the_soonest_says_when_to_come_back() {
        let mut tries = Tries::of(3, TERMS);
        for after in [30, 10, 20] {
            let step = tries.next().unwrap();
            assert!(step.first);
            assert_eq!(step.last, step.index == 2);
            tries.closed(Closed { reason: Reason::Breaker, after: Duration::from_secs(after) });
        }
        assert_eq!(tries.next(), None);
        let failure = tries.give_up();
        assert_eq!(failure.kind(), Kind::Overloaded);
        assert_eq!(failure.retry(), wire::failure::Retry::After(Duration::from_secs(10)));
    }
}
