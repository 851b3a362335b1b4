//! What a breaker promises, one behaviour a test, on a clock that the test moves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use guard::breaker::Verdict::{Good, Hard, Ignored};
use guard::breaker::{Breaker, Open, Pass, Reason, State, Strategy, Verdict};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SOFT: Verdict = Verdict::Soft { after: None };

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn soft_after(count: u64) -> Verdict {
    Verdict::Soft { after: Some(seconds(count)) }
}

/// A breaker, and the time.
struct Bench {
    breaker: Arc<Breaker>,
    now: Instant,
}

impl Bench {
    fn new(strategy: Strategy) -> Self {
        Self { breaker: Breaker::new(strategy, 7), now: Instant::now() }
    }

    fn wait(&mut self, span: Duration) -> &mut Self {
        self.now += span;
        self
    }

    fn admit(&self) -> Result<Pass, Open> {
        self.breaker.admit(self.now)
    }

    /// One call after another, each of which must be let through.
    fn calls(&mut self, verdicts: &[Verdict]) -> &mut Self {
        for verdict in verdicts {
            self.admit().expect("refused").settle(*verdict, self.now);
        }
        self
    }

    fn state(&self) -> State {
        self.breaker.state(self.now)
    }

    fn is_closed(&self) -> bool {
        self.state() == State::Closed
    }

    /// How long it will still be open.
    fn open_for(&self) -> Duration {
        match self.state() {
            State::Open { until } => until - self.now,
            other => panic!("{other:?}"),
        }
    }

    fn reason(&self) -> Option<Reason> {
        self.breaker.report(self.now).reason
    }

    /// Moves the time to when it is half open.
    fn wait_until_half_open(&mut self) -> &mut Self {
        let open_for = self.open_for();
        self.wait(open_for)
    }
}

#[test]
fn what_trips_it_and_what_does_not() {
    // consecutive 5, success below 60 % of at least 10 calls in 30 s.
    let check = |name: &str, verdicts: &[Verdict], reason: Option<Reason>| {
        let mut bench = Bench::new(Strategy::BALANCED);
        bench.calls(&verdicts[..verdicts.len() - 1]);
        assert!(bench.is_closed(), "{name}: too early");
        bench.calls(&verdicts[verdicts.len() - 1..]);
        assert_eq!(bench.reason(), reason, "{name}");
        assert_eq!(bench.is_closed(), reason.is_none(), "{name}");
    };
    let run = |verdict, count| vec![verdict; count];
    let rate = Some(Reason::Rate);
    check("five hard in a row", &run(Hard, 5), Some(Reason::Consecutive));
    check("four", &run(Hard, 4), None);
    check("a success between", &[Hard, Hard, Hard, Hard, Good, Hard], None);
    check(
        "the caller's error is no success",
        &[Hard, Hard, Hard, Hard, Ignored, Hard],
        Some(Reason::Consecutive),
    );
    check(
        "a soft failure neither adds nor ends",
        &[Hard, Hard, Hard, Hard, SOFT, Hard],
        Some(Reason::Consecutive),
    );
    check("nine soft", &run(SOFT, 9), None);
    check("ten soft", &run(SOFT, 10), rate);
    check("six of ten good", &[run(Good, 6), run(SOFT, 4)].concat(), None);
    check("six of eleven good", &[run(Good, 6), run(SOFT, 5)].concat(), rate);
    check("a success never trips", &[run(SOFT, 9), run(Good, 1)].concat(), None);
    check("ignored are not counted", &[run(Ignored, 50), run(SOFT, 9)].concat(), None);
    check("hard and soft together", &[run(Good, 5), run(SOFT, 3), run(Hard, 2)].concat(), rate);
}

#[test]
fn old_calls_leave_the_window() {
    let mut bench = Bench::new(Strategy::BALANCED);
    bench.calls(&[SOFT; 9]).wait(seconds(31)).calls(&[SOFT]);
    assert!(bench.is_closed());
    let report = bench.breaker.report(bench.now);
    assert_eq!((report.calls, report.failures), (1, 1));
    bench.calls(&[SOFT; 8]).wait(seconds(26)).calls(&[SOFT]);
    assert_eq!(bench.reason(), Some(Reason::Rate), "within 30 s they add up");
}

