//! What a pool promises, one behaviour a test; and any order of borrowing and giving back against a
//! model that only counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Advice, Borrowed, Options, Pool, Report};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const TIGHT: Options = Options { kept: 3, size_max: 100, shards: 1 };

/// A pool of buffers, and how many of them exist.
fn buffers(options: Options) -> (Pool<Counted>, Arc<AtomicUsize>) {
    let alive = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&alive);
    let pool = Pool::new(
        options,
        move || Counted::new(&counter),
        |object| {
            object.bytes.clear();
            object.bytes.capacity()
        },
    );
    (pool, alive)
}

struct Counted {
    bytes: Vec<u8>,
    alive: Arc<AtomicUsize>,
}

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self { bytes: Vec::new(), alive: Arc::clone(alive) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

#[test]
fn what_comes_back_is_reset_and_lent_again() {
    let (pool, alive) = buffers(TIGHT);
    pool.borrow().bytes.extend_from_slice(&[7; 50]);
    let again = pool.borrow();
    assert!(again.bytes.is_empty());
    assert!(again.bytes.capacity() >= 50, "the same memory");
    assert_eq!(alive.load(SeqCst), 1);
    let report = pool.report();
    assert_eq!((report.borrowed, report.made, report.returned, report.out), (2, 1, 1, 1));
}

#[test]
fn no_more_lie_idle_than_are_kept() {
    let (pool, alive) = buffers(TIGHT);
    let loans: Vec<_> = (0..10).map(|_| pool.borrow()).collect();
    drop(loans);
    assert_eq!(alive.load(SeqCst), 3);
    let report = pool.report();
    assert_eq!((report.idle, report.returned, report.dropped_full), (3, 3, 7));
    assert_eq!((report.most_at_once, report.out), (10, 0));
}

#[test]
fn one_that_grew_over_the_bound_is_let_go() {
    let (pool, alive) = buffers(TIGHT);
    pool.borrow().bytes.reserve(101);
    assert_eq!(alive.load(SeqCst), 0);
    pool.borrow().bytes.reserve_exact(100);
    assert_eq!(alive.load(SeqCst), 1);
    assert_eq!(pool.report().dropped_grown, 1);
}

#[test]
fn a_borrower_may_keep_what_it_borrowed() {
    let (pool, alive) = buffers(TIGHT);
    let kept = pool.borrow().into_inner();
    assert_eq!(pool.report().idle, 0);
    drop(pool);
    assert_eq!(alive.load(SeqCst), 1);
    drop(kept);
    assert_eq!(alive.load(SeqCst), 0);
}

#[test]
fn a_loan_outlives_its_pool() {
    let (pool, alive) = buffers(Options { shards: 4, ..TIGHT });
    let loan = pool.borrow();
    drop(pool);
    assert!(loan.bytes.is_empty());
    drop(loan);
    assert_eq!(alive.load(SeqCst), 0, "what came back last went with its shard");
}

#[test]
fn what_a_panicking_borrower_held_is_let_go() {
    let (pool, alive) = buffers(TIGHT);
    let borrower = || {
        let _loan = pool.borrow();
        panic!("half way through");
    };
    assert!(catch_unwind(AssertUnwindSafe(borrower)).is_err());
    assert_eq!(alive.load(SeqCst), 0);
    let report = pool.report();
    assert_eq!((report.out, report.idle, report.dropped_in_panic), (0, 0, 1));
}

#[test]
fn a_pool_that_keeps_nothing_still_lends() {
    let (pool, alive) = buffers(Options { kept: 0, shards: 4, ..TIGHT });
    for _ in 0..3 {
        drop(pool.borrow());
    }
    assert_eq!(alive.load(SeqCst), 0);
    assert_eq!(pool.report().dropped_full, 3);
}

#[test]
fn threads_use_one_anothers_room_and_idle_objects() {
    let (pool, alive) = buffers(Options { kept: 10, shards: 8, ..TIGHT });
    let loans: Vec<_> = (0..12).map(|_| pool.borrow()).collect();
    drop(loans);
    assert_eq!(alive.load(SeqCst), 10, "all the room, though one thread gave them back");
    let elsewhere = pool.clone();
    let made = std::thread::spawn(move || {
        let _loans: Vec<_> = (0..10).map(|_| elsewhere.borrow()).collect();
        elsewhere.report().made
    });
    assert_eq!(made.join().unwrap(), 12, "none had to be made on the other thread");
}

#[test]
fn a_trim_lets_go_of_what_nobody_needed_since_the_last() {
    let (pool, alive) = buffers(Options { kept: 8, ..TIGHT });
    drop((0..8).map(|_| pool.borrow()).collect::<Vec<_>>());
    assert_eq!(pool.trim(), 0, "all were needed");
    drop((0..3).map(|_| pool.borrow()).collect::<Vec<_>>());
    assert_eq!(pool.trim(), 5);
    assert_eq!(alive.load(SeqCst), 3);
    assert_eq!(pool.trim(), 3, "and nobody has come since");
}

#[test]
fn many_threads_leave_the_pool_as_it_should_be() {
    let (pool, alive) = buffers(Options { kept: 6, shards: 4, ..TIGHT });
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let pool = pool.clone();
            scope.spawn(move || wander(&pool, seed));
        }
    });
    let report = pool.report();
    assert_eq!(report.out, 0);
    assert_eq!(report.borrowed, 4 * 2000);
    assert_eq!(
        report.borrowed,
        report.returned + report.dropped_full + report.dropped_grown + report.kept_by_borrower
    );
    assert_eq!(alive.load(SeqCst), report.idle);
    assert!(report.idle <= 6);
}

