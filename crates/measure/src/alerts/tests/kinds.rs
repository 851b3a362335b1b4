//! Each kind of rule fires when it should and is resolved when it should, and not otherwise.

use super::*;
use std::ops::RangeInclusive;

/// Fires and is resolved within these seconds, and nothing else happens.
fn check(name: &str, rule: Rule, course: Course, fires: RangeInclusive<u64>, resolves: RangeInclusive<u64>) {
    let mut stand = Stand::of(rule, course);
    stand.step = step(*resolves.end());
    stand.run(resolves.end() + 60);
    match stand.events()[..] {
        [("firing", fired), ("resolved", resolved)] => {
            assert!(fires.contains(&fired), "{name}: fired at {fired}, not within {fires:?}");
            assert!(resolves.contains(&resolved), "{name}: resolved at {resolved}, not within {resolves:?}");
        }
        ref events => panic!("{name}: {events:?}"),
    }
}

/// Nothing happens in so many seconds.
fn check_quiet(name: &str, rule: Rule, course: Course, until: u64) {
    let mut stand = Stand::of(rule, course);
    stand.step = step(until);
    stand.run(until);
    assert_eq!(stand.events(), [], "{name}");
}

/// Days are looked at every ten seconds.
fn step(until: u64) -> u64 {
    if until > 10_000 { 10 } else { 1 }
}

fn over(window: Duration, rule: Rule) -> Rule {
    Rule { of: Selector { window, ..rule.of.clone() }, ..rule }
}

#[test]
fn a_threshold_fires_beyond_it_and_no_longer_within() {
    let above = || rule(Kind::Threshold(Limit::Above(0.5)));
    let below = || rule(Kind::Threshold(Limit::Below(0.5)));
    // The mean of ten seconds is above a half from the sixth on.
    check("above", above(), |t| Some(f64::from((101..=200).contains(&t))), 106..=106, 205..=205);
    check("below", below(), |t| Some(f64::from(!(101..=200).contains(&t))), 106..=106, 205..=205);
    check_quiet("at it", above(), |_| Some(0.5), 300);
    check_quiet("a short peak", above(), |t| Some(f64::from(t % 20 / 4 == 2)), 300);
    check_quiet("unknown", below(), |_| None, 300);
    check_quiet("no number", above(), |t| Some(if t > 100 { f64::NAN } else { 0.0 }), 300);
}

#[test]
fn an_absence_fires_where_nothing_is_known_or_nothing_happens() {
    let absent = || over(seconds(60), rule(Kind::Absence));
    check("nought", absent(), |t| Some(f64::from(!(100..=400).contains(&t))), 159..=159, 401..=401);
    check("unknown", absent(), |t| (!(100..=400).contains(&t)).then_some(1.0), 100..=100, 401..=401);
    check_quiet("seldom", absent(), |t| Some(f64::from(t % 50 == 1)), 500);
}

/// Nobody knows what was before, and less than a window is no window.
#[test]
fn what_has_only_begun_is_neither_absent_nor_too_little() {
    let never = over(seconds(60), rule(Kind::Absence));
    check("nothing from the start on", never.clone(), |t| Some(f64::from(t > 300)), 61..=61, 301..=301);
    check_quiet("a late beginning", never, |t| Some(f64::from(t > 30)), 300);
    let below = over(seconds(60), rule(Kind::Threshold(Limit::Below(0.5))));
    check_quiet("a slow beginning", below, |t| Some(f64::from(t > 30)), 300);
    let soon = Kind::Forecast { limit: Limit::Above(0.9), within: seconds(30) };
    let first: Course = |t| Some(if t == 1 { 0.95 } else { 0.1 });
    check_quiet("one look", over(FORECAST_WINDOW_MIN, rule(soon)), first, 300);
}

/// Nothing is learned from a window that was not whole: it would be far from all that come.
#[test]
fn what_is_usual_is_learned_from_whole_windows() {
    let odd = rule(Kind::Anomaly { deviations: 5.0, windows_min: 5 });
    let beginning: Course = |t| {
        let spike = if (72..=82).contains(&t) { 300.0 } else { 0.0 };
        Some(if t == 1 { 0.0 } else { 100.0 + (t * 7 % 11) as f64 + spike })
    };
    check("a beginning, then a spike", odd, beginning, 72..=81, 82..=101);
}

#[test]
fn a_burn_rate_needs_both_its_windows() {
    let burn = |burns: &[Burn]| rule(Kind::BurnRate { objective: 0.999, burns: burns.to_vec() });
    // Two in a hundred fail: 20 times too fast, seen after 72 % of the hour; over once five minutes are good.
    let fast: Course = |t| Some(if (4000..8000).contains(&t) { 0.02 } else { 0.0 });
    check("page within an hour", burn(&PAGE[..1]), fast, 6550..=6700, 8070..=8110);
    // One in a hundred: 10 times, which is too slow for the hour and enough for six.
    let slow: Course = |t| Some(if (30_000..60_000).contains(&t) { 0.01 } else { 0.0 });
    check_quiet("too slow for the hour", burn(&PAGE[..1]), slow, 70_000);
    check("page within six hours", burn(&PAGE), slow, 42_900..=44_000, 60_700..=60_900);
    // Twice too fast, for days.
    let leak: Course = |t| Some(if (100_000..400_000).contains(&t) { 0.002 } else { 0.0 });
    check_quiet("too slow to get up", burn(&PAGE), leak, 300_000);
    check("ticket", burn(&TICKET), leak, 149_000..=240_000, 410_000..=412_500);
    // A minute of nothing but failures is in the five minutes, but not in the hour.
    check_quiet("a short peak", burn(&PAGE[..1]), |t| Some(f64::from((4000..4040).contains(&t))), 8000);
}

