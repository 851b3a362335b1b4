//! What a registry promises, one behaviour a test; then random courses against a plain model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use guard::breaker::{Breaker, Strategy, Verdict};
use guard::registry::{Entry, Key, Options, Registry};
use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// A provider and, unless it is the provider's own key, a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Target(u8, Option<u8>);

impl Key for Target {
    fn coarser(&self) -> Option<Self> {
        self.1.map(|_| Self(self.0, None))
    }
}

/// An entry that is busy when told so, and knows for which key it was made.
#[derive(Debug)]
struct Thing {
    key: Option<Target>,
    busy: AtomicBool,
}

impl Thing {
    fn new(key: Option<Target>, busy: bool) -> Arc<Self> {
        Arc::new(Self { key, busy: AtomicBool::new(busy) })
    }
}

impl Entry for Thing {
    fn is_busy(&self, _: Instant) -> bool {
        self.busy.load(SeqCst)
    }
}

type Things = Registry<Target, Thing>;

fn things(entries: usize, entries_max: usize) -> Things {
    Registry::new(Options { entries, entries_max, ..Options::default() }, Thing::new(None, false))
}

fn get(things: &Things, provider: u8, model: u8, now: Instant) -> Arc<Thing> {
    things.get(&Target(provider, Some(model)), now, |key| Thing::new(Some(*key), false))
}

fn get_busy(things: &Things, provider: u8, model: u8, now: Instant) -> Arc<Thing> {
    let thing = get(things, provider, model, now);
    thing.busy.store(true, SeqCst);
    thing
}

fn has(things: &Things, provider: u8, model: u8) -> bool {
    things.find(&Target(provider, Some(model))).is_some()
}

#[test]
fn one_key_has_one_entry() {
    let (things, now) = (things(10, 10), Instant::now());
    let first = get(&things, 1, 1, now);
    assert!(Arc::ptr_eq(&first, &get(&things, 1, 1, now)));
    assert!(!Arc::ptr_eq(&first, &get(&things, 1, 2, now)));
    assert_eq!((things.len(), first.key), (2, Some(Target(1, Some(1)))));
}

#[test]
fn a_new_entry_takes_the_place_of_the_longest_unused() {
    let (things, now) = (things(3, 9), Instant::now());
    for model in 1..=3 {
        get(&things, 1, model, now + u32::from(model) * MINUTE);
    }
    get(&things, 1, 1, now + 4 * MINUTE);
    get(&things, 1, 4, now + 5 * MINUTE);
    assert_eq!([1, 2, 3, 4].map(|model| has(&things, 1, model)), [true, false, true, true]);
    assert_eq!(things.len(), 3);
}

#[test]
fn what_is_busy_or_held_stays() {
    let (things, now) = (things(2, 9), Instant::now());
    get_busy(&things, 1, 1, now);
    let held = get(&things, 1, 2, now);
    get(&things, 1, 3, now);
    assert_eq!(things.len(), 3, "it grows instead");
    get(&things, 1, 4, now);
    assert_eq!([1, 2, 3, 4].map(|model| has(&things, 1, model)), [true, true, false, true]);
    assert_eq!(things.sweep(now + 600 * MINUTE), 1);
    assert!(Arc::ptr_eq(&held, &get(&things, 1, 2, now)));

    let weak = Arc::downgrade(&held);
    drop(held);
    assert_eq!(things.sweep(now + 1200 * MINUTE), 0, "who could come back holds it too");
    drop(weak);
    assert_eq!(things.sweep(now + 1800 * MINUTE), 1);
}

#[test]
fn what_has_lost_its_meaning_goes_though_it_is_busy_or_held() {
    let (things, now) = (things(9, 9), Instant::now());
    get(&things, 1, 1, now);
    get_busy(&things, 2, 1, now);
    let held = get(&things, 2, 2, now);
    assert_eq!(things.retain(|key, _| key.0 == 1), 2);
    assert_eq!((things.len(), has(&things, 1, 1), has(&things, 2, 2)), (1, true, false));
    assert!(!Arc::ptr_eq(&held, &get(&things, 2, 2, now)), "nobody finds it any more");
    assert_eq!(things.retain(|_, thing| !thing.is_busy(now)), 0);
}

#[test]
fn a_tripped_breaker_goes_with_its_target() {
    let rest = Breaker::new(Strategy::BALANCED, 0);
    let (breakers, now) = (Registry::new(Options::default(), rest), Instant::now());
    let get = |model| breakers.get(&Target(1, Some(model)), now, |_| Breaker::new(Strategy::BALANCED, 1));
    [1, 2].map(get).iter().for_each(|breaker| breaker.trip(now, None));
    assert_eq!(breakers.sweep(now + 600 * MINUTE), 0, "a sweep spares them");
    assert_eq!(breakers.retain(|key, _| key.1 == Some(1)), 1);
    assert!(get(1).admit(now).is_err() && get(2).admit(now).is_ok());
}

