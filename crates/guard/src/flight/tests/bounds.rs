//! What happens at the bounds: who is refused, who is expelled, who waits. Items weigh ten bytes.

use super::*;

fn bounded(flights_max: usize, flight_bytes_max: usize, bytes_max: usize) -> TestFlights {
    Flights::new(Options { flights_max, flight_bytes_max, bytes_max })
}

/// One flight of 30 bytes at the most, with a leader and a follower.
fn two_abreast() -> (TestFlights, TestPilot, TestSeat, TestSeat) {
    let flights = bounded(9, 30, 1000);
    let (pilot, first) = pilot(&flights, "a");
    let second = follower(&flights, "a");
    (flights, pilot, first, second)
}

fn is_full(flights: &TestFlights, key: Text) -> bool {
    matches!(flights.board(key), Boarded::Full)
}

#[test]
fn flights_beyond_the_bound_are_refused_and_joining_is_not() {
    let flights = bounded(2, 30, 1000);
    let (a, _seat_a) = pilot(&flights, "a");
    let (_b, seat_b) = pilot(&flights, "b");
    assert!(is_full(&flights, "c"));
    drop(follower(&flights, "a"));

    a.finish(Ok(()));
    let _c = pilot(&flights, "c");
    assert!(is_full(&flights, "a"));
    drop(seat_b);
    let _b = pilot(&flights, "b");
    assert_eq!(flights.len(), 2, "an abandoned flight is replaced, not added to");
}

#[test]
fn bytes_beyond_the_bound_refuse_new_flights_and_let_the_old_go_on() {
    let flights = bounded(9, 100, 40);
    let (a, mut seat_a) = pilot(&flights, "a");
    let (b, mut seat_b) = pilot(&flights, "b");
    push_all(&a, 0..2);
    push_all(&b, 0..2);
    assert_eq!(flights.held_bytes(), 40);
    assert!(is_full(&flights, "c"));

    // What is read is kept for late followers no longer, but nobody loses an item.
    assert_eq!(drain(&mut seat_a).0, [0, 1]);
    drop(follower(&flights, "a"));
    push_all(&a, 2..3);
    assert_eq!(flights.held_bytes(), 30);
    assert!(is_full(&flights, "a"), "its first item is gone");
    drop(follower(&flights, "b"));
    let _c = pilot(&flights, "c");
    push_all(&b, 2..4);
    a.finish(Ok(()));
    b.finish(Ok(()));
    assert_eq!(drain(&mut seat_a), (vec![2], ENDED));
    assert_eq!(drain(&mut seat_b), (vec![0, 1, 2, 3], ENDED));
    assert_eq!(flights.held_bytes(), 0);
}

#[test]
fn a_flight_past_its_bound_takes_nobody_new_and_keeps_what_is_unread() {
    let (flights, pilot, mut first, mut second) = two_abreast();
    push_all(&pilot, 0..3);
    assert_eq!(drain(&mut first).0, [0, 1, 2]);
    assert!(poll_once(second.next()).is_ready());
    let mut third = follower(&flights, "a");
    assert_eq!(drain(&mut third).0, [0, 1, 2]);
    assert_eq!(flights.held_bytes(), 30);

    push_all(&pilot, 3..4);
    assert_eq!(flights.held_bytes(), 30, "item 0 went when item 3 came");
    assert!(is_full(&flights, "a"));
    assert_eq!(drain(&mut second).0, [1, 2, 3]);
    assert_eq!(flights.held_bytes(), 10);
    pilot.finish(Ok(()));
    assert_eq!(drain(&mut first), (vec![3], ENDED));
    assert_eq!(drain(&mut third), (vec![3], ENDED));
    assert_eq!(flights.held_bytes(), 0);
}

#[test]
fn a_flight_that_has_ended_keeps_only_what_is_unread() {
    let (flights, pilot, mut first, mut second) = two_abreast();
    push_all(&pilot, 0..3);
    assert_eq!(drain(&mut first).0, [0, 1, 2]);
    assert!(poll_once(second.next()).is_ready());
    assert_eq!(flights.held_bytes(), 30, "somebody may yet come");
    pilot.finish(Ok(()));
    assert_eq!((flights.len(), flights.held_bytes()), (0, 20));
    drop(second);
    assert_eq!(flights.held_bytes(), 0);
}