#[test]
fn an_open_breaker_refuses_until_its_time_is_over() {
    let mut bench = Bench::new(Strategy::BALANCED);
    bench.calls(&[Hard; 5]);
    let until = bench.now + bench.open_for();
    for _ in 0..3 {
        assert_eq!(bench.admit().unwrap_err(), Open { until });
        assert_eq!(bench.breaker.peek(bench.now), Err(Open { until }));
    }
    bench.now = until - Duration::from_nanos(1);
    assert!(bench.admit().is_err());
    bench.now = until + seconds(1);
    assert_eq!(bench.state(), State::HalfOpen);
    assert_eq!(bench.breaker.report(bench.now).since, Some(until), "though nobody has come since");
    assert_eq!(bench.breaker.peek(bench.now), Ok(()));
    assert!(bench.admit().unwrap().is_trial());
}

#[test]
fn a_trial_decides() {
    for (verdict, closes) in [(Good, true), (Hard, false), (SOFT, false)] {
        let mut bench = Bench::new(Strategy::BALANCED);
        bench.calls(&[Hard; 5]).wait_until_half_open().calls(&[verdict]);
        assert_eq!(bench.is_closed(), closes, "{verdict:?}");
        let report = bench.breaker.report(bench.now);
        assert_eq!(report.since, Some(bench.now));
        if closes {
            assert_eq!((report.consecutive, report.calls, report.trips), (0, 0, 1), "a clean record");
        } else {
            assert_eq!((report.reason, report.trips), (Some(Reason::Trial), 2));
        }
    }
}

#[test]
fn an_ignored_trial_decides_nothing_and_makes_place() {
    let mut bench = Bench::new(Strategy::BALANCED);
    bench.calls(&[Hard; 5]).wait_until_half_open().calls(&[Ignored; 3]);
    assert_eq!(bench.state(), State::HalfOpen);
    drop(bench.admit().unwrap());
    bench.calls(&[Good]);
    assert!(bench.is_closed());
}

#[test]
fn as_many_trials_at_once_as_the_strategy_says() {
    for half_open in [0, 1, 3] {
        let mut bench = Bench::new(Strategy { half_open, ..Strategy::BALANCED });
        bench.calls(&[Hard; 5]).wait_until_half_open();
        let mut trials = Vec::new();
        for _ in 0..half_open.max(1) {
            trials.push(bench.admit().expect("a place"));
        }
        let until = bench.now + Strategy::BALANCED.half_open_for;
        assert_eq!(bench.admit().unwrap_err(), Open { until });
        assert_eq!(bench.breaker.peek(bench.now), Err(Open { until }));
        drop(trials.pop());
        trials.push(bench.admit().expect("a place given back"));
        assert!(bench.admit().is_err());
    }
}

#[test]
fn a_permit_never_given_back_wedges_nothing() {
    let mut bench = Bench::new(Strategy::BALANCED);
    bench.calls(&[Hard; 5]).wait_until_half_open();
    std::mem::forget(bench.admit().unwrap());
    bench.wait(Strategy::BALANCED.half_open_for - seconds(1));
    assert!(bench.admit().is_err());
    bench.wait(seconds(1));
    assert_eq!(bench.breaker.peek(bench.now), Ok(()));
    bench.calls(&[Good]);
    assert!(bench.is_closed());
}

#[test]
fn an_expired_trial_still_counts_but_frees_no_place_twice() {
    let mut bench = Bench::new(Strategy::BALANCED);
    bench.calls(&[Hard; 5]).wait_until_half_open();
    let slow = bench.admit().unwrap();
    bench.wait(Strategy::BALANCED.half_open_for);
    let next = bench.admit().unwrap();
    let dropped = bench.admit();
    assert!(dropped.is_err());

    slow.settle(Ignored, bench.now);
    assert!(bench.admit().is_err(), "the place is the next one's");
    drop(next);
    let slow = bench.admit().unwrap();
    bench.wait(Strategy::BALANCED.half_open_for);
    slow.settle(Hard, bench.now);
    assert_eq!(bench.reason(), Some(Reason::Trial));
}

#[test]
fn calls_let_through_before_a_change_do_not_count_after_it() {
    let mut bench = Bench::new(Strategy { half_open: 2, ..Strategy::BALANCED });
    let before: Vec<_> = (0..3).map(|_| bench.admit().unwrap()).collect();
    let [a, b, c]: [Pass; 3] = before.try_into().unwrap();
    bench.calls(&[Hard; 5]);
    let until = bench.open_for();
    a.settle(Hard, bench.now);
    assert_eq!((bench.open_for(), bench.breaker.report(bench.now).trips), (until, 1), "not while open");

    bench.wait_until_half_open();
    let (first, second) = (bench.admit().unwrap(), bench.admit().unwrap());
    b.settle(Good, bench.now);
    assert_eq!(bench.state(), State::HalfOpen, "an old success is no trial");
    assert!(bench.admit().is_err(), "and frees no trial's place");

    first.settle(Good, bench.now);
    second.settle(Hard, bench.now);
    c.settle(Hard, bench.now);
    let report = bench.breaker.report(bench.now);
    assert_eq!((report.state, report.consecutive, report.calls), (State::Closed, 0, 0));
}