/// Borrows and gives back at random, a few at a time.
fn wander(pool: &Pool<Counted>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut held: Vec<Borrowed<Counted>> = Vec::new();
    for step in 0..2000 {
        let mut loan = pool.borrow();
        assert!(loan.bytes.is_empty());
        loan.bytes.extend_from_slice(&[1; 90][..random.usize(..90)]);
        held.push(loan);
        if step % 100 == 99 {
            drop(held.swap_remove(random.usize(..held.len())).into_inner());
        }
        while held.len() > random.usize(..5) {
            drop(held.swap_remove(random.usize(..held.len())));
        }
    }
}

#[test]
fn advice_follows_what_was_missed() {
    let calm = Report { borrowed: 10_000, made: 50, room: 64, most_at_once: 40, ..Report::default() };
    let table = [
        ("all well", calm, None),
        ("too early to say", Report { borrowed: 900, made: 900, dropped_full: 900, ..calm }, None),
        (
            "starved",
            Report { made: 2000, dropped_full: 1900, most_at_once: 200, ..calm },
            Some(Advice::KeepMore { kept: 200 }),
        ),
        ("grown", Report { made: 2000, dropped_grown: 1900, ..calm }, Some(Advice::KeepBigger)),
        ("kept by their borrowers", Report { made: 9000, kept_by_borrower: 9000, ..calm }, None),
        ("oversized", Report { idle_low: 60, ..calm }, Some(Advice::KeepFewer { kept: 16 })),
        ("small anyway", Report { room: 16, idle_low: 16, ..calm }, None),
    ];
    for (name, report, advice) in table {
        assert_eq!(report.advice(), advice, "{name}");
    }
}

#[test]
fn what_happened_since_an_earlier_report_is_a_difference() {
    let (pool, _alive) = buffers(TIGHT);
    drop(pool.borrow());
    let earlier = pool.report();
    drop((0..5).map(|_| pool.borrow()).collect::<Vec<_>>());
    let since = pool.report().since(&earlier);
    assert_eq!((since.borrowed, since.made, since.returned, since.dropped_full), (5, 4, 3, 2));
    assert!((since.miss_share() - 0.8).abs() < 1e-9);
}

#[derive(Clone, Debug)]
enum Step {
    Borrow,
    GiveBack(usize),
    Keep(usize),
    Grow(usize),
    Trim,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Borrow),
        3 => any::<usize>().prop_map(Step::GiveBack),
        1 => any::<usize>().prop_map(Step::Keep),
        1 => any::<usize>().prop_map(Step::Grow),
        1 => Just(Step::Trim),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_order_keeps_count_and_bounds(steps in steps(), kept in 0_usize..8, shards in 1_usize..5) {
        let (pool, alive) = buffers(Options { kept, shards, size_max: 100 });
        let mut out = Vec::new();
        let mut most = 0;
        let mut idle = 0_usize;
        for step in steps {
            match step {
                Step::Borrow => {
                    out.push(pool.borrow());
                    idle = idle.saturating_sub(1);
                }
                Step::GiveBack(which) if !out.is_empty() => {
                    let loan = out.swap_remove(which % out.len());
                    let grown = loan.bytes.capacity() > 100;
                    drop(loan);
                    idle = if grown { idle } else { (idle + 1).min(kept) };
                }
                Step::Keep(which) if !out.is_empty() => {
                    drop(out.swap_remove(which % out.len()).into_inner());
                }
                Step::Grow(which) if !out.is_empty() => {
                    let which = which % out.len();
                    out[which].bytes.reserve(101);
                }
                Step::Trim => idle -= pool.trim(),
                _ => {}
            }
            most = most.max(out.len());
            let report = pool.report();
            prop_assert_eq!((report.out, report.idle), (out.len(), idle));
            prop_assert_eq!(alive.load(SeqCst), out.len() + idle);
            prop_assert_eq!((report.most_at_once, report.room), (most, kept));
        }
    }
}
