//! The controllers against single samples, and against simulated targets over minutes and hours of a
//! clock that the test moves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Outcome::{Cancelled, Failed, Good, Overload};
use super::*;
use proptest::prelude::*;

const OPTIONS: Options = Options { initial: 20, min: 4, max: 200, ..Options::INTERACTIVE };
const GRADIENT2: Options = Options { algorithm: Algorithm::Gradient2, ..OPTIONS };

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A limiter and its clock.
struct Rig {
    limiter: Limiter,
    now: Instant,
}

impl Rig {
    fn new(options: Options) -> Self {
        Self { limiter: Limiter::new(options), now: Instant::now() }
    }

    fn limit(&self) -> u32 {
        self.limiter.limit()
    }

    fn later(&mut self, by: Duration) -> &mut Self {
        self.now += by;
        self
    }

    /// A call that ends while the limit is in full use.
    fn ends(&mut self, result: Outcome, delay: Option<Duration>) -> &mut Self {
        let in_flight = self.limit();
        self.limiter.sample(Sample { delay, result, in_flight }, self.now);
        self
    }

    fn squeeze(&mut self) {
        self.limiter.squeeze(self.now);
    }

    /// `count` of them, a millisecond apart.
    fn end(&mut self, count: u32, result: Outcome, delay: Option<Duration>) -> &mut Self {
        for _ in 0..count {
            self.later(ms(1)).ends(result, delay);
        }
        self
    }

    /// Plays a target for so long. There are always `load` callers, of whom as many are let in as the
    /// limit says; each call lasts a second. `target` says how a call ends, given how many are under way
    /// and a number that counts the calls. Gives the least and the greatest limit in the second half.
    fn play(
        &mut self,
        lasts: Duration,
        load: u32,
        target: impl Fn(u32, u64) -> (Outcome, Option<Duration>),
    ) -> (u32, u32) {
        let (start, half) = (self.now, self.now + lasts / 2);
        let (mut least, mut greatest, mut call) = (u32::MAX, 0, 0);
        while self.now < start + lasts {
            let in_flight = self.limit().min(load);
            self.later(secs(1) / in_flight);
            call += 1;
            let (result, delay) = target(in_flight, call);
            self.limiter.sample(Sample { delay, result, in_flight }, self.now);
            if self.now >= half {
                least = least.min(self.limit());
                greatest = greatest.max(self.limit());
            }
        }
        (least, greatest)
    }
}

/// A target that takes `base` for up to `capacity` calls at once, and queues the others.
fn queueing(base: Duration, capacity: u32) -> impl Fn(u32, u64) -> (Outcome, Option<Duration>) {
    move |in_flight, _| (Good, Some(base.mul_f64(f64::max(1.0, f64::from(in_flight) / f64::from(capacity)))))
}

#[test]
fn the_limit_begins_within_its_bounds() {
    for (initial, min, max, limit) in
        [(20, 4, 200, 20), (1, 4, 200, 4), (999, 4, 200, 200), (5, 9, 3, 3), (0, 0, 0, 1)]
    {
        let options = Options { initial, min, max, ..OPTIONS };
        assert_eq!(Limiter::new(options).limit(), limit, "{initial} in {min}..={max}");
    }
}

#[test]
fn before_there_was_trouble_one_more_is_let_in_for_each_success() {
    let mut rig = Rig::new(OPTIONS);
    assert_eq!(rig.end(20, Good, Some(ms(300))).limit(), 40);
    assert_eq!(rig.end(1, Good, None).limit(), 41, "a call without a measured delay is a success too");
    assert_eq!(rig.end(500, Good, None).limit(), 200, "its bound");
}

#[test]
fn after_trouble_one_more_is_let_in_for_each_limits_worth_of_successes() {
    let mut rig = Rig::new(OPTIONS);
    assert_eq!(rig.end(2, Good, None).end(1, Overload, None).limit(), 19);
    rig.later(secs(30));
    assert_eq!(rig.end(5, Good, Some(ms(300))).limit(), 20, "it was cut to somewhat below");
    assert_eq!(rig.end(21, Good, Some(ms(300))).limit(), 21);
    assert_eq!(rig.end(22, Good, None).limit(), 22);
}

#[test]
fn the_limit_grows_only_when_in_use_and_all_is_well() {
    type Calls<'a> = &'a dyn Fn(&mut Rig);
    let unused = |rig: &mut Rig| {
        for _ in 0..500 {
            rig.limiter.sample(Sample { delay: None, result: Good, in_flight: 9 }, rig.now);
        }
    };
    let ends = |delay| move |rig: &mut Rig| _ = rig.end(100, Good, delay);
    let fails = |rig: &mut Rig| {
        rig.limiter.hold(true);
        rig.end(9, Good, None).end(1, Failed, None);
        rig.limiter.hold(false);
        (0..30).for_each(|_| _ = rig.end(9, Good, None).end(1, Failed, None));
    };
    let held = |then: bool| {
        move |rig: &mut Rig| {
            rig.limiter.hold(true);
            rig.limiter.hold(then);
            rig.end(100, Good, None);
        }
    };
    let cases: [(&str, Calls, bool); 7] = [
        ("in use", &ends(Some(ms(1999))), true),
        ("not in use", &unused, false),
        ("slow", &ends(Some(ms(2001))), false),
        ("mildly failing", &fails, false),
        ("cancelled", &|rig| _ = rig.end(100, Cancelled, None), false),
        ("held", &held(true), false),
        ("held no more", &held(false), true),
    ];
    for (name, run, grows) in cases {
        let mut rig = Rig::new(OPTIONS);
        run(&mut rig);
        assert_eq!(rig.limit() > 20, grows, "{name}: {}", rig.limit());
        assert!(rig.limit() >= 20, "{name}: {}", rig.limit());
    }
}

