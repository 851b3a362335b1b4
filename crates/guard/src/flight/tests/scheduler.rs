//! Twenty thousand random courses of events over a few flights with tight bounds, from seeds: boarding,
//! pushing, reading, leaving and ending in any order, played against a simple model.
//!
//! A seat or a push that is pending is polled again only when its waker was woken (but for a rare
//! poll out of turn). So a lost wake-up shows: when everybody who was woken has run, somebody still
//! lacks what is there.

use super::*;
use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;

const COURSES: u64 = 20_000;
const STEPS: usize = 100;
const KEYS: usize = 2;
const ITEM_BYTES_MAX: usize = 6;

type Flight = usize;
type Pilots = Pilot<usize, Item, Flight>;
type Pushing = Pin<Box<dyn Future<Output = Result<(), Abandoned>>>>;
type Waiting = Pin<Box<dyn Future<Output = ()>>>;

/// SplitMix64 (Steele et al., 2014): a seed gives the same course on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Landed,
    Failed,
    Lost,
}

/// What the model knows of one flight, by its number.
#[derive(Default)]
struct Log {
    /// Weights of the items handed over.
    pushed: Vec<usize>,
    end: Option<End>,
    /// Some push went beyond a bound, so nobody new is taken aboard.
    closed: bool,
    /// Its key was given to another flight though the model saw readers: they must all be expelled.
    dead: bool,
    /// Seats that have not come to their end.
    readers: usize,
}

struct Reader {
    flight: Flight,
    seat: Seat<Item, Flight>,
    bell: Arc<Bell>,
    /// How often the bell had rung when it was last heard; `None` if a poll needs no bell.
    heard: Option<usize>,
}

struct Flown {
    flight: Flight,
    pilot: Arc<Pilots>,
    bell: Arc<Bell>,
    heard: usize,
    pushing: Option<(Pushing, usize)>,
    /// Waits to be abandoned, until it is.
    waiting: Option<Waiting>,
}

/// How often what came about.
#[derive(Default)]
struct Tally(BTreeMap<Text, usize>);

impl Tally {
    fn count(&mut self, what: Text) {
        *self.0.entry(what).or_default() += 1;
    }
}

