//! The cap, and what is given up to keep it.

use super::super::{Figure, Held, Kind, Live, OTHER, Options, ScopeId, Window};
use super::{World, ok};
use std::time::Duration;

const NAMED: [Kind; 4] = [Kind::Route, Kind::Target, Kind::Key, Kind::Alias];

/// Numbers as if by chance.
struct Dice(u64);

impl Dice {
    /// From `lowest` to a million times that, every order of magnitude as often.
    fn nanos(&mut self, lowest: f64) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_nanos((lowest * 1e6_f64.powf(uniform)) as u64)
    }
}

/// What is held, counted anew and compared with what the books say.
fn held(live: &Live) -> Held {
    let held = live.held();
    let counted: usize = live.scopes.iter().map(super::super::scope::Scope::bytes).sum();
    assert_eq!(held.bytes, counted, "the books are wrong");
    held
}

fn load(world: &mut World, scopes: &[ScopeId], samples: usize, dice: &mut Dice) -> u64 {
    for &scope in scopes {
        for figure in Figure::ALL {
            for _ in 0..samples {
                world.live.record(scope, figure, dice.nanos(10_000.0));
            }
        }
        world.live.count(scope, ok());
    }
    (scopes.len() * samples) as u64
}

#[test]
fn nothing_is_taken_for_what_nobody_recorded() {
    let world = World::new(Options::default());
    assert!(held(&world.live).bytes < 1024, "{:?}", held(&world.live));
}

#[test]
fn eight_hundred_busy_scopes_stay_below_the_cap() {
    let options = Options::default();
    let mut world = World::new(options);
    let mut scopes = vec![ScopeId::ALL];
    for kind in NAMED {
        scopes.extend((0..options.scopes_max).map(|n| world.live.scope(kind, &format!("name {n}"))));
    }
    let mut dice = Dice(1);
    let mut recorded = 0;
    // A minute slot by slot, then a day in leaps.
    for step in 0..30 + 52 {
        recorded += load(&mut world, &scopes, 2, &mut dice);
        world.pass(Duration::from_secs(if step < 30 { 2 } else { 1800 }));
        let held = held(&world.live);
        assert!(held.bytes <= options.bytes_max, "{held:?} at step {step}");
    }
    recorded += load(&mut world, &scopes, 2, &mut dice);
    world.pass(Duration::from_secs(2));
    let held = held(&world.live);
    assert_eq!(held.dropped, 0, "of {recorded}");
    assert_eq!(held.scopes, 801);
    let count = |scope, window| world.live.read(scope, Figure::Total, window).count;
    assert_eq!(held.coarseness[Kind::All as usize], 0, "the figures of all are few");
    assert_eq!(count(ScopeId::ALL, Window::H24), 2 * 49);
    assert!(scopes.iter().all(|scope| count(*scope, Window::M10) >= 2), "{held:?}");
}

#[test]
fn where_nothing_can_be_given_up_samples_are_dropped_and_counted() {
    let options = Options { bytes_max: 40_000, scopes_max: 20 };
    let mut world = World::new(options);
    let mut dice = Dice(2);
    let mut recorded = 0;
    for _ in 0..30 {
        for name in 0..100 {
            let scope = world.live.scope(Kind::Key, &format!("name {name}"));
            recorded += load(&mut world, &[scope], 20, &mut dice);
        }
        assert!(held(&world.live).bytes <= options.bytes_max);
        world.pass(Duration::from_secs(2));
        assert!(held(&world.live).bytes <= options.bytes_max);
    }
    let held = held(&world.live);
    assert!(held.dropped > 0, "{held:?}");
    let counted: u64 = world
        .live
        .scopes(Kind::Key)
        .flat_map(|(scope, _)| Figure::ALL.map(|figure| world.live.read(scope, figure, Window::M10).count))
        .sum();
    assert!(counted > 0 && counted + held.dropped >= 6 * recorded, "{counted} of {recorded}, {held:?}");
}

#[test]
fn detail_comes_back_where_there_is_room_again() {
    let options = Options { bytes_max: 60_000, scopes_max: 20 };
    let mut world = World::new(options);
    let mut dice = Dice(3);
    while world.live.held().coarseness[Kind::Key as usize] < 2 {
        let scope = world.live.scope(Kind::Key, "key");
        load(&mut world, &[scope], 50, &mut dice);
        world.pass(Duration::from_secs(2));
    }
    for _ in 0..120 {
        world.pass(Duration::from_secs(60));
    }
    assert_eq!(held(&world.live).coarseness, [0; 5]);
}

#[test]
fn a_coarser_window_is_longer_and_its_rate_is_right() {
    let mut world = World::new(Options::default());
    for _ in 0..9000 {
        world.live.coarseness = [2; 5];
        world.request(ScopeId::ALL, 5);
        world.pass(Duration::from_secs(1));
        for window in [Window::S10, Window::M1, Window::M10, Window::H1] {
            let rates = world.live.rates(ScopeId::ALL, window);
            assert!(rates.span <= 2 * window.length() + Duration::from_secs(2), "{window:?}: {rates:?}");
            assert_eq!(rates.requests_per_second, 1.0, "{window:?}: {rates:?}");
        }
    }
}

#[test]
fn what_is_forgotten_early_is_not_counted_as_silence() {
    let mut world = World::new(Options::default());
    for _ in 0..4000 {
        world.live.coarseness = [4; 5];
        world.request(ScopeId::ALL, 5);
        world.pass(Duration::from_secs(1));
    }
    let rates = world.live.rates(ScopeId::ALL, Window::H24);
    assert!(rates.span < Duration::from_secs(700) && rates.requests_per_second == 1.0, "{rates:?}");
}

#[test]
fn a_scope_that_is_idle_for_a_day_is_freed() {
    let mut world = World::new(Options::default());
    let before = held(&world.live).bytes;
    let scope = world.live.scope(Kind::Alias, "old");
    load(&mut world, &[scope], 5, &mut Dice(4));
    for _ in 0..23 {
        world.pass(Duration::from_secs(3600));
    }
    assert_eq!(world.live.find(Kind::Alias, "old"), Some(scope));
    for _ in 0..3 {
        world.pass(Duration::from_secs(3600));
    }
    assert_eq!(world.live.find(Kind::Alias, "old"), None);
    world.request(scope, 1);
    assert_eq!((held(&world.live).dropped, held(&world.live).bytes), (2, before));
}

#[test]
fn a_caller_who_invents_names_makes_no_more_scopes() {
    let mut world = World::new(Options::default());
    for name in 0..100_000 {
        let scope = world.live.scope(Kind::Key, &format!("invented {name}"));
        world.request(scope, 1);
    }
    assert_eq!(world.live.scopes(Kind::Key).count(), 201);
    let other = world.live.find(Kind::Key, OTHER).unwrap();
    assert_eq!(world.live.read(other, Figure::Total, Window::S10).count, 99_800);
}