#[test]
fn beyond_the_bound_the_coarser_entry_is_shared() {
    // Ten places, the last of them for keys without a coarser one.
    let (things, now) = (things(5, 10), Instant::now());
    for model in 0..9 {
        get_busy(&things, 1, model, now);
    }
    let shared = get_busy(&things, 1, 9, now);
    assert_eq!((shared.key, things.len()), (Some(Target(1, None)), 10));
    assert!(Arc::ptr_eq(&shared, &get(&things, 1, 10, now)), "by all of the provider");

    let rest = get_busy(&things, 2, 0, now);
    assert_eq!((rest.key, things.len()), (None, 10), "and where there is no place for that either");
    assert!(Arc::ptr_eq(&rest, &get(&things, 3, 0, now)), "one by all");

    things.find(&Target(1, Some(4))).unwrap().busy.store(false, SeqCst);
    assert_eq!(get(&things, 2, 0, now).key, Some(Target(2, Some(0))), "until there is a place again");
}

#[test]
fn a_bound_below_the_usual_number_holds_and_evicts() {
    let (things, now) = (things(20, 2), Instant::now());
    for model in 0..5 {
        assert_eq!(get(&things, 1, model, now).key, Some(Target(1, Some(model))));
    }
    assert_eq!(things.len(), 2);
}

#[test]
fn a_sweep_takes_what_is_unused_for_long() {
    let (things, now) = (things(100, 100), Instant::now());
    assert_eq!(things.sweep(now), 0);
    get(&things, 1, 1, now);
    get_busy(&things, 1, 2, now);
    get(&things, 1, 3, now + 30 * MINUTE);
    assert_eq!(things.sweep(now + 59 * MINUTE), 0);
    assert_eq!(things.sweep(now + 63 * MINUTE), 0, "the last sweep is less than five minutes ago");
    assert_eq!(things.sweep(now + 64 * MINUTE), 1);
    assert_eq!([1, 2, 3].map(|model| has(&things, 1, model)), [false, true, true]);
    assert_eq!(things.len(), 2);
}

#[test]
fn switched_off_nothing_is_swept_but_the_bounds_hold() {
    let options = Options { entries: 2, entries_max: 2, enabled: false, ..Options::default() };
    let (things, now) = (Registry::new(options, Thing::new(None, false)), Instant::now());
    for model in 0..4 {
        get(&things, 1, model, now);
    }
    assert_eq!((things.sweep(now + 600 * MINUTE), things.len()), (0, 2));
}

#[test]
fn making_an_entry_may_ask_the_registry() {
    let (things, now) = (things(10, 10), Instant::now());
    let thing = things.get(&Target(1, Some(1)), now, |key| {
        get(&things, 1, 2, now);
        Thing::new(Some(*key), false)
    });
    assert_eq!((thing.key, things.len()), (Some(Target(1, Some(1))), 2));
    // Even for the same key: whoever is first stays.
    let thing = things.get(&Target(2, Some(1)), now, |key| {
        get_busy(&things, 2, 1, now);
        Thing::new(Some(*key), false)
    });
    assert!(thing.busy.load(SeqCst));
}

#[test]
fn all_are_visited() {
    let (things, now) = (things(1000, 1000), Instant::now());
    for model in 0..200 {
        get(&things, 1, model, now);
    }
    let mut seen: Vec<_> = Vec::new();
    things.for_each(|key, thing| {
        assert_eq!(thing.key, Some(*key));
        seen.push(key.1.unwrap());
    });
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
}

#[test]
fn a_tripped_breaker_is_not_crowded_out() {
    let now = Instant::now();
    let make = |_: &Target| Breaker::new(Strategy::BALANCED, 1);
    let options = Options { entries: 20, entries_max: 40, ..Options::default() };
    let breakers = Registry::new(options, make(&Target(0, None)));
    let bad = Target(1, Some(1));
    for _ in 0..5 {
        breakers.get(&bad, now, make).admit(now).unwrap().settle(Verdict::Hard, now);
    }
    for number in 0..=255 {
        breakers.get(&Target(2, Some(number)), now + MINUTE, make);
    }
    breakers.sweep(now + 600 * MINUTE);
    assert!(breakers.get(&bad, now, make).admit(now).is_err());
    assert_eq!(breakers.len(), 1);
}

