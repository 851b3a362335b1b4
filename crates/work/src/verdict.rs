//! What follows a failed attempt: another, or none.

use crate::backoff::Backoffs;
use crate::context::Stop;
use crate::handler::{Extra, Failed, Outcome, Retry};
use store::Time;
use store::jobs::{End, Fault, Running};

/// What a panic in a handler is called.
pub const PANIC: &str = "panic";
/// What it is called that a job's deadline has passed; the store calls it so too.
pub const DEADLINE: &str = "deadline";
/// What it is called that an attempt took longer than its queue allows.
pub const TIMEOUT: &str = "timeout";
/// What it is called that nobody here does jobs of this kind.
pub const UNKNOWN_KIND: &str = "unknown_kind";
/// By this name's backoff those who were put off are spread, so that not all come in the same moment.
pub const LATER: &str = "later";
/// What it is called that the store refuses what a job has come to.
pub const STORE: &str = "store";

/// How an attempt went.
#[derive(Clone, Debug, PartialEq)]
pub enum Went {
    /// It came to an end by itself.
    Ended(Result<Outcome, Failed>),
    /// It was stopped, and had no end.
    Stopped,
}

/// What is recorded of an attempt that went so and had been told to `stop`, with what its handler gives besides;
/// `None`: nothing.
///
/// An attempt that ends well is done, whatever was asked meanwhile: what it has done is done.
#[must_use]
pub fn end(
    job: &Running,
    went: Went,
    stop: Option<Stop>,
    backoffs: &Backoffs,
    now: Time,
    dice: u64,
) -> Option<(End, Extra)> {
    let failed = match went {
        Went::Ended(Ok(Outcome::Recorded)) => return None,
        Went::Ended(Ok(Outcome::Done { result, extra })) => return Some((End::Done { result }, extra)),
        Went::Ended(Ok(Outcome::PutBack)) if stop.is_none() => {
            return Some((End::Released, Extra::default()));
        }
        Went::Ended(Ok(Outcome::Later(pause))) if stop.is_none() => {
            let pause = backoffs.delay(LATER, 1, Some(pause), dice);
            return Some((End::Later { run_at: now.after(pause) }, Extra::default()));
        }
        Went::Ended(Ok(Outcome::PutBack | Outcome::Later(_))) => None,
        Went::Ended(Err(failed)) => Some(failed),
        Went::Stopped => None,
    };
    let end = match stop {
        Some(Stop::Lost) => return None,
        Some(Stop::Cancelled) => End::Cancelled,
        // Whatever it failed with, it may be because it was stopped.
        Some(Stop::Drain) => End::Released,
        Some(Stop::Deadline) => End::Dead { fault: fault(DEADLINE, "the deadline passed while it was done") },
        Some(Stop::TooLong) => {
            let late = Failed::passing(TIMEOUT, "the attempt took longer than its queue allows");
            after(job, late, backoffs, now, dice)
        }
        None => {
            let vanished = || Failed::passing(PANIC, "the handler ended without an answer");
            after(job, failed.unwrap_or_else(vanished), backoffs, now, dice)
        }
    };
    Some((end, Extra::default()))
}

/// What follows a failure: another attempt after the class's pause, unless it cannot help, none is left, or the
/// deadline would have passed by then.
#[must_use]
pub fn after(job: &Running, failed: Failed, backoffs: &Backoffs, now: Time, dice: u64) -> End {
    let pause = backoffs.delay(&failed.class, job.attempt, failed.after, dice);
    let run_at = now.after(pause);
    let is_over = failed.retry == Retry::No
        || job.attempt >= job.attempts_max
        || job.deadline.is_some_and(|deadline| run_at >= deadline);
    let fault = Fault { class: failed.class.into_owned(), message: failed.message };
    match is_over {
        true => End::Dead { fault },
        false => End::Again { run_at, fault },
    }
}

