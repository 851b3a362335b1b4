//! Real threads at the same buckets: nothing is sold twice, nothing is lost, nobody waits for ever.

use super::*;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const CALLERS: usize = 20;
const ROUNDS: usize = 100;

/// Runs `call` on as many threads at once as there are callers.
fn all_at_once(call: impl Fn(usize) + Sync) {
    let begin = Barrier::new(CALLERS);
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (begin, call) = (&begin, &call);
            scope.spawn(move || {
                begin.wait();
                call(caller);
            });
        }
    });
}

#[test]
fn twenty_callers_never_get_more_than_a_hundred_tokens() {
    for round in 0..ROUNDS {
        let (bucket, now) = hundred();
        let given = AtomicU64::new(0);
        let tokens = 5 + round as u64 % 7;
        all_at_once(|_| {
            while take(&bucket, tokens, now).is_ok() {
                given.fetch_add(tokens, SeqCst);
            }
        });
        assert_eq!(given.load(SeqCst), 100 / tokens * tokens);
    }
}

#[test]
fn callers_that_use_more_than_they_reserved_are_one_call_over_each_at_most() {
    for _ in 0..ROUNDS {
        let (bucket, now) = hundred();
        let used = AtomicU64::new(0);
        all_at_once(|_| {
            while let Ok(reservation) = bucket.reserve(10, now) {
                reservation.settle(&[15], now);
                used.fetch_add(15, SeqCst);
            }
        });
        // Between a reservation and its settlement each caller may be five over.
        assert!(used.load(SeqCst) <= 100 + 5 * CALLERS as u64);
        assert_eq!(bucket.level(now).reset, MINUTE * used.load(SeqCst) as u32 / 100);
    }
}

#[test]
fn callers_that_name_the_buckets_in_different_orders_lose_nothing() {
    let now = Instant::now();
    let buckets = [500, 900, 700].map(|amount| Bucket::new(Rate::per_minute(amount), now));
    let used = AtomicU64::new(0);
    all_at_once(|caller| {
        let mut parts = buckets.each_ref().map(|bucket| (bucket, 3));
        parts.rotate_left(caller % 3);
        for turn in 0..200 {
            match (reserve(&parts, now), turn % 3) {
                (Ok(reservation), 0) => reservation.refund(now),
                (Ok(reservation), 1) => {
                    reservation.settle(&[2; 3], now);
                    used.fetch_add(2, SeqCst);
                }
                (Ok(reservation), _) => {
                    drop(reservation);
                    used.fetch_add(3, SeqCst);
                }
                (Err(_), _) => {}
            }
        }
    });
    let used = used.load(SeqCst);
    assert!(used <= 500, "the smallest bucket bounds all");
    assert!(used > 497 - 3 * CALLERS as u64, "and is emptied");
    for (bucket, amount) in buckets.iter().zip([500, 900, 700]) {
        assert_eq!(remaining(bucket, now), amount - used);
    }
}

#[test]
fn slots_are_never_taken_twice() {
    let slots = Slots::new(7);
    let taken = AtomicU64::new(0);
    all_at_once(|_| {
        for _ in 0..500 {
            if let Some(slot) = slots.take() {
                assert!(taken.fetch_add(1, SeqCst) < 7);
                taken.fetch_sub(1, SeqCst);
                drop(slot);
            }
        }
    });
    assert_eq!(slots.taken(), 0);
}