#[test]
fn the_open_time_doubles_with_jitter_up_to_its_bound() {
    let mut bench = Bench::new(Strategy::BALANCED);
    bench.calls(&[Hard; 5]);
    for full in [10, 20, 40, 80, 160, 300, 300, 300] {
        let (open_for, full) = (bench.open_for(), seconds(full));
        assert!(open_for >= full / 2 && open_for <= full, "{open_for:?} of {full:?}");
        bench.wait_until_half_open().calls(&[Hard]);
    }
    for _ in 0..100 {
        bench.wait_until_half_open().calls(&[Hard]);
    }
    assert!(bench.open_for() <= Strategy::BALANCED.open_max);
}

#[test]
fn the_backoff_is_forgotten_once_it_has_stayed_good() {
    // The second trip's time is 20 s, shorter than the window of 30 s.
    for (good_for, full) in [(29, 40), (30, 10)] {
        let mut bench = Bench::new(Strategy::BALANCED);
        bench.calls(&[Hard; 5]).wait_until_half_open().calls(&[Hard]).wait_until_half_open().calls(&[Good]);
        assert!(!bench.breaker.is_idle(bench.now), "it remembers its trip");
        bench.wait(seconds(good_for));
        assert_eq!(bench.breaker.is_idle(bench.now), good_for == 30);
        bench.calls(&[Hard; 5]);
        let (open_for, full) = (bench.open_for(), seconds(full));
        assert!(open_for >= full / 2 && open_for <= full, "after {good_for} s: {open_for:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_open_times() {
    let times = |seed| {
        let now = Instant::now();
        let mut bench = Bench { breaker: Breaker::new(Strategy::BALANCED, seed), now };
        bench.calls(&[Hard; 5]);
        let mut times = vec![bench.open_for()];
        for _ in 0..5 {
            bench.wait_until_half_open().calls(&[Hard]);
            times.push(bench.open_for());
        }
        times
    };
    assert_eq!(times(1), times(1));
    assert_ne!(times(1), times(2));
}

#[test]
fn retry_after_is_the_least_open_time() {
    // The first trip's own time is 5 to 10 s, and never more than 300 s.
    let check = |verdicts: &[Verdict], least: u64, most: u64| {
        let mut bench = Bench::new(Strategy::BALANCED);
        bench.calls(verdicts);
        let open_for = bench.open_for();
        assert!(open_for >= seconds(least) && open_for <= seconds(most), "{verdicts:?}: {open_for:?}");
    };
    let hard_after = |verdict| [vec![verdict], vec![Hard; 5]].concat();
    check(&[soft_after(60); 10], 60, 60);
    check(&[soft_after(1); 10], 5, 10);
    check(&[soft_after(3600); 10], 300, 300);
    check(&[Verdict::Soft { after: Some(Duration::MAX) }; 10], 300, 300);
    check(&hard_after(soft_after(60)), 60, 60);
    check(&hard_after(SOFT), 5, 10);

    let mut bench = Bench::new(Strategy::BALANCED);
    bench.calls(&[soft_after(20)]).wait(seconds(15)).calls(&[Hard; 5]);
    assert!(bench.open_for() <= seconds(10), "what is left of it is shorter");
    bench.wait_until_half_open().calls(&[soft_after(100)]);
    assert_eq!(bench.open_for(), seconds(100), "a trial's counts too");
    bench.wait_until_half_open().calls(&[Hard]);
    assert!(bench.open_for() <= seconds(40), "and is used up by the trip");
}

#[test]
fn the_last_candidate_is_let_through_where_the_strategy_says_so() {
    let mut bench = Bench::new(Strategy::BALANCED);
    bench.calls(&[Hard; 5]);
    assert!(bench.breaker.admit_last(bench.now).is_err());

    let mut bench = Bench::new(Strategy::CRITICAL);
    assert!(bench.breaker.strategy().last_resort);
    bench.calls(&[Hard; 20]);
    assert!(bench.admit().is_err(), "who has others is refused");
    let pass = bench.breaker.admit_last(bench.now).unwrap();
    assert!(!pass.is_trial());
    pass.settle(Good, bench.now);
    assert!(!bench.is_closed(), "it is not judged");

    bench.wait_until_half_open();
    let trial = bench.breaker.admit_last(bench.now).unwrap();
    assert!(trial.is_trial(), "it is a trial where one is to be had");
    assert!(!bench.breaker.admit_last(bench.now).unwrap().is_trial());
    trial.settle(Good, bench.now);
    assert!(bench.is_closed());
}

#[test]
fn an_operator_trips_and_resets() {
    let mut bench = Bench::new(Strategy::BALANCED);
    bench.breaker.trip(bench.now, None);
    assert_eq!(bench.reason(), Some(Reason::Forced));
    let own = bench.open_for();
    bench.breaker.trip(bench.now, Some(seconds(1)));
    assert_eq!(bench.open_for(), own, "never shortened");
    bench.breaker.trip(bench.now, Some(seconds(3600)));
    assert_eq!(bench.open_for(), seconds(3600));
    assert_eq!(bench.breaker.report(bench.now).trips, 1, "one trip, prolonged");

    let pass = {
        bench.breaker.reset(bench.now);
        bench.admit().unwrap()
    };
    assert!(bench.breaker.is_idle(bench.now), "nothing remembered");
    bench.calls(&[Hard; 4]);
    bench.breaker.reset(bench.now);
    pass.settle(Hard, bench.now);
    assert!(bench.breaker.is_idle(bench.now), "nor is what was under way");
    bench.breaker.trip(bench.now, Some(Duration::MAX));
    assert!(bench.admit().is_err());
}

#[test]
fn only_one_that_remembers_nothing_is_idle() {
    let mut bench = Bench::new(Strategy::BALANCED);
    assert!(bench.breaker.is_idle(bench.now));
    bench.calls(&[Good, Ignored]);
    assert!(bench.breaker.is_idle(bench.now));
    bench.calls(&[SOFT]);
    assert!(!bench.breaker.is_idle(bench.now));
    bench.wait(seconds(31));
    assert!(bench.breaker.is_idle(bench.now));
    bench.calls(&[Hard; 5]).wait(seconds(3600));
    assert!(!bench.breaker.is_idle(bench.now), "a tripped one never is, however old");
}

#[test]
fn a_reload_changes_what_it_bears_and_keeps_what_it_knows() {
    let mut bench = Bench::new(Strategy::BALANCED);
    bench.calls(&[Hard; 4]);
    bench.breaker.set_strategy(Strategy::CONSERVATIVE);
    bench.calls(&[Hard; 5]);
    assert!(bench.is_closed());
    bench.calls(&[Hard]);
    assert_eq!(bench.reason(), Some(Reason::Consecutive));
    let open_for = bench.open_for();
    bench.breaker.set_strategy(Strategy::AGGRESSIVE);
    assert_eq!(bench.open_for(), open_for);
}

#[test]
fn senseless_strategies_do_no_harm() {
    let zero = Strategy {
        consecutive: 0,
        success_below: 0.0,
        window: Duration::ZERO,
        calls_min: 0,
        open: Duration::ZERO,
        open_max: Duration::ZERO,
        half_open: 0,
        half_open_for: Duration::ZERO,
        last_resort: false,
    };
    let huge = Strategy {
        consecutive: u32::MAX,
        success_below: f64::INFINITY,
        window: Duration::MAX,
        calls_min: u32::MAX,
        open: Duration::MAX,
        open_max: Duration::MAX,
        half_open: u32::MAX,
        half_open_for: Duration::MAX,
        last_resort: true,
    };
    for strategy in [zero, huge, Strategy { success_below: f64::NAN, ..zero }] {
        let mut bench = Bench::new(strategy);
        bench.calls(&[Hard, SOFT, Good]).calls(&[Hard; 50]);
        assert!(bench.is_closed(), "no rule, no trip");
        bench.breaker.trip(bench.now, None);
        bench.wait(seconds(400 * 24 * 3600));
        drop(bench.admit().unwrap());
        bench.calls(&[soft_after(u64::MAX)]).wait(seconds(400 * 24 * 3600)).calls(&[Good]);
        assert!(bench.is_closed());
    }
}

#[test]
fn presets_are_found_by_name() {
    assert_eq!(Strategy::named("balanced"), Some(Strategy::BALANCED));
    assert_eq!(Strategy::named("critical"), Some(Strategy::CRITICAL));
    assert_eq!(Strategy::named("Balanced"), None);
    for ((_, impatient), (_, patient)) in Strategy::PRESETS.iter().zip(&Strategy::PRESETS[1..]) {
        assert!(
            impatient.consecutive < patient.consecutive && impatient.success_below > patient.success_below
        );
    }
}

#[test]
fn breakers_and_passes_may_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<Breaker>();
    check::<Pass>();
}
