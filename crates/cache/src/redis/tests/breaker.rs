//! The breaker, by the clock it is handed.

use crate::redis::breaker::{Breaker, State};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// A breaker and the time of the test.
struct Try {
    breaker: Breaker,
    now: Instant,
}

impl Try {
    fn new() -> Self {
        let now = Instant::now();
        Self { breaker: Breaker::new("test", now), now }
    }

    /// Makes one call where there is leave.
    fn call(&self, well: bool) -> bool {
        let permit = self.breaker.admit(self.now);
        let admitted = permit.is_some();
        match permit {
            Some(permit) if well => permit.succeed(self.now),
            Some(permit) => permit.fail(self.now, "gone"),
            None => {}
        }
        admitted
    }

    /// Fails until there is no more leave; gives how often.
    fn fail_until_open(&self) -> usize {
        std::iter::from_fn(|| self.call(false).then_some(())).count()
    }
}

#[test]
fn opens_after_five_failures_in_a_row() {
    let t = Try::new();
    assert_eq!(t.fail_until_open(), 5);
    assert_eq!((t.breaker.state(), t.breaker.trips()), (State::Open, 1));
}

#[test]
fn a_success_ends_the_row() {
    let mut t = Try::new();
    for step in 1..=40 {
        t.now += Duration::from_millis(150);
        assert!(t.call(step % 5 == 0));
    }
    assert_eq!(t.breaker.state(), State::Closed);
}

#[test]
fn opens_where_half_of_the_last_second_failed() {
    // (calls, each so many milliseconds after the last, every n-th succeeds, whether it opens)
    let cases = [(20, 10, 2, true), (20, 10, 3, true), (9, 10, 2, false), (40, 200, 2, false)];
    for (calls, every_ms, nth, opens) in cases {
        let mut t = Try::new();
        for call in 1..=calls {
            t.now += Duration::from_millis(every_ms);
            t.call(call % nth == 0);
        }
        assert_eq!(
            t.breaker.state() == State::Open,
            opens,
            "{calls} calls every {every_ms} ms, 1/{nth} well"
        );
    }
    let mut t = Try::new();
    for call in 1..=100 {
        t.now += Duration::from_millis(10);
        assert!(t.call(call % 5 > 1), "two in five fail");
    }
}

#[test]
fn half_open_admits_one_probe_whose_outcome_decides() {
    let mut t = Try::new();
    t.fail_until_open();
    t.now += 2 * SECOND;
    let probe = t.breaker.admit(t.now).expect("half open");
    assert!(t.breaker.admit(t.now).is_none());
    assert!(t.breaker.probe(t.now).is_none());
    probe.fail(t.now, "gone");
    assert_eq!(t.breaker.state(), State::Open);
    assert!(t.breaker.admit(t.now).is_none());

    t.now += 4 * SECOND;
    t.breaker.admit(t.now).expect("half open again").succeed(t.now);
    assert_eq!(t.breaker.state(), State::Closed);
}

#[test]
fn a_dropped_probe_gives_its_place_back() {
    let mut t = Try::new();
    t.fail_until_open();
    t.now += 2 * SECOND;
    drop(t.breaker.admit(t.now).expect("half open"));
    assert_eq!(t.breaker.state(), State::HalfOpen);
    assert!(t.breaker.admit(t.now).is_some());
}

#[test]
fn a_late_outcome_of_an_old_call_decides_nothing() {
    let t = Try::new();
    let old = t.breaker.admit(t.now).expect("closed");
    t.fail_until_open();
    old.succeed(t.now);
    assert_eq!(t.breaker.state(), State::Open);
}

#[test]
fn is_left_alone_for_longer_each_time_but_no_longer_than_half_a_minute() {
    let mut t = Try::new();
    t.fail_until_open();
    let mut waited = Vec::new();
    for _ in 0..8 {
        let begun = t.now;
        let permit = loop {
            t.now += Duration::from_millis(50);
            if let Some(permit) = t.breaker.admit(t.now) {
                break permit;
            }
        };
        permit.fail(t.now, "gone");
        waited.push(t.now - begun);
    }
    let bounds = [1, 2, 4, 8, 16, 30, 30, 30];
    for (waited, seconds) in waited.into_iter().zip(bounds) {
        let expected = SECOND * seconds;
        assert!(
            waited >= expected.mul_f64(0.79) && waited <= expected.mul_f64(1.25),
            "{waited:?}, {expected:?}"
        );
    }
}

#[test]
fn the_background_probes_every_second_however_long_callers_are_kept_off() {
    let mut t = Try::new();
    t.fail_until_open();
    for _ in 0..10 {
        let begun = t.now;
        let probe = loop {
            t.now += Duration::from_millis(50);
            assert!(t.breaker.state() == State::Open);
            if let Some(probe) = t.breaker.probe(t.now) {
                break probe;
            }
        };
        assert!(t.now - begun <= SECOND.mul_f64(1.3));
        probe.fail(t.now, "gone");
    }
    t.now += 2 * SECOND;
    t.breaker.probe(t.now).expect("a probe").succeed(t.now);
    assert_eq!(t.breaker.state(), State::Closed);
}