#[test]
fn a_forecast_fires_when_the_end_is_near() {
    let gone = |within| {
        let kind = Kind::Forecast { limit: Limit::Below(0.0), within: seconds(within) };
        over(seconds(1200), rule(kind))
    };
    // 10,000 less one a second: gone at 10,000, an hour ahead at 6,400. Then it is filled up again.
    let falling: Course = |t| Some(if t < 8000 { 10_000.0 - t as f64 } else { 10_000.0 });
    check("an hour ahead", gone(3600), falling, 6390..=6420, 8000..=8020);
    check_quiet("too far ahead", gone(1000), falling, 10_000);
    check_quiet("it stands", gone(3600), |_| Some(10.0), 10_000);
    check_quiet("it rises", gone(3600), |t| Some(10.0 + t as f64), 10_000);
    check_quiet("it only strays", gone(3600), |t| Some(1000.0 + (t * 37 % 101) as f64), 10_000);
    let used: Course = |t| Some(if t > 9000 { 0.1 } else { t as f64 / 10_000.0 });
    let full = Kind::Forecast { limit: Limit::Above(0.8), within: seconds(600) };
    check("a share that fills up", over(seconds(600), rule(full)), used, 7390..=7420, 9001..=9010);
}

#[test]
fn a_forecast_says_in_how_long() {
    let kind = Kind::Forecast { limit: Limit::Below(0.0), within: seconds(3 * 86_400) };
    let mut stand = Stand::of(over(seconds(3600), rule(kind)), |t| Some(250_000.0 - t as f64));
    stand.run(4000);
    let alert = stand.alerts.alerts().next().unwrap();
    assert!(alert.words.contains("reaches 0 in 2 d 20 h"), "{}", alert.words);
}

#[test]
fn a_budget_that_was_filled_up_is_judged_by_what_happened_since() {
    let kind = Kind::Forecast { limit: Limit::Below(0.0), within: seconds(600) };
    // A line through both sides of the 2000th second would rise.
    let refilled: Course = |t| {
        Some(match t {
            0..2000 => 2000.0,
            2000..2800 => 10_000.0 - 10.0 * (t - 2000) as f64,
            _ => 10_000.0,
        })
    };
    check("spent faster than ever", over(seconds(1200), rule(kind)), refilled, 2390..=2420, 2800..=2830);
}

/// The shortest window that is taken, with looks that come by a timer.
#[test]
fn a_forecast_of_seconds_sees_every_one_of_them() {
    let kind = Kind::Forecast { limit: Limit::Above(0.9), within: seconds(30) };
    let filling: Course = |t| Some(if t < 25 { t as f64 * 0.02 } else { 0.0 });
    let mut stand = Stand::of(over(FORECAST_WINDOW_MIN, rule(kind)), filling);
    stand.early = Duration::from_millis(1);
    stand.run(60);
    // 0.9 is reached at 45: half a minute ahead at 15.
    assert!(
        matches!(stand.events()[..], [("firing", 14..=17), ("resolved", 24..=27)]),
        "{:?}",
        stand.events()
    );
}

#[test]
fn an_anomaly_is_told_after_as_many_windows_as_are_asked_for() {
    let odd = |windows_min| over(seconds(1), rule(Kind::Anomaly { deviations: 5.0, windows_min }));
    let spike: Course =
        |t| Some(100.0 + (t * 7 % 11) as f64 + if (8..10).contains(&t) { 300.0 } else { 0.0 });
    for (windows_min, expected) in [(5, &[("firing", 8), ("resolved", 10)][..]), (WINDOWS_MIN, &[])] {
        let mut stand = Stand::of(odd(windows_min), spike);
        stand.early = Duration::from_millis(1);
        stand.run(100);
        assert_eq!(stand.events(), expected, "{windows_min}");
    }
}

#[test]
fn an_anomaly_is_what_strays_far_from_the_usual() {
    let odd = || rule(Kind::Anomaly { deviations: 5.0, windows_min: WINDOWS_MIN });
    let noise: Course = |t| Some(100.0 + (t * 7 % 11) as f64);
    check_quiet("noise", odd(), noise, 5000);
    let spike: Course =
        |t| Some(100.0 + (t * 7 % 11) as f64 + if (2000..2030).contains(&t) { 300.0 } else { 0.0 });
    check("a spike", odd(), spike, 2000..=2011, 2030..=2051);
    let gap: Course = |t| Some(if (2000..2030).contains(&t) { 0.0 } else { 100.0 + (t * 7 % 11) as f64 });
    check("a gap", odd(), gap, 2000..=2011, 2030..=2051);
    check_quiet("before anything is usual", odd(), |t| Some(if t < 100 { (t * t) as f64 } else { 1e4 }), 190);
}
