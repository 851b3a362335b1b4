//! The breaker's permits and the registry under every interleaving of a few threads, by loom.
//!
//! This is no module of the library but the root of a test of its own: it compiles the same sources
//! over loom's locks, counters and handles, by a [`sync`] of its own, and so needs no special build.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unused_imports, missing_docs)]

mod breaker;
mod clock;
mod registry;
mod ring;

/// What `src/sync.rs` is for the library.
mod sync {
    pub use loom::sync::atomic::{AtomicUsize, Ordering};
    pub use loom::sync::{Arc, Mutex, MutexGuard};

    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

use breaker::{Breaker, Pass, State, Strategy, Verdict};
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use registry::{Entry, Key, Options, Registry};
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Every interleaving with up to three switches of thread where none is due (Musuvathi and Qadeer,
/// 2007: few faults need more than two).
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Runs `act` on two more threads and on this one, and waits for all.
fn on_three<S: Send + Sync + 'static>(shared: &Arc<S>, act: fn(&Arc<S>, usize)) {
    let others: Vec<_> = (1..3)
        .map(|number| {
            let shared = Arc::clone(shared);
            thread::spawn(move || act(&shared, number))
        })
        .collect();
    act(shared, 0);
    others.into_iter().for_each(|other| other.join().unwrap());
}

/// A half-open breaker with two trial permits, and how many are out.
struct Trials {
    breaker: Arc<Breaker>,
    now: Instant,
    out: AtomicUsize,
}

impl Trials {
    fn new() -> Arc<Self> {
        let strategy = Strategy { open: Duration::ZERO, half_open: 2, ..Strategy::BALANCED };
        let now = Instant::now();
        let breaker = Breaker::new(strategy, 1);
        breaker.trip(now, None);
        Arc::new(Self { breaker, now, out: AtomicUsize::new(0) })
    }

    fn admit(&self) -> Option<Pass> {
        let pass = self.breaker.admit(self.now).ok()?;
        assert!(self.out.fetch_add(1, SeqCst) < 2, "a permit is out twice");
        Some(pass)
    }

    /// How many permits are to be had.
    fn free(&self) -> usize {
        let passes: Vec<_> = std::iter::from_fn(|| self.breaker.admit(self.now).ok()).take(9).collect();
        passes.len()
    }
}

#[test]
fn no_permit_is_lost_or_doubled() {
    explore(|| {
        let trials = Trials::new();
        on_three(&trials, |trials, number| {
            let Some(pass) = trials.admit() else { return };
            trials.out.fetch_sub(1, SeqCst);
            match number {
                0 => drop(pass),
                _ => pass.settle(Verdict::Ignored, trials.now),
            }
        });
        assert_eq!(trials.free(), 2);
    });
}

#[test]
fn the_first_verdict_decides_and_the_others_come_too_late() {
    explore(|| {
        let trials = Trials::new();
        let (good, hard) = (trials.admit().unwrap(), trials.admit().unwrap());
        let now = trials.now;
        let other = thread::spawn(move || hard.settle(Verdict::Hard, now));
        good.settle(Verdict::Good, now);
        other.join().unwrap();
        let report = trials.breaker.report(now);
        match report.trips {
            1 => assert_eq!((report.state, report.consecutive, report.calls), (State::Closed, 0, 0)),
            _ => assert_eq!((report.state, trials.free()), (State::HalfOpen, 2)),
        }
    });
}

#[test]
fn a_permit_of_an_earlier_phase_frees_no_place() {
    explore(|| {
        let trials = Trials::new();
        let old = trials.admit().unwrap();
        let other = thread::spawn(move || drop(old));
        trials.breaker.trip(trials.now, None);
        let held = [trials.breaker.admit(trials.now).unwrap(), trials.breaker.admit(trials.now).unwrap()];
        assert!(trials.breaker.admit(trials.now).is_err());
        other.join().unwrap();
        assert_eq!(trials.free(), 0);
        drop(held);
        assert_eq!(trials.free(), 2);
    });
}

#[test]
fn a_breaker_trips_once_however_many_fail_at_once() {
    explore(|| {
        let strategy = Strategy { consecutive: 2, ..Strategy::BALANCED };
        let trials =
            Trials { breaker: Breaker::new(strategy, 1), now: Instant::now(), out: AtomicUsize::new(0) };
        let trials = Arc::new(trials);
        on_three(&trials, |trials, _| {
            if let Ok(pass) = trials.breaker.admit(trials.now) {
                pass.settle(Verdict::Hard, trials.now);
            }
        });
        assert_eq!(trials.breaker.report(trials.now).trips, 1);
    });
}

/// A key; the odd ones can share the entry of the even one below.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Number(usize);

impl Key for Number {
    fn coarser(&self) -> Option<Self> {
        (self.0 % 2 == 1).then(|| Self(self.0 - 1))
    }
}

/// An entry that knows for which key it was made.
struct Thing(usize);

impl Entry for Thing {
    fn is_busy(&self, _: Instant) -> bool {
        false
    }
}

/// A registry with so few places that its threads are in each other's way.
struct Crowd {
    // The same hashes in each run, as loom demands.
    things: Registry<Number, Thing, BuildHasherDefault<DefaultHasher>>,
    now: Instant,
    /// The last handle somebody took, for others to compare theirs with.
    held: Mutex<Option<sync::Arc<Thing>>>,
}

/// The key of the entry that all share who find no place.
const REST: usize = 99;

impl Crowd {
    fn new(entries: usize, entries_max: usize) -> Arc<Self> {
        let idle = Duration::ZERO;
        let options = Options { entries, entries_max, idle, sweep: Duration::ZERO, enabled: true };
        let things = Registry::with_hasher(options, sync::Arc::new(Thing(REST)), Default::default());
        Arc::new(Self { things, now: Instant::now(), held: Mutex::new(None) })
    }