/// What happens in a random course.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody gets an entry, and keeps it or not.
    Get(Target, bool),
    /// Whoever has held one the longest lets go.
    Release,
    SetBusy(Target, bool),
    Wait(u64),
    Sweep,
}

fn steps() -> impl proptest::strategy::Strategy<Value = Step> {
    let target = || (0..3_u8, proptest::option::weighted(0.9, 0..6_u8)).prop_map(|(a, b)| Target(a, b));
    prop_oneof![
        8 => (target(), any::<bool>()).prop_map(|(key, keep)| Step::Get(key, keep)),
        4 => Just(Step::Release),
        3 => (target(), any::<bool>()).prop_map(|(key, busy)| Step::SetBusy(key, busy)),
        2 => (0..40_u64).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
    ]
}

/// The registry as one would write it without a thought for speed or threads. `held` counts handles.
#[derive(Default)]
struct Model {
    slots: BTreeMap<Target, Slot>,
    clock: u64,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    used: u64,
    held: usize,
    busy: bool,
}

impl Model {
    /// The keys in whose place a new entry may come: the longest unused of those that are free.
    fn oldest(&self) -> Vec<Target> {
        let free = || self.slots.iter().filter(|(_, slot)| slot.held == 0 && !slot.busy);
        let Some(used) = free().map(|(_, slot)| slot.used).min() else { return Vec::new() };
        free().filter(|(_, slot)| slot.used == used).map(|(key, _)| *key).collect()
    }

    /// Which key's entry is to be given, and which keys may lose theirs for it.
    fn get(&mut self, key: Target) -> (Option<Target>, Vec<Target>) {
        let (soft, hard) = (BOUNDS.0, if key.1.is_some() { BOUNDS.1 - BOUNDS.1 / 10 } else { BOUNDS.1 });
        let mut victims = Vec::new();
        if !self.slots.contains_key(&key) {
            victims = if self.slots.len() >= soft { self.oldest() } else { Vec::new() };
            if victims.is_empty() && self.slots.len() >= hard {
                return key.coarser().map_or((None, Vec::new()), |coarser| self.get(coarser));
            }
        }
        self.slots.entry(key).or_default().used = self.clock;
        (Some(key), victims)
    }
}

const BOUNDS: (usize, usize) = (6, 10);

proptest! {
    #[test]
    fn it_does_as_the_model_does(course in proptest::collection::vec(steps(), 1..200)) {
        let base = Instant::now();
        let things = things(BOUNDS.0, BOUNDS.1);
        let (mut model, mut held, mut swept) = (Model::default(), Vec::new(), None::<u64>);
        for step in course {
            let now = base + model.clock as u32 * MINUTE;
            match step {
                Step::Get(key, keep) => {
                    let got = things.get(&key, now, |key| Thing::new(Some(*key), false));
                    let (expected, victims) = model.get(key);
                    prop_assert_eq!(got.key, expected);
                    let gone: Vec<_> =
                        victims.iter().filter(|key| things.find(key).is_none()).copied().collect();
                    prop_assert_eq!(gone.len(), usize::from(!victims.is_empty()), "one of {:?}", victims);
                    model.slots.retain(|key, _| !gone.contains(key));
                    if let Some(key) = expected.filter(|_| keep) {
                        model.slots.get_mut(&key).unwrap().held += 1;
                        held.push((key, got));
                    }
                }
                Step::Release if !held.is_empty() => {
                    model.slots.get_mut(&held.remove(0).0).unwrap().held -= 1;
                }
                Step::Release => {}
                Step::SetBusy(key, busy) => {
                    let found = things.find(&key);
                    prop_assert_eq!(found.is_some(), model.slots.contains_key(&key));
                    if let Some(thing) = found {
                        thing.busy.store(busy, SeqCst);
                        model.slots.get_mut(&key).unwrap().busy = busy;
                    }
                }
                Step::Wait(minutes) => model.clock += minutes,
                Step::Sweep => {
                    let before = model.slots.len();
                    if swept.is_none_or(|last| model.clock - last >= 5) {
                        swept = Some(model.clock);
                        let clock = model.clock;
                        model.slots.retain(|_, slot| slot.held > 0 || slot.busy || clock - slot.used < 60);
                    }
                    prop_assert_eq!(things.sweep(now), before - model.slots.len());
                }
            }
            prop_assert_eq!(things.len(), model.slots.len());
            for (key, thing) in &held {
                prop_assert!(Arc::ptr_eq(thing, &things.find(key).unwrap()), "one key, one entry");
            }
        }
    }
}
