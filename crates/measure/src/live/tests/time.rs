//! Windows as time goes, and where it does not go as it should.

use super::super::{Figure, Kind, Options, ScopeId, Window};
use super::World;
use std::time::Duration;

#[test]
fn a_window_shows_what_is_younger_and_forgets_what_is_older_by_a_slot() {
    for (window, shown, forgotten) in [
        (Window::S10, 10, 12),
        (Window::M1, 60, 62),
        (Window::M10, 600, 610),
        (Window::H1, 3600, 3660),
        (Window::H24, 86_400, 87_000),
    ] {
        let mut world = World::new(Options::default());
        world.request(ScopeId::ALL, 5);
        assert_eq!(world.counts(window), (1, 1), "{window:?}, at once");
        let mut pass = |seconds: u64| {
            let step = u64::from(window.step() / 5).max(1);
            (0..seconds).step_by(step as usize).for_each(|_| drop(world.pass(Duration::from_secs(step))));
            world.counts(window)
        };
        assert_eq!(pass(shown), (1, 1), "{window:?} after {shown} s");
        assert_eq!(pass(forgotten - shown), (0, 0), "{window:?} after {forgotten} s");
    }
}

#[test]
fn longer_windows_hold_shorter_ones() {
    let mut world = World::new(Options::default());
    let mut requests = 0;
    for second in 0..7300 {
        world.request(ScopeId::ALL, second % 100);
        requests += 1;
        world.pass(Duration::from_secs(1));
        let counts = Window::ALL.map(|window| world.counts(window));
        assert!(counts.is_sorted(), "{counts:?} after {second} s");
        assert_eq!(counts[4], (requests, requests));
        assert!((10..=12).contains(&counts[0].0.max(10)), "{counts:?}");
    }
    assert_eq!(world.live.held().dropped, 0);
}

#[test]
fn a_machine_that_slept_finds_its_figures_old() {
    let mut world = World::new(Options::default());
    world.request(ScopeId::ALL, 5);
    world.set_wall(2 * 3600);
    assert_eq!(Window::ALL.map(|window| world.counts(window).0), [0, 0, 0, 0, 1]);
    world.request(ScopeId::ALL, 5);
    assert_eq!(Window::ALL.map(|window| world.counts(window).0), [1, 1, 1, 1, 2]);
    world.set_wall(30 * 3600);
    assert_eq!(Window::ALL.map(|window| world.counts(window).0), [0; 5]);
}

#[test]
fn a_wall_set_back_neither_stops_windows_nor_turns_charts_round() {
    let mut world = World::new(Options::default());
    world.request(ScopeId::ALL, 5);
    world.pass_slowly(20);
    world.set_wall(-3600);
    world.request(ScopeId::ALL, 5);
    world.pass_slowly(4);
    assert_eq!(Window::ALL.map(|window| world.counts(window).0), [1, 2, 2, 2, 2]);
    let points = world.live.points(ScopeId::ALL, Figure::Total, Window::M1);
    assert!(points.is_sorted_by_key(|point| point.at_ms), "{points:?}");
    let began = u64::from(super::BEGAN) * 60_000;
    let at: Vec<_> = points.iter().map(|point| point.at_ms + 3_600_000 - began).collect();
    assert_eq!(at, [0, 20_000], "as the wall is now");
    world.pass_slowly(60);
    assert_eq!(world.counts(Window::M1).0, 0);
}

#[test]
fn rates_are_over_the_time_that_is_known() {
    let mut world = World::new(Options::default());
    for _ in 0..20 {
        world.request(ScopeId::ALL, 1);
        world.pass_slowly(1);
    }
    let rates = world.live.rates(ScopeId::ALL, Window::H1);
    assert_eq!((rates.requests, rates.span, rates.requests_per_second), (20, Duration::from_secs(20), 1.0));
    assert_eq!((rates.tokens_per_second, rates.cost_micro_usd), (15.0, 60));
    assert_eq!((rates.error_rate, rates.cache_hit_rate), (0.0, Some(1.0)));
    let rates = world.live.rates(ScopeId::ALL, Window::S10);
    assert_eq!((rates.requests, rates.span), (10, Duration::from_secs(10)));
}

#[test]
fn a_chart_has_its_steps_and_leaves_out_the_empty_ones() {
    for (window, step_s, steps) in
        [(Window::S10, 2, 5), (Window::M1, 2, 30), (Window::M10, 10, 60), (Window::H1, 60, 60)]
    {
        let mut world = World::new(Options::default());
        world.pass(Duration::from_secs(7200));
        let seconds = 2 * window.length().as_secs();
        for second in 0..seconds {
            // Silence for a third of the window.
            if second < seconds - seconds / 6 {
                world.request(ScopeId::ALL, 20);
            }
            world.pass_slowly(1);
        }
        let points = world.live.points(ScopeId::ALL, Figure::Total, window);
        assert!(points.len().abs_diff(steps * 2 / 3) <= 1, "{window:?}: {} points", points.len());
        for point in &points[1..points.len() - 1] {
            assert_eq!((point.span, point.rate), (Duration::from_secs(step_s), 1.0), "{window:?}");
            assert_eq!(point.at_ms % (step_s * 1000), 0);
        }
        let rates = world.live.rate_points(ScopeId::ALL, window);
        let same = |(rates, point): (&super::super::RatePoint, &super::super::Point)| {
            rates.at_ms == point.at_ms && rates.rates.requests == point.quantiles.count
        };
        assert!(rates.len() == points.len() && rates.iter().zip(&points).all(same));
    }
}

#[test]
fn scopes_do_not_mix() {
    let mut world = World::new(Options::default());
    let one = world.live.scope(Kind::Target, "a/m");
    let other = world.live.scope(Kind::Alias, "a/m");
    world.request(one, 10);
    world.request(one, 10);
    world.request(other, 900);
    world.live.record(other, Figure::Cache, Duration::from_micros(3));
    world.pass_slowly(3);
    let count = |scope, figure| world.live.read(scope, figure, Window::M1).count;
    assert_eq!((count(one, Figure::Total), count(other, Figure::Total)), (2, 1));
    assert_eq!((count(one, Figure::Cache), count(other, Figure::Cache)), (0, 1));
    assert_eq!(world.live.find(Kind::Target, "a/m"), Some(one));
    assert_eq!(world.live.find(Kind::Key, "a/m"), None);
    assert_eq!(world.live.scopes(Kind::Alias).collect::<Vec<_>>(), [(other, "a/m")]);
}
