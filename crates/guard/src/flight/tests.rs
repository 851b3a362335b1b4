//! What a flight promises, one behaviour a test. Futures are polled by hand: who runs when is then
//! written in the test. Interleavings at large are the `scheduler`'s, real threads are in `threads`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::rows::Rows;
use super::{Abandoned, Boarded, Flights, Options, Pilot, Seat, SeatError, Weigh};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

mod bounds;
mod scheduler;
mod threads;

/// An item of a flight, of any weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    flight: usize,
    number: usize,
    bytes: usize,
}

impl Weigh for Item {
    fn weigh(&self) -> usize {
        self.bytes
    }
}

type Text = &'static str;
type TestFlights = Flights<Text, Item, Text>;
type TestPilot = Pilot<Text, Item, Text>;
type TestSeat = Seat<Item, Text>;

/// Item `number` of ten bytes.
fn item(number: usize) -> Item {
    Item { flight: 0, number, bytes: 10 }
}

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(SeqCst)
    }
}

fn flights() -> TestFlights {
    Flights::new(Options::default())
}

fn pilot(flights: &TestFlights, key: Text) -> (TestPilot, TestSeat) {
    match flights.board(key) {
        Boarded::Pilot(pilot, seat) => (pilot, seat),
        Boarded::Seat(_) => panic!("somebody flies already"),
        Boarded::Full => panic!("full"),
    }
}

