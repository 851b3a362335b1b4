//! Tells our own time from the providers': *overhead* is the total less the union of the intervals
//! in which at least one upstream call was under way. With parallel or hedged calls a plain sum
//! would count the same second twice and show a negative overhead.

use std::time::{Duration, Instant};

/// One request's clock. Times are handed in, so that a caller reads the clock once and uses it for
/// all its purposes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
    /// Upstream time of the intervals already closed.
    upstream: Duration,
    /// When the running interval began, and how many calls are in it.
    open: Option<(Instant, u32)>,
}

impl Stopwatch {
    /// Starts at `now`.
    pub fn start(now: Instant) -> Self {
        Self { started: now, upstream: Duration::ZERO, open: None }
    }

    /// When the request arrived.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// An upstream call begins.
    pub fn upstream_begins(&mut self, now: Instant) {
        self.open = Some(match self.open {
            Some((since, calls)) => (since, calls + 1),
            None => (now, 1),
        });
    }

    /// An upstream call has ended. Ending what never began changes nothing.
    pub fn upstream_ends(&mut self, now: Instant) {
        self.open = match self.open {
            Some((since, 1)) => {
                self.upstream += now.saturating_duration_since(since);
                None
            }
            Some((since, calls)) => Some((since, calls - 1)),
            None => None,
        };
    }

    /// Time since the start.
    pub fn total(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// Our own time so far: the total less the union of the upstream intervals.
    pub fn overhead(&self, now: Instant) -> Duration {
        let running = self.open.map_or(Duration::ZERO, |(since, _)| now.saturating_duration_since(since));
        self.total(now).saturating_sub(self.upstream + running)
    }
}

#[cfg(test)]
mod tests {
    use super::Stopwatch;
    use std::time::{Duration, Instant};

    enum Step {
        Begin(u64),
        End(u64),
    }
    use Step::{Begin, End};

    /// Plays the steps (at milliseconds) and compares the overhead at `end`.
    fn check(steps: &[Step], end: u64, overhead: u64) {
        let zero = Instant::now();
        let at = |ms: u64| zero + Duration::from_millis(ms);
        let mut watch = Stopwatch::start(zero);
        for step in steps {
            match *step {
                Begin(ms) => watch.upstream_begins(at(ms)),
                End(ms) => watch.upstream_ends(at(ms)),
            }
        }
        assert_eq!(watch.overhead(at(end)), Duration::from_millis(overhead));
    }

    #[test]
    fn without_a_call_all_time_is_ours() {
        check(&[], 7, 7);
    }

    #[test]
    fn calls_in_a_row_are_added() {
        check(&[Begin(1), End(4), Begin(5), End(9)], 10, 3);
    }

    #[test]
    fn calls_at_once_are_counted_once() {
        check(&[Begin(1), Begin(2), End(6), End(8)], 10, 3);
    }

    #[test]
    fn a_call_still_running_is_not_ours() {
        check(&[Begin(2)], 10, 2);
    }

    #[test]
    fn an_end_without_a_beginning_changes_nothing() {
        check(&[End(3)], 5, 5);
    }
}