#[test]
fn overload_cuts_once_a_round_trip() {
    for options in [OPTIONS, GRADIENT2] {
        let mut rig = Rig::new(Options { initial: 100, ..options });
        assert_eq!(rig.end(50, Overload, None).limit(), 90, "a second, while no delay is known");
        assert_eq!(rig.later(secs(1)).end(50, Overload, None).limit(), 81);

        let mut rig = Rig::new(Options { initial: 100, ..options });
        rig.limiter.hold(true);
        rig.end(9, Good, Some(ms(200))).end(1, Overload, None);
        assert_eq!(rig.limit(), 90);
        assert_eq!(rig.later(ms(198)).end(1, Overload, None).limit(), 90);
        assert_eq!(rig.end(1, Overload, None).limit(), 81, "now the smoothed delay has passed");
        assert_eq!(rig.limiter.cuts(), 2);
    }
}

#[test]
fn what_counts_as_overload() {
    let cases: [(&str, u32, Outcome, Option<Duration>, bool); 6] = [
        ("a refusal", 1, Overload, None, true),
        ("few failures", 9, Failed, None, false),
        ("many failures", 10, Failed, None, true),
        ("slow answers", 1, Good, Some(ms(5001)), true),
        ("answers at the border", 50, Good, Some(ms(5000)), false),
        ("callers who leave after long", 50, Cancelled, Some(secs(60)), false),
    ];
    for (name, count, result, delay, cut) in cases {
        let mut rig = Rig::new(OPTIONS);
        assert_eq!(rig.end(count, result, delay).limit() < 20, cut, "{name}");
    }
    // One outlier among quick answers, and one quick answer among slow ones.
    let mut rig = Rig::new(OPTIONS);
    rig.limiter.hold(true);
    assert_eq!(rig.end(10, Good, Some(ms(300))).end(1, Good, Some(secs(30))).limit(), 20);
    let limit = rig.end(30, Good, Some(secs(9))).limit();
    assert_eq!(rig.later(secs(9)).end(1, Good, Some(ms(300))).limit(), limit);
}

#[test]
fn failures_are_forgotten_after_a_while() {
    let mut rig = Rig::new(OPTIONS);
    rig.end(100, Failed, None);
    assert_eq!(rig.limit(), 18);
    rig.later(secs(12)).end(30, Good, None);
    assert_eq!(rig.limit(), 18, "the span before still counts");
    rig.later(secs(10)).end(30, Good, None);
    assert!(rig.limit() > 18);
}

#[test]
fn a_cancelled_call_changes_nothing() {
    for options in [OPTIONS, GRADIENT2] {
        let mut rig = Rig::new(options);
        rig.end(37, Good, Some(ms(400))).end(3, Failed, None);
        let before = format!("{:?}", rig.limiter);
        rig.end(50, Cancelled, Some(ms(1))).end(50, Cancelled, None);
        assert_eq!(format!("{:?}", rig.limiter), before);
    }
}

#[test]
fn an_outage_is_over_soon_after_its_end() {
    let mut rig = Rig::new(Options { initial: 200, ..OPTIONS });
    rig.play(secs(120), 500, |_, _| (Overload, None));
    assert_eq!(rig.limit(), 4);
    rig.play(secs(30), 500, queueing(ms(300), 1000));
    assert!(rig.limit() >= 100, "{}", rig.limit());

    // Where less is left than there was, the fast growth ends where it meets trouble.
    rig.play(secs(120), 500, |_, _| (Overload, None));
    let narrow = |in_flight, _| if in_flight > 20 { (Overload, None) } else { (Good, Some(ms(300))) };
    let (least, greatest) = rig.play(secs(300), 500, narrow);
    assert!((12..=18).contains(&least) && greatest <= 21, "{least}..={greatest}");
}

#[test]
fn a_squeeze_halves_once_in_five_seconds() {
    for options in [OPTIONS, GRADIENT2] {
        let mut rig = Rig::new(Options { initial: 100, ..options });
        rig.squeeze();
        rig.squeeze();
        assert_eq!(rig.limit(), 50);
        rig.later(secs(5)).squeeze();
        assert_eq!(rig.limit(), 25);
        for _ in 0..9 {
            rig.later(secs(5)).squeeze();
        }
        assert_eq!(rig.limit(), 4);
        assert_eq!(rig.limiter.cuts(), 0);
    }
}

