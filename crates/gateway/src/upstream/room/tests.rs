#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Bound, Entered, Grant, Place, Room, Share, Waiting, Waits};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::runtime::Builder;

/// A room for so many, and the shares of providers `0`, `1`, … with these bounds.
fn room(max: usize, shares: &[usize]) -> (Arc<Room>, Vec<Share>) {
    let room = Room::new(max);
    let share = |(name, max): (usize, &usize)| room.share(&name.to_string(), *max);
    let shares = shares.iter().enumerate().map(share).collect();
    (room, shares)
}

fn enters(share: &Share) -> Place {
    share.place().expect("there is room")
}

fn waits(share: &Share) -> Waiting {
    match share.enter() {
        Entered::Waiting(waiting) => waiting,
        Entered::Place(_) | Entered::Full(_) => panic!("there is no room, and few wait"),
    }
}

/// The place that has been granted by now.
async fn granted(waiting: &mut Waiting) -> Option<Place> {
    match tokio::time::timeout(Duration::ZERO, waiting.granted()).await {
        Ok(Grant::Place(place)) => Some(place),
        Ok(Grant::Connection(_)) => panic!("nobody gave one back"),
        Err(_) => None,
    }
}

#[tokio::test]
async fn whoever_waited_longest_comes_next() {
    let (room, shares) = room(100, &[2]);
    let (first, second) = (enters(&shares[0]), enters(&shares[0]));
    assert!(shares[0].place().is_none());
    let mut queue: Vec<_> = (0..3).map(|_| waits(&shares[0])).collect();
    drop(first);
    let third = granted(&mut queue[0]).await.expect("it came first");
    assert!(granted(&mut queue[1]).await.is_none());
    drop(second);
    assert!(granted(&mut queue[2]).await.is_none());
    let fourth = granted(&mut queue[1]).await.expect("it came second");
    assert_eq!((shares[0].level().open, shares[0].level().waiting), (2, 1));
    drop((third, fourth, queue));
    assert_eq!(room.stand(), (0, 100));
}

#[tokio::test]
async fn one_who_leaves_is_passed_over_and_passes_on_what_it_was_granted() {
    let (room, shares) = room(100, &[1]);
    let place = enters(&shares[0]);
    let (leaves, granted_unseen, mut stays) = (waits(&shares[0]), waits(&shares[0]), waits(&shares[0]));
    drop(leaves);
    drop(place);
    assert!(granted(&mut stays).await.is_none(), "another came before");
    drop(granted_unseen);
    let place = granted(&mut stays).await.expect("nobody else is left");
    drop((place, stays));
    assert_eq!((room.stand(), shares[0].level().waiting), ((0, 100), 0));
    assert!(shares[0].is_quiet(None));
}

#[tokio::test]
async fn the_bound_of_all_is_shared_in_the_order_of_arrival() {
    let (room, shares) = room(2, &[2, 2, 1]);
    let mut places = vec![enters(&shares[0]), enters(&shares[2])];
    // The provider's own bound is in the way of the first, that of all in the way of the others.
    let (mut own, mut first, mut second) = (waits(&shares[2]), waits(&shares[1]), waits(&shares[0]));
    assert_eq!([own.bound(), first.bound()], [Bound::Provider, Bound::All]);
    drop(places.remove(0));
    assert!(granted(&mut own).await.is_none(), "its provider has no room yet");
    places.push(granted(&mut first).await.expect("it came first of those who may"));
    drop(places.remove(0));
    places.push(granted(&mut own).await.expect("it came before the last"));
    drop(places.remove(0));
    places.push(granted(&mut second).await.expect("nobody else waits"));
    assert_eq!(room.stand(), (2, 2));
    assert_eq!(shares[2].level().waits, Waits { provider: 1, all: 0 });
}

#[tokio::test]
async fn one_that_may_have_all_is_held_up_by_the_bound_of_all() {
    let (_, shares) = room(2, &[2]);
    let _places = (enters(&shares[0]), enters(&shares[0]));
    assert_eq!(waits(&shares[0]).bound(), Bound::All);
    let level = shares[0].level();
    assert_eq!((level.waits, level.most_waiting), (Waits { provider: 0, all: 1 }, 1));
}

#[tokio::test]
async fn a_bound_that_is_raised_lets_in_and_one_that_is_lowered_puts_nobody_out() {
    let (room, shares) = room(100, &[1]);
    let first = enters(&shares[0]);
    let mut waiting = waits(&shares[0]);
    room.bound(100, |_| Some(2));
    let second = granted(&mut waiting).await.expect("there is room for two");
    room.bound(100, |_| Some(1));
    let mut next = waits(&shares[0]);
    drop(first);
    assert!(granted(&mut next).await.is_none(), "one is open, which is all that may be");
    drop(second);
    assert!(granted(&mut next).await.is_some());
}

#[tokio::test]
async fn so_many_may_wait_and_no_more() {
    let (_, shares) = room(100, &[1]);
    let _place = enters(&shares[0]);
    let queue: Vec<_> = (0..super::WAITING_MAX).map(|_| waits(&shares[0])).collect();
    assert!(matches!(shares[0].enter(), Entered::Full(Bound::Provider)));
    drop(queue);
    waits(&shares[0]);
}

/// A count that must never pass its bound.
struct Held<'a>(&'a AtomicUsize);

impl<'a> Held<'a> {
    fn of(count: &'a AtomicUsize, max: usize) -> Self {
        let before = count.fetch_add(1, SeqCst);
        assert!(before < max, "{before} of {max} were open already");
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// One who asks again and again, now for one provider and now for the other, and sometimes loses patience.
async fn asks(shares: &[Share], each: &[AtomicUsize; 2], all: &AtomicUsize, seed: usize) -> usize {
    let mut patient = 0;
    for round in 0..400 {
        let at = (round + seed) % 2;
        let place = match shares[at].enter() {
            Entered::Place(place) => place,
            Entered::Waiting(mut waiting) if (round + seed).is_multiple_of(7) => {
                drop(tokio::time::timeout(Duration::ZERO, waiting.granted()).await);
                continue;
            }
            Entered::Waiting(mut waiting) => match waiting.granted().await {
                Grant::Place(place) => place,
                Grant::Connection(_) => panic!("nobody gave one back"),
            },
            Entered::Full(_) => panic!("few wait"),
        };
        let held = (Held::of(&each[at], 3), Held::of(all, 4));
        tokio::task::yield_now().await;
        drop(held);
        drop(place);
        patient += 1;
    }
    patient
}

#[test]
fn the_bounds_hold_and_nobody_is_forgotten_on_many_threads() {
    let (room, shares) = room(4, &[3, 3]);
    let (each, all) = ([AtomicUsize::new(0), AtomicUsize::new(0)], AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (shares, each, all) = (&shares, &each, &all);
            scope.spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                let callers = (0..4).map(|caller| asks(shares, each, all, thread + caller));
                let patient = runtime.block_on(futures_util::future::join_all(callers));
                assert!(patient.into_iter().all(|patient| patient > 300));
            });
        }
    });
    assert_eq!(room.stand(), (0, 4));
    assert!(shares.iter().all(|share| share.level().waiting == 0 && share.is_quiet(None)));
}
