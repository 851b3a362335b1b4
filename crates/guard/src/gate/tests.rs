//! What the gate promises, one behaviour a test. Futures are polled by hand: who runs when is then
//! written in the test. How many get in is `limits`', who does not `refusals`'; random courses against a
//! reference are `model`'s, threads are `threads`'.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Band::{Batch, High, Low, Normal};
use super::*;
use crate::limiter::{Algorithm, Outcome};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

mod limits;
mod model;
mod refusals;
mod threads;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn ticket(band: Band, tenant: u64) -> Ticket {
    Ticket { band, tenant, cost: 100, deadline: None }
}

/// So many at once, whatever happens, and neither aging nor CoDel.
fn fixed(limit: u32) -> Options {
    let limiter =
        limiter::Options { algorithm: Algorithm::Fixed, initial: limit, ..limiter::Options::INTERACTIVE };
    let queue =
        queue::Options { aging: Duration::ZERO, codel_target: Duration::MAX, ..queue::Options::default() };
    Options { limiter: limiter::Options { min: 1, ..limiter }, queue, ..Options::default() }
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

/// A gate and its clock, which is ahead of the system's: what is dropped takes no time.
struct Rig {
    gate: Gate,
    now: Instant,
}

impl Rig {
    fn new(options: Options) -> Self {
        let now = Instant::now() + secs(3600);
        Self { gate: Gate::new(options, now), now }
    }

    fn later(&mut self, by: Duration) -> &mut Self {
        self.now += by;
        self
    }

    fn enter(&self, ticket: Ticket) -> Entered {
        self.gate.enter(ticket, self.now)
    }

    fn permit(&self, ticket: Ticket) -> Permit {
        match self.enter(ticket) {
            Entered::Now(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    fn wait(&self, ticket: Ticket) -> Waiting {
        match self.enter(ticket) {
            Entered::Wait(waiting) => waiting,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(&self, ticket: Ticket) -> Refusal {
        match self.enter(ticket) {
            Entered::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn finish(&self, mut permit: Permit) {
        permit.began(ms(100), self.now);
        permit.finish(Outcome::Good, 100, self.now);
    }

    fn report(&self) -> Report {
        self.gate.report(self.now)
    }

    fn in_flight(&self) -> u32 {
        self.report().in_flight
    }
}

fn poll(waiting: &mut Waiting) -> Poll<Result<Permit, Refusal>> {
    Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop()))
}

fn poll_by(waiting: &mut Waiting, bell: &Arc<Bell>) -> Poll<Result<Permit, Refusal>> {
    Pin::new(waiting).poll(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
}

fn granted(waiting: &mut Waiting) -> Permit {
    match poll(waiting) {
        Poll::Ready(Ok(permit)) => permit,
        other => panic!("{other:?}"),
    }
}

fn refused(waiting: &mut Waiting) -> Reason {
    match poll(waiting) {
        Poll::Ready(Err(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn as_many_get_in_as_the_limit_says_and_the_next_waits() {
    let rig = Rig::new(fixed(2));
    let (first, _second) = (rig.permit(ticket(Normal, 1)), rig.permit(ticket(Normal, 1)));
    let bell = Arc::new(Bell::default());
    let mut third = rig.wait(ticket(Normal, 1));
    assert!(poll_by(&mut third, &bell).is_pending());
    assert_eq!((rig.in_flight(), rig.report().waiting, bell.rung()), (2, [0, 1, 0, 0], 0));

    rig.finish(first);
    assert_eq!((rig.in_flight(), bell.rung()), (2, 1), "its permit is there before it asks");
    let third = granted(&mut third);
    assert_eq!(rig.in_flight(), 2);
    drop(third);
    assert_eq!(rig.in_flight(), 1, "given back by being dropped, too");
    assert_eq!(rig.report().granted, 3);
}

#[test]
fn those_who_wait_get_in_by_the_order_of_the_queue() {
    let rig = Rig::new(fixed(1));
    let mut holder = Some(rig.permit(ticket(Normal, 1)));
    let arrivals = [(Low, 1), (Normal, 1), (Normal, 1), (Normal, 2), (High, 1)];
    let mut waiting = arrivals.map(|(band, tenant)| rig.wait(ticket(band, tenant)));
    // Tenant 1 was served before, so its second in the band normal comes after tenant 2.
    for next in [4, 3, 1, 2, 0] {
        rig.finish(holder.take().unwrap());
        let ready: Vec<usize> = (0..5)
            .filter(|&index| match poll(&mut waiting[index]) {
                Poll::Ready(permit) => holder.replace(permit.unwrap()).is_none(),
                Poll::Pending => false,
            })
            .collect();
        assert_eq!(ready, [next]);
    }
}

#[test]
fn nobody_overtakes_at_the_door() {
    let rig = Rig::new(fixed(1));
    let holder = rig.permit(ticket(Normal, 1));
    let mut first = rig.wait(ticket(Normal, 1));
    rig.finish(holder);
    drop(rig.wait(ticket(High, 2)));
    drop(granted(&mut first));
    assert!(rig.gate.is_idle());
}

#[test]
fn a_permit_is_returned_wherever_the_wait_is_given_up() {
    /// How far the one in the middle comes before it is dropped.
    type Course = fn(&Rig, Waiting, &mut Option<Permit>);
    let courses: [(&str, Course); 6] = [
        ("before its first poll", |_, waiting, _| drop(waiting)),
        ("after its first poll", |_, mut waiting, _| drop(poll(&mut waiting))),
        ("granted, never polled", |rig, waiting, holder| {
            rig.finish(holder.take().unwrap());
            drop(waiting);
        }),
        ("granted, not polled since", |rig, mut waiting, holder| {
            assert!(poll(&mut waiting).is_pending());
            rig.finish(holder.take().unwrap());
            drop(waiting);
        }),
        ("granted by a dropped permit", |_, waiting, holder| {
            drop(holder.take());
            drop(waiting);
        }),
        ("with the permit in its hands", |rig, mut waiting, holder| {
            rig.finish(holder.take().unwrap());
            drop(granted(&mut waiting));
        }),
    ];
    for (name, course) in courses {
        let rig = Rig::new(fixed(1));
        let mut holder = Some(rig.permit(ticket(Normal, 1)));
        let middle = rig.wait(ticket(Normal, 1));
        let bell = Arc::new(Bell::default());
        let mut last = rig.wait(ticket(Normal, 1));
        assert!(poll_by(&mut last, &bell).is_pending());

        course(&rig, middle, &mut holder);
        drop(holder);
        assert_eq!((rig.in_flight(), bell.rung()), (1, 1), "{name}: passed on to the last, who is told");
        drop(granted(&mut last));
        assert!(rig.gate.is_idle(), "{name}");
    }
}

#[test]
fn the_waker_of_the_last_poll_is_the_one_woken() {
    let rig = Rig::new(fixed(1));
    let holder = rig.permit(ticket(Normal, 1));
    let mut waiting = rig.wait(ticket(Normal, 1));
    let (before, after) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    assert!(poll_by(&mut waiting, &before).is_pending());
    assert!(poll_by(&mut waiting, &after).is_pending());
    drop(holder);
    assert_eq!((before.rung(), after.rung()), (0, 1));
    assert!(poll(&mut waiting).is_ready());
    assert!(poll(&mut waiting).is_pending(), "it has resolved");
}

/// Enters the gate in the very wake-up that tells of a permit.
struct EntersWhenWoken(Gate, Instant);

impl Wake for EntersWhenWoken {
    fn wake(self: Arc<Self>) {
        drop(self.0.enter(ticket(High, 9), self.1));
    }
}

#[test]
fn who_is_woken_may_use_the_gate_at_once() {
    let rig = Rig::new(fixed(1));
    let holder = rig.permit(ticket(Normal, 1));
    let mut waiting = rig.wait(ticket(Normal, 1));
    let waker = Waker::from(Arc::new(EntersWhenWoken(rig.gate.clone(), rig.now)));
    assert!(Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker)).is_pending());
    rig.finish(holder);
    drop(granted(&mut waiting));
    assert!(rig.gate.is_idle());
}

#[test]
fn tokens_used_beyond_what_was_expected_cost_the_tenant_its_turn() {
    let rig = Rig::new(fixed(2));
    let (one, two) = (rig.permit(ticket(Normal, 1)), rig.permit(ticket(Normal, 2)));
    let mut waiting = [1, 2, 1, 2].map(|tenant| rig.wait(ticket(Normal, tenant)));
    one.finish(Outcome::Good, 5000, rig.now);
    two.finish(Outcome::Good, 10, rig.now);
    let ready = waiting.each_mut().map(|waiting| poll(waiting).is_ready());
    assert_eq!(ready, [false, true, false, true]);
}

#[test]
fn the_clock_never_goes_back() {
    let mut rig = Rig::new(fixed(1));
    let permit = rig.later(secs(10)).permit(ticket(Normal, 1));
    permit.finish(Outcome::Good, 1, rig.now - secs(9));
    assert!(rig.gate.is_idle());
}

#[test]
fn handles_may_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}
    check::<Gate>();
    check::<Permit>();
    check::<Waiting>();
}
