//! What single flight costs, in nanoseconds, on one thread:
//! `cargo run --release -p tidegate-guard --example flight_bench`.

use guard::flight::{Boarded, Flights, Options, Pilot, Seat};
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

type Key = [u8; 32];
type Item = Arc<[u8]>;

const ROUNDS: u32 = 100_000;

fn main() {
    let flights = Flights::<Key, Item, ()>::new(Options::default());
    let item = Item::from([0_u8; 64]);
    for (name, items, seats) in [
        ("alone, no item", 0, 1),
        ("alone, one item", 1, 1),
        ("alone, 100 items", 100, 1),
        ("10 seats, one item", 1, 10),
        ("10 seats, 100 items", 100, 10),
    ] {
        let rounds = ROUNDS / (items.max(1) * seats as u32);
        let started = Instant::now();
        for round in 0..rounds {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&round.to_le_bytes());
            fly(&flights, key, &item, items, seats);
        }
        println!("{name:20} {:>9.0} ns a flight", started.elapsed().as_nanos() as f64 / f64::from(rounds));
    }
}

/// One flight from first to last; every seat waits before every item, as over a slow provider.
fn fly(flights: &Flights<Key, Item, ()>, key: Key, item: &Item, items: u32, seats: usize) {
    let mut aboard = Vec::with_capacity(seats);
    let mut at_the_controls = None;
    for _ in 0..seats {
        match flights.board(key) {
            Boarded::Pilot(pilot, seat) => {
                at_the_controls = Some(pilot);
                aboard.push(seat);
            }
            Boarded::Seat(seat) => aboard.push(seat),
            Boarded::Full => {}
        }
    }
    let Some(pilot) = at_the_controls else { return };
    for _ in 0..items {
        read_all(&mut aboard);
        push(&pilot, Arc::clone(item));
    }
    pilot.finish(Ok(()));
    read_all(&mut aboard);
}

fn push(pilot: &Pilot<Key, Item, ()>, item: Item) {
    let mut cx = Context::from_waker(Waker::noop());
    let _ = black_box(pin!(pilot.push(item)).poll(&mut cx));
}

/// Reads what there is, until every seat waits or has ended.
fn read_all(aboard: &mut [Seat<Item, ()>]) {
    let mut cx = Context::from_waker(Waker::noop());
    for seat in aboard {
        while let Poll::Ready(Some(item)) = seat.poll_next(&mut cx) {
            let _ = black_box(item);
        }
    }
}