/// A fault of our own.
pub(crate) fn fault(class: &str, message: &str) -> Fault {
    Fault { class: class.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Went, end};
    use crate::backoff::{Backoff, Backoffs, Jitter};
    use crate::context::Stop;
    use crate::handler::{Extra, Failed, Outcome};
    use proptest::prelude::*;
    use std::time::Duration;
    use store::Time;
    use store::jobs::{Band, End, JobId, Lease, Running, Token};

    const NOW: Time = Time(1_000_000);

    fn job(attempt: u32, deadline: Option<Time>) -> Running {
        let lease = Lease { id: JobId(1), token: Token(1) };
        let (tenant, kind, payload) = ("t".to_owned(), "k".to_owned(), Vec::new());
        let (band, attempts_max, created) = (Band::Normal, 3, Time(0));
        Running { lease, tenant, kind, band, attempt, attempts_max, created, deadline, payload }
    }

    fn backoffs() -> Backoffs {
        let usual =
            Backoff { base: Duration::from_secs(10), max: Duration::from_secs(10), jitter: Jitter::Equal };
        Backoffs { usual, ..Backoffs::default() }
    }

    /// In a word: `done`, `again 5000 class`, `dead class`, …
    fn word(end: Option<(End, Extra)>) -> String {
        match end.map(|(end, _)| end) {
            None => "nothing".to_owned(),
            Some(End::Done { .. }) => "done".to_owned(),
            Some(End::Again { run_at, fault }) => format!("again {} {}", run_at.0 - NOW.0, fault.class),
            Some(End::Dead { fault }) => format!("dead {}", fault.class),
            Some(End::Cancelled) => "cancelled".to_owned(),
            Some(End::Released) => "released".to_owned(),
            Some(End::Later { run_at }) => format!("later {}", run_at.0 - NOW.0),
        }
    }

    #[test]
    fn a_failure_is_followed_by_another_attempt_or_none() {
        let check = |attempt, deadline: Option<i64>, failed: Failed, expected: &str| {
            let job = job(attempt, deadline.map(|after| Time(NOW.0 + after)));
            let end = end(&job, Went::Ended(Err(failed)), None, &backoffs(), NOW, 0);
            assert_eq!(word(end), expected, "attempt {attempt}, deadline {deadline:?}");
        };
        let (passing, lasting) = (Failed::passing("slow", ""), Failed::lasting("bad", ""));
        check(1, None, passing.clone(), "again 5000 slow");
        check(2, None, passing.clone(), "again 5000 slow");
        check(3, None, passing.clone(), "dead slow");
        check(1, None, lasting, "dead bad");
        check(1, Some(5001), passing.clone(), "again 5000 slow");
        check(1, Some(5000), passing.clone(), "dead slow");
        check(1, None, passing.clone().after(Duration::from_secs(60)), "again 65000 slow");
        check(1, Some(60_000), passing.after(Duration::from_secs(60)), "dead slow");
    }

    #[test]
    fn what_is_recorded_of_an_attempt_that_was_stopped() {
        let check = |went: &Went, expected: [&str; 6]| {
            use Stop::{Cancelled, Deadline, Drain, Lost, TooLong};
            let stops = [None, Some(Cancelled), Some(Lost), Some(Deadline), Some(TooLong), Some(Drain)];
            for (stop, expected) in stops.into_iter().zip(expected) {
                let end = end(&job(1, None), went.clone(), stop, &backoffs(), NOW, 0);
                assert_eq!(word(end), expected, "{went:?} {stop:?}");
            }
        };
        let again = "again 5000 timeout";
        check(&Went::Ended(Ok(Outcome::from(vec![1]))), ["done"; 6]);
        check(&Went::Ended(Ok(Outcome::Recorded)), ["nothing"; 6]);
        let stopped = ["cancelled", "nothing", "dead deadline", again, "released"];
        let beside = |first| {
            let mut all = [first; 6];
            all[1..].copy_from_slice(&stopped);
            all
        };
        check(&Went::Ended(Err(Failed::lasting("bad", ""))), beside("dead bad"));
        check(&Went::Ended(Err(Failed::passing("slow", ""))), beside("again 5000 slow"));
        check(&Went::Ended(Ok(Outcome::PutBack)), beside("released"));
        check(&Went::Ended(Ok(Outcome::Later(Duration::from_secs(1)))), beside("later 6000"));
        check(&Went::Stopped, beside("again 5000 panic"));
    }

    proptest! {
        #[test]
        fn no_attempt_comes_after_the_last_or_after_the_deadline(
            attempt in 1_u32..6, deadline in prop::option::of(0_i64..100_000),
            after in prop::option::of(0_u64..100), dice in any::<u64>(),
        ) {
            let job = job(attempt, deadline.map(|after| Time(NOW.0 + after)));
            let failed = Failed { after: after.map(Duration::from_secs), ..Failed::passing("slow", "") };
            match super::after(&job, failed, &backoffs(), NOW, dice) {
                End::Again { run_at, .. } => {
                    prop_assert!(run_at > NOW && attempt < job.attempts_max);
                    prop_assert!(job.deadline.is_none_or(|deadline| run_at < deadline));
                    prop_assert!(run_at.since(NOW) >= Duration::from_secs(after.unwrap_or(0)));
                }
                End::Dead { .. } => prop_assert!(attempt >= job.attempts_max || deadline.is_some()),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