#[test]
fn what_was_squeezed_does_not_double_right_back() {
    let mut rig = Rig::new(Options { initial: 100, ..OPTIONS });
    rig.end(1, Overload, None).later(secs(9));
    rig.squeeze();
    rig.end(45, Good, None);
    assert!(rig.limit() <= 46, "{}", rig.limit());
}

#[test]
fn a_fixed_limit_stays() {
    let mut rig = Rig::new(Options { algorithm: Algorithm::Fixed, ..OPTIONS });
    rig.end(50, Overload, None).end(50, Failed, None).end(500, Good, Some(ms(1)));
    rig.squeeze();
    assert_eq!(rig.limit(), 20);
    rig.limiter.set_options(Options { algorithm: Algorithm::Fixed, initial: 30, ..OPTIONS });
    assert_eq!(rig.limit(), 30);
    rig.limiter.set_options(Options { max: 25, ..OPTIONS });
    assert_eq!(rig.limit(), 25, "an adaptive one goes on from where it was");
}

#[test]
fn aimd_finds_the_capacity_of_a_target_that_refuses() {
    let mut rig = Rig::new(OPTIONS);
    let target = |in_flight, _| if in_flight > 80 { (Overload, None) } else { (Good, Some(ms(300))) };
    let (least, greatest) = rig.play(secs(1200), 500, target);
    assert!((60..=80).contains(&least) && greatest <= 82, "{least}..={greatest}");
}

#[test]
fn gradient2_keeps_near_the_capacity_of_a_target_that_queues() {
    let mut rig = Rig::new(GRADIENT2);
    let (least, greatest) = rig.play(secs(1800), 500, queueing(ms(200), 50));
    assert!(least >= 45 && greatest <= 90, "{least}..={greatest}");
}

#[test]
fn gradient2_does_not_climb_under_stable_time_outs() {
    // Issue 137: every call ends after the same five seconds, and the original finds that usual.
    for delay in [None, Some(secs(5))] {
        let mut rig = Rig::new(GRADIENT2);
        rig.play(secs(60), 500, queueing(ms(200), 500));
        let (_, greatest) = rig.play(secs(600), 500, |_, _| (Overload, delay));
        assert_eq!(greatest, 4);
    }
}

#[test]
fn gradient2_heeds_drops() {
    // Issue 176: a third is refused at once; the original takes that for speed.
    let mut rig = Rig::new(Options { initial: 150, ..GRADIENT2 });
    let target = |_, call| if call % 3 == 0 { (Overload, Some(ms(1))) } else { (Good, Some(ms(200))) };
    let (_, greatest) = rig.play(secs(600), 500, target);
    assert!(greatest <= 12, "{greatest}");
}

#[test]
fn gradient2_does_not_drift_under_an_hour_of_mild_overload() {
    // Pull request 134: at four and at fifty, for the allowance outweighs the gradient at low limits.
    for (capacity, most) in [(4, 12), (50, 90)] {
        let mut rig = Rig::new(GRADIENT2);
        rig.play(secs(300), capacity, queueing(ms(200), capacity));
        let (_, greatest) = rig.play(secs(3600), 4000, queueing(ms(200), capacity));
        assert!(greatest <= most, "capacity {capacity}: {greatest}");
    }
}

#[test]
fn gradient2_accepts_that_a_target_has_become_slower() {
    let mut rig = Rig::new(GRADIENT2);
    rig.play(secs(300), 500, queueing(ms(200), 1000));
    assert_eq!(rig.limit(), 200);
    let (least, _) = rig.play(secs(1800), 500, queueing(ms(800), 1000));
    assert!(least >= 100, "{least}");
}

#[test]
fn gradient2_never_grows_beyond_the_absolute_thresholds() {
    let mut rig = Rig::new(GRADIENT2);
    let (_, greatest) = rig.play(secs(600), 500, |_, _| (Good, Some(ms(2100))));
    assert!(greatest <= 20, "{greatest}");
    let (_, greatest) = rig.play(secs(600), 500, |_, _| (Good, Some(ms(5100))));
    assert_eq!(greatest, 4);
}

fn any_sample() -> impl Strategy<Value = (u64, Option<u64>, Outcome, u32)> {
    let outcome = prop_oneof![Just(Good), Just(Good), Just(Overload), Just(Failed), Just(Cancelled)];
    (0_u64..3_000, proptest::option::of(0_u64..u64::MAX / 2), outcome, 0_u32..300)
}

proptest! {
    #[test]
    fn whatever_comes_the_limit_keeps_its_bounds(
        algorithm in prop_oneof![Just(Algorithm::Fixed), Just(Algorithm::Aimd), Just(Algorithm::Gradient2)],
        samples in proptest::collection::vec(any_sample(), 1..400),
    ) {
        let mut rig = Rig::new(Options { algorithm, ..OPTIONS });
        for (step, delay, result, in_flight) in samples {
            rig.later(ms(step));
            rig.limiter.sample(Sample { delay: delay.map(Duration::from_nanos), result, in_flight }, rig.now);
            if step == 0 {
                rig.squeeze();
            }
            prop_assert!((4..=200).contains(&rig.limit()));
        }
    }
}
