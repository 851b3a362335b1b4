//! Figures from readings that are made up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::stand::Stand;

fn reading(model: &str, ended: [u64; 5], durations: &[(usize, u64)]) -> RouteReading {
    let mut reading = RouteReading { operation: "chat", model: model.to_owned(), ended, durations: [0; 15] };
    durations.iter().for_each(|(at, count)| reading.durations[*at] = *count);
    reading
}

#[test]
fn requests_are_counted_within_the_window_and_told_apart_where_that_is_asked() {
    let (mut readings, start) = (Readings::default(), Moment::now());
    let steps = [(0, [0; 5], 0), (10, [90, 0, 6, 4, 0], 40), (20, [100, 0, 6, 4, 10], 50)];
    for (second, ended, of_other) in steps {
        let now = start.after(Duration::from_secs(second));
        let rows = [reading("m", ended, &[(5, ended[0])]), reading("n", [of_other, 0, 0, 0, 0], &[])];
        readings.count(&rows, true, now);
        readings.now = Some(now);
    }
    let value =
        |name, labels: &[(&str, &str)], seconds| readings.value(name, labels, Duration::from_secs(seconds));
    assert_eq!(value("requests", &[], 10), Some(30.0));
    assert_eq!(value("requests", &[], 20), Some(170.0));
    assert_eq!(value("requests_per_second", &[("model", "m")], 10), Some(2.0));
    assert_eq!(value("errors", &[], 20), Some(10.0));
    assert_eq!(value("error_share", &[("model", "m")], 20), Some(10.0 / 120.0));
    assert_eq!(value("error_share", &[("model", "absent")], 20), None);
    assert_eq!(value("requests", &[("operation", "chat")], 10), Some(30.0));
    assert_eq!(readings.series("requests").len(), 2);
}

#[test]
fn a_quantile_is_guessed_within_its_bucket() {
    let counted = |durations: &[(usize, u64)]| Counted {
        durations: reading("m", [0; 5], durations).durations,
        ..Counted::default()
    };
    // The sixth bucket is from 0.16 to 0.32 s.
    assert_eq!(counted(&[(5, 100)]).quantile(0.5), Some(0.24));
    assert_eq!(counted(&[(0, 94), (5, 6)]).quantile(0.95).map(|it| it > 0.16 && it < 0.2), Some(true));
    assert_eq!(counted(&[(14, 1)]).quantile(0.5), Some(81.92));
    assert_eq!(counted(&[]).quantile(0.5), None);
}

#[test]
fn a_level_is_a_mean() {
    let (mut readings, start) = (Readings::default(), Moment::now());
    for (second, value) in [(0, 0.2), (1, 0.4), (2, 0.8)] {
        let now = start.after(Duration::from_secs(second));
        readings.now = Some(now);
        readings.level("cpu_share", Some(value), now);
    }
    let mean = |seconds| readings.value("cpu_share", &[], Duration::from_secs(seconds)).unwrap();
    assert!((mean(2) - 0.6).abs() < 1e-9 && (mean(1) - 0.8).abs() < 1e-9);
    assert!(mean(0).is_finite() && readings.value("memory_share", &[], Duration::ZERO).is_none());
}

#[test]
fn every_known_figure_is_answered_for() {
    let (mut readings, now) = (Readings::default(), Moment::now());
    readings.count(&[reading("m", [0; 5], &[])], false, now);
    let later = now.after(Duration::from_secs(1));
    readings.now = Some(later);
    readings.count(&[reading("m", [1, 0, 0, 0, 0], &[(3, 1)])], false, later);
    for name in ["cpu_share", "memory_share", "buffered_share"] {
        readings.level(name, Some(0.5), later);
    }
    let one = || vec![Present { labels: Labels::new(), value: 1.0, words: None }];
    for name in ["breakers_open", "failures", "limit_used_share"] {
        readings.present.insert(name, one());
    }
    for known in KNOWN {
        let value = readings.value(known.name, &[], Duration::from_secs(1));
        assert!(value.is_some(), "{}", known.name);
        assert!(!known.help.is_empty());
    }
    assert_eq!(readings.value("other", &[], Duration::from_secs(1)), None);
}

#[test]
fn limits_are_read_where_a_rule_asks_for_them() {
    let limited =
        "[models.a]\ntargets = [{ model = 'sim/instant' }]\nlimits = { requests_per_minute = 10 }\n";
    let asking = "[alerts.rules.full]\nfigure = 'limit_used_share'\nabove = 0.9\n";
    let stand = Stand::start(limited);
    let mut readings = Readings::default();
    let mut read = || {
        let rules = stand.gateway.snapshot(0).config.alerts.rules.clone();
        readings.take(&stand.gateway, &rules, Moment::now());
        readings.series("limit_used_share").len()
    };
    assert_eq!(read(), 0, "no rule of our own does");
    stand.reload(&format!("{limited}{asking}"));
    assert_eq!(read(), 1);
    stand.reload(limited);
    assert_eq!(read(), 0);
}