    fn get(&self, number: usize) -> sync::Arc<Thing> {
        let thing = self.things.get(&Number(number), self.now, |key| sync::Arc::new(Thing(key.0)));
        assert!(self.things.len() <= self.things.options().entries_max, "more than there may be");
        thing
    }

    /// Gets the entry, and again while it is held: it must be the same.
    fn hold(&self, number: usize) {
        let first = self.get(number);
        let second = self.get(number);
        assert!(first.0 != second.0 || sync::Arc::ptr_eq(&first, &second), "two entries for one key");
    }

    fn kept(&self) -> usize {
        let mut kept = 0;
        self.things.for_each(|_, _| kept += 1);
        kept
    }
}

#[test]
fn who_asks_at_once_gets_the_same_entry() {
    explore(|| {
        let crowd = Crowd::new(2, 2);
        on_three(&crowd, |crowd, number| {
            if number == 2 {
                crowd.things.sweep(crowd.now);
                return;
            }
            let mine = crowd.get(0);
            let mut held = crowd.held.lock().unwrap();
            match &*held {
                Some(theirs) => assert!(sync::Arc::ptr_eq(&mine, theirs), "two entries for one key"),
                None => *held = Some(mine),
            }
        });
        assert_eq!((crowd.things.len(), crowd.kept()), (1, 1), "held, and therefore kept");
    });
}

#[test]
fn an_entry_in_use_is_not_evicted_to_make_place() {
    explore(|| {
        let crowd = Crowd::new(1, 2);
        on_three(&crowd, |crowd, number| crowd.hold(2 * number));
        assert!(crowd.things.len() <= 2);
        assert_eq!(crowd.things.len(), crowd.kept());
    });
}

#[test]
fn sharing_keeps_the_bound() {
    explore(|| {
        let crowd = Crowd::new(1, 1);
        on_three(&crowd, |crowd, number| {
            let thing = crowd.get(number);
            assert!([number, number & !1, REST].contains(&thing.0));
        });
        assert_eq!((crowd.things.len(), crowd.kept()), (1, 1));
    });
}

#[test]
fn a_sweep_takes_no_entry_from_under_its_user() {
    explore(|| {
        let crowd = Crowd::new(2, 2);
        on_three(&crowd, |crowd, number| match number {
            0 => crowd.hold(0),
            1 => crowd.hold(2),
            _ => drop(crowd.things.sweep(crowd.now)),
        });
        assert_eq!(crowd.things.len(), crowd.kept());
    });
}

#[test]
fn places_under_different_locks_count_toward_one_bound() {
    // Entries enough for two locks, and a place for one.
    explore(|| {
        let crowd = Crowd::new(64, 1);
        on_three(&crowd, |crowd, number| drop(crowd.get(2 * number)));
        assert_eq!((crowd.things.len(), crowd.kept()), (1, 1));
    });
}
