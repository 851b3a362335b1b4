//! What is given up to be kept, and taken back.

use super::super::{Figure, Kind, Live, Options, ScopeId, Window};
use super::{BEGAN, World};
use std::time::Duration;

#[test]
fn every_minute_in_which_something_happened_is_given_once() {
    let mut world = World::new(Options::default());
    let mut minutes = Vec::new();
    for second in 0..300 {
        // The third minute is silent.
        if !(120..180).contains(&second) {
            world.request(ScopeId::ALL, 5);
        }
        minutes.extend(world.pass_slowly(1));
    }
    let given: Vec<_> =
        minutes.iter().map(|minute| (minute.at - BEGAN, minute.entries[0].requests())).collect();
    assert_eq!(given, [(0, 60), (1, 60), (3, 60), (4, 60)]);
}

#[test]
fn the_minute_before_a_sleep_keeps_its_time() {
    for coarseness in 0..5 {
        let mut world = World::new(Options::default());
        world.live.coarseness = [coarseness; 5];
        world.pass_slowly(3 * 60 + 20);
        world.request(ScopeId::ALL, 5);
        let minute = world.set_wall(100 * 3600).unwrap();
        assert_eq!((minute.at - BEGAN, minute.entries[0].requests()), (3, 1));
        world.request(ScopeId::ALL, 5);
        let minute = world.pass(Duration::from_secs(60)).unwrap();
        assert_eq!(minute.at - BEGAN, 3 + 100 * 60);
    }
}

#[test]
fn the_busiest_scopes_come_first_after_all() {
    let mut world = World::new(Options::default());
    for (name, requests) in [("some", 5), ("few", 1), ("many", 9)] {
        let scope = world.live.scope(Kind::Key, name);
        (0..requests).for_each(|_| world.request(scope, 1));
    }
    world.request(ScopeId::ALL, 1);
    world.live.scope(Kind::Key, "none");
    let minute = world.live.finish().unwrap();
    let names: Vec<_> = minute.entries.iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, ["all", "many", "some", "few"]);
}

#[test]
fn a_process_that_begins_again_knows_the_last_day() {
    let mut world = World::new(Options::default());
    let mut minutes = Vec::new();
    for second in 0..2 * 3600 {
        world.request(ScopeId::ALL, second % 50 + 1);
        let scope = world.live.scope(Kind::Key, "key");
        world.live.record(scope, Figure::Overhead, Duration::from_micros(second % 90 + 10));
        minutes.extend(world.pass_slowly(1));
    }
    let mut again = Live::new(Options::default(), world.now);
    minutes.iter().for_each(|minute| again.restore(minute));
    again.tick(world.now);
    let key = again.find(Kind::Key, "key").unwrap();
    assert_eq!(world.live.find(Kind::Key, "key"), Some(key));
    for window in [Window::H1, Window::H24] {
        for (scope, figure) in [(ScopeId::ALL, Figure::Total), (key, Figure::Overhead)] {
            assert_eq!(again.read(scope, figure, window), world.live.read(scope, figure, window));
        }
        assert_eq!(again.rates(ScopeId::ALL, window), world.live.rates(ScopeId::ALL, window));
    }
}

#[test]
fn what_is_too_old_or_not_over_is_not_taken_back() {
    let mut world = World::new(Options::default());
    world.request(ScopeId::ALL, 5);
    let minute = world.live.clone().finish().unwrap();
    for (later, taken) in [(30, 0), (61, 1), (24 * 3600, 1), (25 * 3600, 0), (1000 * 3600, 0)] {
        let now = world.now.after(Duration::from_secs(later));
        let mut again = Live::new(Options::default(), now);
        again.restore(&minute);
        assert_eq!(again.read(ScopeId::ALL, Figure::Total, Window::H24).count, taken, "{later} s later");
    }
}