struct World {
    dice: Dice,
    options: Options,
    flights: Flights<usize, Item, Flight>,
    logs: Vec<Log>,
    latest: HashMap<usize, Flight>,
    readers: Vec<Reader>,
    pilots: Vec<Flown>,
    tally: Tally,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let options = Options {
            flights_max: 1 + dice.roll(2 * KEYS),
            flight_bytes_max: dice.roll(16),
            bytes_max: 1 + dice.roll(200),
        };
        let flights = Flights::new(options);
        let (logs, latest, readers, pilots, tally) = Default::default();
        Self { dice, options, flights, logs, latest, readers, pilots, tally }
    }

    fn step(&mut self) {
        match self.dice.roll(40) {
            0..=5 => self.board(),
            6..=18 => self.push(),
            19..=28 => self.read_some(),
            29..=31 => self.leave(),
            32 => self.end(),
            33 => self.give_up_push(),
            34..=38 => self.fly_on(),
            _ => self.settle(),
        }
        self.check_bounds();
    }

    fn pick(&mut self, among: usize) -> Option<usize> {
        (among > 0).then(|| self.dice.roll(among))
    }

    fn board(&mut self) {
        let key = self.dice.roll(KEYS);
        let (held, under_way) = (self.flights.held_bytes(), self.flights.len());
        let known = self.latest.get(&key).copied().filter(|&flight| self.logs[flight].end.is_none());
        match self.flights.board(key) {
            Boarded::Pilot(pilot, seat) => {
                // If readers are left, they are expelled without knowing yet, or two would fly.
                if let Some(flight) = known {
                    let log = &mut self.logs[flight];
                    log.dead = true;
                    if log.readers > 0 {
                        self.tally.count("replaced");
                    }
                }
                assert!(held < self.options.bytes_max);
                let flight = self.logs.len();
                self.logs.push(Log::default());
                self.latest.insert(key, flight);
                self.sit(flight, seat, true);
                let pilot = Arc::new(pilot);
                let watched = Arc::clone(&pilot);
                let waiting: Waiting = Box::pin(async move { watched.abandoned().await });
                let mut flown = Flown {
                    flight,
                    pilot,
                    bell: Arc::default(),
                    heard: 0,
                    pushing: None,
                    waiting: Some(waiting),
                };
                let waker = Waker::from(Arc::clone(&flown.bell));
                let waits = flown.waiting.as_mut().unwrap().as_mut().poll(&mut Context::from_waker(&waker));
                assert!(waits.is_pending(), "its seat is there");
                self.pilots.push(flown);
            }
            Boarded::Seat(seat) => {
                let flight = known.expect("a seat on a flight that has ended");
                let log = &self.logs[flight];
                assert!(log.readers > 0 && !log.dead, "a seat on a dead flight");
                assert!(!log.closed, "a seat that cannot see the first item");
                self.tally.count("joined");
                self.sit(flight, seat, false);
            }
            Boarded::Full => {
                let closed = known.is_some_and(|flight| self.logs[flight].closed);
                let full = held >= self.options.bytes_max || under_way >= self.options.flights_max;
                assert!(closed || full, "refused without need");
                self.tally.count("refused");
            }
        }
    }

    fn sit(&mut self, flight: Flight, seat: Seat<Item, Flight>, first: bool) {
        assert_eq!(seat.is_first(), first);
        self.logs[flight].readers += 1;
        self.readers.push(Reader { flight, seat, bell: Arc::default(), heard: None });
    }

    fn push(&mut self) {
        let Some(index) = self.pick(self.pilots.len()) else { return };
        let weight = self.dice.roll(ITEM_BYTES_MAX + 1);
        let flown = &mut self.pilots[index];
        if flown.pushing.is_none() {
            let number = self.logs[flown.flight].pushed.len();
            let item = Item { flight: flown.flight, number, bytes: weight };
            let pilot = Arc::clone(&flown.pilot);
            flown.pushing = Some((Box::pin(async move { pilot.push(item).await }), weight.max(1)));
            self.poll_pilot(index);
        }
    }

    /// Polls whatever this pilot waits for, as its task would.
    fn poll_pilot(&mut self, index: usize) {
        let flown = &mut self.pilots[index];
        flown.heard = flown.bell.rung();
        let waker = Waker::from(Arc::clone(&flown.bell));
        let mut cx = Context::from_waker(&waker);
        let log = &mut self.logs[flown.flight];
        if let Some((pushing, bytes)) = &mut flown.pushing {
            let total = log.pushed.iter().sum::<usize>() + *bytes;
            log.closed |= total > self.options.flight_bytes_max;
            log.closed |= self.flights.held_bytes() + *bytes > self.options.bytes_max;
            match pushing.as_mut().poll(&mut cx) {
                Poll::Ready(Ok(())) => {
                    assert!(!log.dead, "an item for nobody");
                    log.pushed.push(*bytes);
                    flown.pushing = None;
                }
                Poll::Ready(Err(Abandoned)) => flown.pushing = None,
                Poll::Pending => self.tally.count("waited"),
            }
        }
        if let Some(waiting) = &mut flown.waiting
            && waiting.as_mut().poll(&mut cx).is_ready()
        {
            self.tally.count("abandoned");
            flown.waiting = None;
        }
    }

    /// Polls a pilot, woken or not.
    fn fly_on(&mut self) {
        if let Some(index) = self.pick(self.pilots.len()) {
            self.poll_pilot(index);
        }
    }

    fn give_up_push(&mut self) {
        if let Some(index) = self.pick(self.pilots.len()) {
            self.pilots[index].pushing = None;
        }
    }

    fn read_some(&mut self) {
        let Some(index) = self.pick(self.readers.len()) else { return };
        let reader = &self.readers[index];
        let called = reader.heard.is_none_or(|heard| heard < reader.bell.rung());
        if called || self.dice.roll(8) == 0 {
            if self.dice.roll(4) == 0 {
                self.readers[index].bell = Arc::default();
            }
            let mut more = self.dice.roll(2 * ITEM_BYTES_MAX);
            while self.read(index) && more > 0 && self.readers[index].heard.is_none() {
                more -= 1;
            }
        }
    }

    /// Polls a seat once and compares with the model. Gives whether it is still there.
    fn read(&mut self, index: usize) -> bool {
        let reader = &mut self.readers[index];
        let (seen, flight, rung) = (reader.seat.seen(), reader.flight, reader.bell.rung());
        let waker = Waker::from(Arc::clone(&reader.bell));
        let read = reader.seat.poll_next(&mut Context::from_waker(&waker));
        reader.heard = read.is_pending().then_some(rung);
        let log = &mut self.logs[flight];
        let all = log.pushed.len();
        let expelled = matches!(read, Poll::Ready(Some(Err(SeatError::Expelled | SeatError::Lost))));
        assert!(!log.dead || expelled, "two pilots for one key");
        match read {
            Poll::Pending => {
                assert_eq!((seen, log.end), (all, None), "kept waiting");
                return true;
            }
            Poll::Ready(Some(Ok(item))) => {
                assert!(seen < all);
                assert_eq!((item.flight, item.number), (flight, seen));
                return true;
            }
            Poll::Ready(None) => {
                assert_eq!((seen, log.end), (all, Some(End::Landed)));
                self.tally.count("landed");
            }
            Poll::Ready(Some(Err(SeatError::Failed(whose)))) => {
                assert_eq!((seen, log.end, whose), (all, Some(End::Failed), flight));
                self.tally.count("failed");
            }
            Poll::Ready(Some(Err(SeatError::Lost))) => {
                assert_eq!(log.end, Some(End::Lost));
                self.tally.count("lost");
            }
            Poll::Ready(Some(Err(SeatError::Expelled))) => {
                let unread: usize = log.pushed[seen..].iter().sum();
                assert!(unread >= self.options.flight_bytes_max, "expelled though it kept up");
                self.tally.count("expelled");
            }
        }
        log.readers -= 1;
        self.readers.swap_remove(index);
        false
    }

    fn leave(&mut self) {
        // Mostly the one ahead: those behind it may be expelled and not know it yet.
        let ahead = (0..self.readers.len()).max_by_key(|&index| self.readers[index].seat.seen());
        let any = self.pick(self.readers.len());
        if let Some(index) = if self.dice.roll(3) > 0 { ahead } else { any } {
            let reader = self.readers.swap_remove(index);
            self.logs[reader.flight].readers -= 1;
        }
    }

    fn end(&mut self) {
        let Some(index) = self.pick(self.pilots.len()) else { return };
        let Flown { flight, pilot, pushing, waiting, .. } = self.pilots.swap_remove(index);
        drop((pushing, waiting));
        let pilot = Arc::into_inner(pilot).expect("no future holds it any more");
        let end = match self.dice.roll(3) {
            0 => {
                pilot.finish(Ok(()));
                End::Landed
            }
            1 => {
                pilot.finish(Err(flight));
                End::Failed
            }
            _ => {
                drop(pilot);
                End::Lost
            }
        };
        self.logs[flight].end = Some(end);
    }

    /// Runs everybody who was woken until nobody is, then looks whether anybody was forgotten.
    fn settle(&mut self) {
        let mut busy = true;
        while busy {
            busy = false;
            for index in (0..self.readers.len()).rev() {
                let reader = &self.readers[index];
                if reader.heard.is_none_or(|heard| heard < reader.bell.rung()) {
                    busy = true;
                    while self.read(index) && self.readers[index].heard.is_none() {}
                }
            }
            for index in 0..self.pilots.len() {
                if self.pilots[index].heard < self.pilots[index].bell.rung() {
                    busy = true;
                    self.poll_pilot(index);
                }
            }
        }
        for reader in &self.readers {
            let log = &self.logs[reader.flight];
            assert_eq!((reader.seat.seen(), log.end), (log.pushed.len(), None), "a seat was not woken");
        }
        for flown in &self.pilots {
            assert!(flown.pushing.is_none(), "a push was not woken");
            let nobody = self.logs[flown.flight].readers == 0;
            assert_eq!(flown.waiting.is_none(), nobody, "abandoned or not");
        }
    }

    /// No flight with readers keeps more than its bound and an item; without readers it keeps nothing.
    fn check_bounds(&self) {
        let kept_max = self.options.flight_bytes_max + ITEM_BYTES_MAX;
        let read_from = self.logs.iter().filter(|log| log.readers > 0).count();
        assert!(self.flights.held_bytes() <= read_from * kept_max);
        assert!(self.flights.len() <= self.options.flights_max);
        assert!(self.flights.len() <= self.pilots.len());
    }
}

#[test]
fn no_course_of_events_breaks_the_rules() {
    let mut sum = Tally::default();
    for seed in 0..COURSES {
        let mut world = World::new(seed);
        std::mem::swap(&mut world.tally, &mut sum);
        let course = catch_unwind(AssertUnwindSafe(|| {
            (0..STEPS).for_each(|_| world.step());
            while !world.pilots.is_empty() {
                world.end();
            }
            world.settle();
            assert!(world.readers.is_empty(), "a seat outlives its flight");
            assert_eq!((world.flights.len(), world.flights.held_bytes()), (0, 0));
        }));
        assert!(course.is_ok(), "seed {seed}");
        sum = world.tally;
    }
    println!("{:?}", sum.0);
    // Courses in which something hardly ever comes about would prove little of it.
    for what in
        ["joined", "refused", "replaced", "expelled", "waited", "abandoned", "landed", "failed", "lost"]
    {
        assert!(sum.0.get(what).is_some_and(|&times| times >= 100), "hardly ever {what}");
    }
}
