//! How often a line is asked. Attempts of its job say little of that: a process that is killed is no fault of the
//! line, and who wants to be asked less often is waited for longer than who fails.

use crate::handler::Failed;
use std::borrow::Cow;
use std::time::Duration;
use store::jobs::PastFault;

/// The store did not answer.
const STORE: &str = "store";
/// Whoever was asked wants to be asked less often.
const RATE_LIMITED: &str = "rate_limited";
/// The process died, or was cut off.
const LEASE: &str = "lease";
/// Failures after which a line is given up, where they are of a class that is not named above.
pub(super) const TRIES_MAX: u32 = 8;
/// Times that a line waits for those who want to be asked less often.
const WAITS_MAX: u32 = 60;
/// Processes that may die over a line.
const DEATHS_MAX: u32 = 100;

/// The store does not say how often a line was tried: that is no fault of the line.
pub(super) fn away(error: &store::Error) -> Failed {
    Failed::passing(STORE, error.to_string())
}

/// Why a line with an answer of this status should be asked again; `None`: the answer stands.
pub(super) fn again(status: u16, after: Option<Duration>) -> Option<Failed> {
    let failed = Failed::passing(class(status)?, format!("the answer has the status {status}"));
    Some(Failed { after, ..failed })
}

/// What a status is called that may not be the last word.
fn class(status: u16) -> Option<Cow<'static, str>> {
    let class = match status {
        429 => RATE_LIMITED,
        408 | 504 => "timeout",
        501 | 505 => return None,
        409 | 425 | 500.. => "provider",
        _ => return None,
    };
    Some(Cow::Borrowed(class))
}

/// Whether a line that has failed so, and now with the class `last`, is given up.
pub(super) fn are_spent(faults: &[PastFault], last: Option<&str>) -> bool {
    let classes = faults.iter().map(|past| past.fault.class.as_str()).chain(last);
    let (mut tries, mut waits, mut deaths) = (0, 0, 0);
    for class in classes {
        match class {
            STORE => {}
            RATE_LIMITED => waits += 1,
            LEASE => deaths += 1,
            _ => tries += 1,
        }
    }
    tries >= TRIES_MAX || waits >= WAITS_MAX || deaths >= DEATHS_MAX
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{again, are_spent};
    use store::Time;
    use store::jobs::{Fault, PastFault};

    #[test]
    fn a_status_says_whether_to_ask_again() {
        for (status, expected) in [
            (200, None),
            (400, None),
            (401, None),
            (404, None),
            (408, Some("timeout")),
            (409, Some("provider")),
            (422, None),
            (429, Some("rate_limited")),
            (500, Some("provider")),
            (501, None),
            (503, Some("provider")),
            (504, Some("timeout")),
        ] {
            let failed = again(status, None);
            assert_eq!(failed.map(|failed| failed.class).as_deref(), expected, "{status}");
        }
    }

    #[test]
    fn patience_has_an_end_that_others_faults_do_not_bring_nearer() {
        let check = |past: &[(&str, usize)], last, expected| {
            let one = |class: &str| PastFault {
                attempt: 1,
                at: Time(0),
                fault: Fault { class: class.to_owned(), message: String::new() },
            };
            let faults: Vec<_> = past.iter().flat_map(|(class, count)| vec![one(class); *count]).collect();
            assert_eq!(are_spent(&faults, last), expected, "{past:?} {last:?}");
        };
        check(&[], Some("provider"), false);
        check(&[("provider", 6)], Some("timeout"), false);
        check(&[("provider", 7)], Some("timeout"), true);
        check(&[("provider", 7), ("store", 5000), ("lease", 99), ("rate_limited", 59)], None, false);
        check(&[("panic", 8)], None, true);
        check(&[("rate_limited", 59)], Some("rate_limited"), true);
        check(&[("lease", 100)], None, true);
        check(&[("store", 5000)], Some("store"), false);
    }
}