#[test]
fn a_flight_that_may_keep_nothing_goes_item_by_item() {
    let flights = bounded(1, 0, 1);
    let (pilot, mut seat) = pilot(&flights, "a");
    push_all(&pilot, 0..1);
    assert!(push(&pilot, item(1)).is_pending());
    assert_eq!(drain(&mut seat).0, [0]);
    push_all(&pilot, 1..2);

    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut third = Box::pin(pilot.push(item(2)));
    assert!(third.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(seat);
    assert_eq!(bell.rung(), 1, "there is nobody left to wait for");
    assert_eq!(poll_once(third.as_mut()), Poll::Ready(Err(Abandoned)));
}

#[test]
fn a_slow_seat_is_expelled_once_another_is_abreast() {
    let (flights, pilot, mut fast, mut slow) = two_abreast();
    let mut middle = follower(&flights, "a");
    push_all(&pilot, 0..3);
    assert_eq!(drain(&mut fast).0, [0, 1, 2]);
    assert!(poll_once(middle.next()).is_ready());

    // The slow one has a turn more before it goes.
    let mut fourth = Box::pin(pilot.push(item(3)));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    assert!(fourth.as_mut().poll(&mut cx).is_pending());
    assert_eq!(bell.rung(), 1);
    assert_eq!(fourth.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
    drop(fourth);

    assert_eq!(drain(&mut slow), (vec![], failed(SeatError::Expelled)));
    assert_eq!(drain(&mut middle).0, [1, 2, 3], "it lags, but within the bound");
    pilot.finish(Ok(()));
    assert_eq!(drain(&mut fast), (vec![3], ENDED));
    assert_eq!(drain(&mut slow), (vec![], ENDED));
    assert_eq!(flights.held_bytes(), 0);
}

#[test]
fn a_warned_laggard_that_reads_stays() {
    let (_flights, pilot, mut fast, mut slow) = two_abreast();
    push_all(&pilot, 0..3);
    assert_eq!(drain(&mut fast).0, [0, 1, 2]);
    let mut fourth = Box::pin(pilot.push(item(3)));
    assert!(poll_once(fourth.as_mut()).is_pending());
    assert!(poll_once(slow.next()).is_ready());
    assert_eq!(poll_once(fourth.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(drain(&mut slow).0, [1, 2, 3]);
}

#[test]
fn expelled_seats_keep_no_flight_alive() {
    let (flights, pilot, mut fast, slow) = two_abreast();
    push_all(&pilot, 0..3);
    assert_eq!(drain(&mut fast).0, [0, 1, 2]);
    let mut fourth = Box::pin(pilot.push(item(3)));
    assert!(poll_once(fourth.as_mut()).is_pending());
    assert!(poll_once(fourth.as_mut()).is_ready());
    drop(fast);
    assert!(poll_once(pilot.abandoned()).is_ready());
    assert_eq!(flights.held_bytes(), 0);
    drop(slow);
}

/// What ends a wait for room, done to the pilot's two seats.
type Relief = fn(&mut Option<TestSeat>, &mut Option<TestSeat>);

/// Fills a flight while both seats lag, and tells whether `relief` wakes the pilot and what its push
/// then says.
fn check_relief(relief: Relief, outcome: Poll<Result<(), Abandoned>>) {
    let (_flights, pilot, first, second) = two_abreast();
    let (mut first, mut second) = (Some(first), Some(second));
    push_all(&pilot, 0..3);
    let mut fourth = Box::pin(pilot.push(item(3)));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    assert!(fourth.as_mut().poll(&mut cx).is_pending());
    assert!(fourth.as_mut().poll(&mut cx).is_pending(), "nobody is abreast: it waits, without spinning");
    assert_eq!(bell.rung(), 0);

    relief(&mut first, &mut second);
    assert_eq!(bell.rung(), usize::from(outcome.is_ready()));
    // Where somebody is to be expelled, the first poll is the warning.
    let again = fourth.as_mut().poll(&mut cx);
    let again = if bell.rung() == 2 { fourth.as_mut().poll(&mut cx) } else { again };
    assert_eq!(again, outcome);
}

#[test]
fn push_waits_when_all_lag_until_someone_reads_or_leaves() {
    check_relief(|first, _| read_one(first), Poll::Pending);
    check_relief(|first, _| drop(first.take()), Poll::Pending);
    check_relief(|first, second| [first, second].into_iter().for_each(read_one), Poll::Ready(Ok(())));
    check_relief(|first, _| drop(drain(first.as_mut().unwrap())), Poll::Ready(Ok(())));
    check_relief(
        |first, second| {
            read_one(second);
            drop(first.take());
        },
        Poll::Ready(Ok(())),
    );
    check_relief(
        |first, second| {
            drop(first.take());
            drop(second.take());
        },
        Poll::Ready(Err(Abandoned)),
    );
}

fn read_one(seat: &mut Option<TestSeat>) {
    assert!(poll_once(seat.as_mut().unwrap().next()).is_ready());
}

#[test]
fn a_push_given_up_hands_nothing_over() {
    let (_flights, pilot, mut first, mut second) = two_abreast();
    push_all(&pilot, 0..3);
    assert!(push(&pilot, item(99)).is_pending());
    assert_eq!(drain(&mut first).0, [0, 1, 2]);
    assert_eq!(drain(&mut second).0, [0, 1, 2]);
    push_all(&pilot, 3..4);
    assert_eq!(drain(&mut first).0, [3]);
}

#[test]
fn an_item_larger_than_the_bound_still_flies() {
    let (flights, pilot, mut first, mut second) = two_abreast();
    let giant = Item { flight: 0, number: 0, bytes: 500 };
    assert_eq!(push(&pilot, giant), Poll::Ready(Ok(())));
    assert!(is_full(&flights, "a"));
    assert!(push(&pilot, item(1)).is_pending());
    assert_eq!(drain(&mut first).0, [0]);
    assert_eq!(drain(&mut second).0, [0]);
    assert_eq!(flights.held_bytes(), 0);
    push_all(&pilot, 1..2);
    pilot.finish(Ok(()));
    assert_eq!(drain(&mut second), (vec![1], ENDED));
}

#[test]
fn items_without_weight_count_all_the_same() {
    let flights = bounded(9, 3, 1000);
    let (pilot, _seat) = pilot(&flights, "a");
    for number in 0..3 {
        assert!(push(&pilot, Item { flight: 0, number, bytes: 0 }).is_ready());
    }
    assert_eq!(flights.held_bytes(), 3);
    assert!(push(&pilot, Item { flight: 0, number: 3, bytes: 0 }).is_pending());
}

#[test]
fn weights_are_those_of_the_bytes() {
    let bytes = vec![0_u8; 12];
    assert_eq!(bytes[..5].weigh(), 5);
    assert_eq!(Arc::<[u8]>::from(&bytes[..]).weigh(), 12);
    assert_eq!(Arc::new(bytes.clone()).weigh(), 12);
    assert!(Vec::<u8>::with_capacity(40).weigh() >= 40, "what is kept counts, not what is used");
}
