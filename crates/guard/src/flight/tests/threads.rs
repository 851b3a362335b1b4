//! Four threads, each with its own little executor, over a few hot keys. A task is polled only when
//! it was woken, so a wake-up lost between threads stops its thread, which is then told.

use super::*;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::thread::Thread;
use std::time::Duration;

const THREADS: usize = 4;
const FLIGHTS: usize = 20_000;
const TASKS_MAX: usize = 8;
const KEYS: usize = 3;
/// Far beyond any pause of a busy machine.
const STALLED: Duration = Duration::from_secs(30);

type Shared = Flights<usize, Item, usize>;
type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Wakes one task of one thread.
struct Call {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.thread.unpark();
    }
}

/// The tasks of one thread.
#[derive(Default)]
struct Crew {
    tasks: Vec<(Task, Arc<Call>)>,
}

impl Crew {
    fn add(&mut self, task: impl Future<Output = ()> + 'static) {
        let call = Call { woken: AtomicBool::new(true), thread: std::thread::current() };
        self.tasks.push((Box::pin(task), Arc::new(call)));
    }

    /// Gives every woken task a turn; tells whether there was one.
    fn turn(&mut self) -> bool {
        let mut ran = false;
        self.tasks.retain_mut(|(task, call)| {
            if !call.woken.swap(false, SeqCst) {
                return true;
            }
            ran = true;
            let waker = Waker::from(Arc::clone(call));
            task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        });
        ran
    }

    /// Gives turns until at most `rest` tasks are left.
    fn run(&mut self, rest: usize) {
        while self.tasks.len() > rest {
            if !self.turn() {
                let since = std::time::Instant::now();
                std::thread::park_timeout(STALLED);
                let woken = self.tasks.iter().any(|(_, call)| call.woken.load(SeqCst));
                assert!(woken || since.elapsed() < STALLED, "a wake-up was lost");
            }
        }
    }
}

async fn give_way() {
    let mut gave = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What flight `number` does follows from its number, so that every seat can tell.
fn items_of(number: usize) -> usize {
    1 + number % 23
}

/// Flights that go on until nobody listens.
fn is_endless(number: usize) -> bool {
    number.is_multiple_of(5)
}

async fn fly(pilot: Pilot<usize, Item, usize>, flight: usize) {
    for number in 0..items_of(flight) {
        if pilot.push(Item { flight, number, bytes: 7 }).await.is_err() {
            return;
        }
        if (flight + number).is_multiple_of(3) {
            give_way().await;
        }
    }
    match flight % 4 {
        _ if is_endless(flight) => pilot.abandoned().await,
        0 => pilot.finish(Err(flight)),
        1 => drop(pilot),
        _ => pilot.finish(Ok(())),
    }
}

/// Reads a flight to its end, or until `patience` items; checks all that a seat can see.
async fn sit(mut seat: Seat<Item, usize>, patience: usize, slow: bool) {
    let mut flight = None;
    for number in 0..patience {
        if slow {
            give_way().await;
        }
        match seat.next().await {
            Some(Ok(item)) => {
                assert_eq!(*flight.get_or_insert(item.flight), item.flight);
                assert_eq!(item.number, number);
                if is_endless(item.flight) && number + 1 == items_of(item.flight) {
                    return;
                }
            }
            None => {
                let flight = flight.expect("every flight has an item");
                assert_eq!(items_of(flight), number);
                assert!(!is_endless(flight) && flight % 4 > 1);
                return;
            }
            Some(Err(SeatError::Failed(whose))) => {
                assert_eq!((flight, number), (Some(whose), items_of(whose)));
                return;
            }
            Some(Err(SeatError::Lost)) => {
                assert!(flight.is_none_or(|flight| !is_endless(flight) && flight % 4 == 1));
                return;
            }
            Some(Err(SeatError::Expelled)) => return,
        }
    }
}

#[test]
fn threads_lose_neither_items_nor_wake_ups() {
    let options = Options { flights_max: 2 * KEYS, flight_bytes_max: 100, bytes_max: 10_000 };
    let flights = Shared::new(options);
    let numbers = AtomicUsize::new(0);
    let followed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (flights, numbers, followed) = (&flights, &numbers, &followed);
            scope.spawn(move || {
                let mut crew = Crew::default();
                let mut round = 0;
                while numbers.load(SeqCst) < FLIGHTS {
                    round += 1;
                    let patience = if round % 7 == 0 { round % 5 } else { usize::MAX };
                    let slow = round % 11 == 0;
                    match flights.board((round + thread * round / 9) % KEYS) {
                        Boarded::Pilot(pilot, seat) => {
                            crew.add(fly(pilot, numbers.fetch_add(1, SeqCst)));
                            crew.add(sit(seat, patience, slow));
                        }
                        Boarded::Seat(seat) => {
                            followed.fetch_add(1, SeqCst);
                            crew.add(sit(seat, patience, slow));
                        }
                        Boarded::Full => std::thread::yield_now(),
                    }
                    crew.turn();
                    crew.run(TASKS_MAX);
                }
                crew.run(0);
            });
        }
    });
    let followed = followed.into_inner();
    println!("{numbers:?} flights, {followed} followers");
    assert!(followed > FLIGHTS / 10, "hardly anybody shared");
    assert_eq!((flights.len(), flights.held_bytes()), (0, 0));
}