fn follower(flights: &TestFlights, key: Text) -> TestSeat {
    match flights.board(key) {
        Boarded::Seat(seat) => seat,
        Boarded::Pilot(..) => panic!("nobody flies"),
        Boarded::Full => panic!("full"),
    }
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn push(pilot: &TestPilot, item: Item) -> Poll<Result<(), Abandoned>> {
    poll_once(pilot.push(item))
}

/// Pushes items `numbers`, for each of which there must be room.
fn push_all(pilot: &TestPilot, numbers: std::ops::Range<usize>) {
    for number in numbers {
        assert_eq!(push(pilot, item(number)), Poll::Ready(Ok(())), "item {number}");
    }
}

fn poll_by(seat: &mut TestSeat, bell: &Arc<Bell>) -> Poll<Option<Result<Item, SeatError<Text>>>> {
    seat.poll_next(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
}

/// Everything a seat gives without waiting: the items' numbers, and what came then.
fn drain(seat: &mut TestSeat) -> (Vec<usize>, Poll<Option<SeatError<Text>>>) {
    let mut numbers = Vec::new();
    loop {
        match poll_once(seat.next()) {
            Poll::Ready(Some(Ok(item))) => numbers.push(item.number),
            Poll::Ready(Some(Err(error))) => return (numbers, Poll::Ready(Some(error))),
            Poll::Ready(None) => return (numbers, Poll::Ready(None)),
            Poll::Pending => return (numbers, Poll::Pending),
        }
    }
}

const ENDED: Poll<Option<SeatError<Text>>> = Poll::Ready(None);

fn failed(error: SeatError<Text>) -> Poll<Option<SeatError<Text>>> {
    Poll::Ready(Some(error))
}

#[test]
fn identical_computations_share_one_pilot() {
    let flights = flights();
    let (pilot_a, mut first) = pilot(&flights, "a");
    let mut second = follower(&flights, "a");
    let (_pilot_b, _other) = pilot(&flights, "b");
    assert!(first.is_first() && !second.is_first());
    assert_eq!(flights.len(), 2);

    push_all(&pilot_a, 0..1);
    pilot_a.finish(Ok(()));
    assert_eq!(drain(&mut first), (vec![0], ENDED));
    assert_eq!(drain(&mut second), (vec![0], ENDED));
    assert_eq!(drain(&mut second), (vec![], ENDED), "an end stays the end");
    assert_eq!((flights.len(), flights.held_bytes()), (1, 0));
}

#[test]
fn a_late_follower_gets_every_item() {
    let flights = flights();
    let (pilot, mut first) = pilot(&flights, "a");
    push_all(&pilot, 0..3);
    assert_eq!(drain(&mut first).0, [0, 1, 2]);

    let mut late = follower(&flights, "a");
    push_all(&pilot, 3..4);
    pilot.finish(Ok(()));
    assert_eq!(drain(&mut late), (vec![0, 1, 2, 3], ENDED));
    assert_eq!((first.seen(), late.seen()), (3, 4));
}

#[test]
fn a_follower_outlives_its_leader() {
    let flights = flights();
    let (pilot, leader) = pilot(&flights, "a");
    let mut second = follower(&flights, "a");
    push_all(&pilot, 0..1);
    drop(leader);

    assert!(poll_once(pilot.abandoned()).is_pending());
    push_all(&pilot, 1..2);
    let mut third = follower(&flights, "a");
    pilot.finish(Ok(()));
    assert_eq!(drain(&mut second), (vec![0, 1], ENDED));
    assert_eq!(drain(&mut third), (vec![0, 1], ENDED));
}

#[test]
fn a_failure_releases_all_at_once_after_what_came_before() {
    let flights = flights();
    let (pilot, mut first) = pilot(&flights, "a");
    let mut second = follower(&flights, "a");
    let bells = [Arc::new(Bell::default()), Arc::new(Bell::default())];
    push_all(&pilot, 0..1);
    assert_eq!(drain(&mut first).0, [0]);
    assert!(poll_by(&mut first, &bells[0]).is_pending());
    assert!(poll_by(&mut second, &bells[1]).is_ready());
    assert!(poll_by(&mut second, &bells[1]).is_pending());

    pilot.finish(Err("503"));
    assert_eq!(bells.each_ref().map(|bell| bell.rung()), [1, 1]);
    assert_eq!(drain(&mut first), (vec![], failed(SeatError::Failed("503"))));
    assert_eq!(drain(&mut second), (vec![], failed(SeatError::Failed("503"))));
    assert_eq!(drain(&mut second), (vec![], ENDED), "an error is told once");

    let (pilot, mut first) = self::pilot(&flights, "a");
    push_all(&pilot, 0..2);
    pilot.finish(Err("cut"));
    assert_eq!(drain(&mut first), (vec![0, 1], failed(SeatError::Failed("cut"))));
}

#[test]
fn a_lost_pilot_lets_the_waiters_compete() {
    let flights = flights();
    let (pilot, first) = pilot(&flights, "a");
    let mut waiters = vec![first, follower(&flights, "a"), follower(&flights, "a")];
    let bell = Arc::new(Bell::default());
    for seat in &mut waiters {
        assert!(poll_by(seat, &bell).is_pending());
    }
    drop(pilot);
    assert_eq!(bell.rung(), 3);

    let mut pilots = Vec::new();
    for seat in &mut waiters {
        assert_eq!(drain(seat), (vec![], failed(SeatError::Lost)));
        *seat = match flights.board("a") {
            Boarded::Pilot(pilot, seat) => {
                pilots.push(pilot);
                seat
            }
            Boarded::Seat(seat) => seat,
            Boarded::Full => panic!("full"),
        };
    }
    assert_eq!(pilots.len(), 1);
    push_all(&pilots[0], 0..1);
    pilots.pop().unwrap().finish(Ok(()));
    assert!(waiters.iter_mut().all(|seat| drain(seat) == (vec![0], ENDED)));
}

#[test]
fn a_panic_at_the_controls_strands_nobody() {
    let flights = flights();
    let (pilot, mut seat) = pilot(&flights, "a");
    push_all(&pilot, 0..2);
    let flown = catch_unwind(AssertUnwindSafe(move || {
        let _pilot = pilot;
        std::panic::resume_unwind(Box::new("as a panic does, without its message"));
    }));
    assert!(flown.is_err());
    assert_eq!(drain(&mut seat), (vec![], failed(SeatError::Lost)), "at once, not after what is unread");
    assert_eq!((flights.len(), flights.held_bytes()), (0, 0));
}

#[test]
fn the_last_to_leave_abandons() {
    let flights = flights();
    let (old, first) = pilot(&flights, "a");
    let second = follower(&flights, "a");
    push_all(&old, 0..2);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut abandoned = Box::pin(old.abandoned());
    assert!(abandoned.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());

    drop(first);
    assert_eq!(bell.rung(), 0);
    drop(second);
    assert_eq!(bell.rung(), 1);
    assert!(abandoned.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    assert_eq!(push(&old, item(2)), Poll::Ready(Err(Abandoned)));
    assert_eq!(flights.held_bytes(), 0, "nobody will read it");
    drop(abandoned);

    // Whoever comes now begins anew, and the old pilot's end does not touch the new flight.
    let (new, mut seat) = pilot(&flights, "a");
    assert_eq!(flights.len(), 1);
    old.finish(Err("cancelled"));
    assert_eq!(flights.len(), 1);
    drop(follower(&flights, "a"));
    push_all(&new, 0..1);
    new.finish(Ok(()));
    assert_eq!(drain(&mut seat), (vec![0], ENDED));
}

/// Boards in the very wake-up that tells of the end.
struct BoardsWhenWoken {
    flights: TestFlights,
    key: Text,
    is_pilot: Mutex<Vec<bool>>,
}

impl Wake for BoardsWhenWoken {
    fn wake(self: Arc<Self>) {
        let is_pilot = matches!(self.flights.board(self.key), Boarded::Pilot(..));
        self.is_pilot.lock().unwrap().push(is_pilot);
    }
}

#[test]
fn the_key_is_free_before_anybody_hears_of_the_end() {
    // The one place is free too, for another key.
    let flights = TestFlights::new(Options { flights_max: 1, ..Options::default() });
    let ends: [fn(TestPilot); 3] = [|pilot| pilot.finish(Ok(())), |pilot| pilot.finish(Err("no")), drop];
    for (end, key) in ends.into_iter().flat_map(|end| [(end, "a"), (end, "b")]) {
        let (pilot, mut seat) = pilot(&flights, "a");
        let woken = BoardsWhenWoken { flights: flights.clone(), key, is_pilot: Mutex::default() };
        let woken = Arc::new(woken);
        let waker = Waker::from(Arc::clone(&woken));
        assert!(seat.poll_next(&mut Context::from_waker(&waker)).is_pending());
        end(pilot);
        assert_eq!(*woken.is_pilot.lock().unwrap(), [true]);
    }
}

#[test]
fn every_waiting_seat_is_woken_once_for_one_item() {
    let flights = flights();
    let (pilot, first) = pilot(&flights, "a");
    let mut seats = vec![first];
    seats.resize_with(100, || follower(&flights, "a"));
    let bells: Vec<_> = seats.iter().map(|_| Arc::new(Bell::default())).collect();
    for (seat, bell) in seats.iter_mut().zip(&bells) {
        assert!(poll_by(seat, bell).is_pending());
    }
    push_all(&pilot, 0..5);
    assert!(bells.iter().all(|bell| bell.rung() == 1), "whoever has been woken need not be again");

    for (seat, bell) in seats.iter_mut().zip(&bells) {
        assert_eq!(drain(seat).0, [0, 1, 2, 3, 4]);
        assert!(poll_by(seat, bell).is_pending());
    }
    drop(seats.split_off(50));
    pilot.finish(Ok(()));
    let rung: Vec<_> = bells.iter().map(|bell| bell.rung()).collect();
    assert_eq!((&rung[..50], &rung[50..]), (&[2; 50][..], &[1; 50][..]), "those who left are left alone");
}

#[test]
fn the_waker_of_the_last_poll_is_the_one_woken() {
    let flights = flights();
    let (pilot, mut seat) = pilot(&flights, "a");
    let (before, after) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    assert!(poll_by(&mut seat, &before).is_pending());
    assert!(poll_by(&mut seat, &after).is_pending());
    push_all(&pilot, 0..1);
    assert_eq!((before.rung(), after.rung()), (0, 1));
}

#[test]
fn places_given_up_are_taken_again() {
    let mut rows = Rows::new();
    let [a, b, c] = std::array::from_fn(|_| rows.take());
    assert_eq!([a, b, c], [0, 1, 2]);
    rows.give_up(a);
    rows.give_up(c);
    rows.give_up(c);
    assert_eq!([rows.take(), rows.take(), rows.take()], [c, a, 3]);
    assert_eq!(rows.readers(), 4);
}

#[test]
fn pilots_and_seats_may_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<TestFlights>();
    check::<TestPilot>();
    check::<TestSeat>();
}
